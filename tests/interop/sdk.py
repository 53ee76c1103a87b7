"""A client of Temporal's Python SDK that knows no key: it asks the codec server, as its remote codec.

It sends a parcel to the Rust worker and reads back what comes of it. JSON on stdin and stdout.
"""

import asyncio
import dataclasses
import json
import sys
import urllib.request

import temporalio.converter
from google.protobuf import json_format
from temporalio.api.common.v1 import Payloads
from temporalio.client import Client


class RemoteCodec(temporalio.converter.PayloadCodec):
    def __init__(self, endpoint: str, namespace: str, token: str) -> None:
        super().__init__()
        self._endpoint = endpoint
        self._headers = {
            "Content-Type": "application/json",
            "X-Namespace": namespace,
            "Authorization": f"Bearer {token}",
        }

    async def encode(self, payloads):
        return await asyncio.to_thread(self._call, "encode", payloads)

    async def decode(self, payloads):
        return await asyncio.to_thread(self._call, "decode", payloads)

    def _call(self, operation, payloads):
        body = json_format.MessageToJson(Payloads(payloads=payloads)).encode()
        request = urllib.request.Request(f"{self._endpoint}/{operation}", body, self._headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return list(json_format.Parse(answer.read(), Payloads()).payloads)


async def main() -> None:
    parcel = json.load(sys.stdin)
    converter = dataclasses.replace(
        temporalio.converter.default(),
        payload_codec=RemoteCodec(parcel["codec"], parcel["namespace"], parcel["token"]),
        failure_converter_class=temporalio.converter.DefaultFailureConverterWithEncodedAttributes,
    )
    client = await Client.connect(
        parcel["address"], namespace=parcel["namespace"], data_converter=converter
    )
    handle = await client.start_workflow(
        "Parcel", parcel["order"], id=parcel["id"], task_queue=parcel["queue"], memo=parcel["memo"]
    )
    await handle.signal("label", parcel["label"])
    labels = await handle.query("labels", parcel["prefix"])
    await handle.signal("close")
    description = await handle.describe()
    json.dump(
        {
            "labels": labels,
            "result": await handle.result(),
            "memo": await description.memo(),
        },
        sys.stdout,
    )


asyncio.run(main())

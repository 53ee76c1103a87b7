"""A codec server of aiohttp, with the Python SDK's messages and one AES-256-GCM key, as in Temporal's samples."""

import asyncio
import os

from aiohttp import web
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf import json_format
from temporalio.api.common.v1 import Payload, Payloads

ENCODING = b"binary/encrypted"
AEAD = AESGCM(AESGCM.generate_key(256))


def encode(payload: Payload) -> Payload:
    nonce = os.urandom(12)
    data = nonce + AEAD.encrypt(nonce, payload.SerializeToString(), None)
    return Payload(metadata={"encoding": ENCODING, "encryption-key-id": b"bench"}, data=data)


def decode(payload: Payload) -> Payload:
    if payload.metadata.get("encoding") != ENCODING:
        return payload
    return Payload.FromString(AEAD.decrypt(payload.data[:12], payload.data[12:], None))


def handler(transform):
    async def handle(request: web.Request) -> web.Response:
        asked = json_format.Parse(await request.read(), Payloads())
        answer = Payloads(payloads=[transform(payload) for payload in asked.payloads])
        return web.Response(text=json_format.MessageToJson(answer, indent=None), content_type="application/json")

    return handle


async def listen(app: web.Application) -> None:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    print(f"listening on http://{host}:{port}", flush=True)


async def main() -> None:
    app = web.Application(client_max_size=32 << 20)
    app.router.add_post("/encode", handler(encode))
    app.router.add_post("/decode", handler(decode))
    await listen(app)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())

"""Payload codecs on Google's own Cloud KMS client, as a Python worker without this project has them.

`direct` sends the whole payload to the key; `envelope` asks it for one data key and seals under that,
without additional data anywhere. Both are what readers and writers in the field do today.
"""

import os

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.auth.credentials import AnonymousCredentials
from google.cloud import kms
from google.cloud.kms_v1.services.key_management_service.transports import (
    KeyManagementServiceRestTransport,
)
from temporalio.api.common.v1 import Payload

DIRECT = b"binary/gcp-kms"
ENVELOPE = b"binary/envelope-kms"
NONCE = 12


def connect(endpoint: str) -> kms.KeyManagementServiceClient:
    """Google's client, speaking to a server that wants no credentials."""
    scheme, host = endpoint.split("://")
    transport = KeyManagementServiceRestTransport(
        host=host, url_scheme=scheme, credentials=AnonymousCredentials()
    )
    return kms.KeyManagementServiceClient(transport=transport)


class DirectCodec:
    def __init__(self, client: kms.KeyManagementServiceClient, key: str) -> None:
        self._client = client
        self._key = key

    def encode(self, payload: Payload) -> Payload:
        answer = self._client.encrypt(name=self._key, plaintext=payload.SerializeToString())
        metadata = {"encoding": DIRECT, "kms-key": self._key.encode()}
        return Payload(metadata=metadata, data=answer.ciphertext)

    def decode(self, payload: Payload) -> Payload:
        assert payload.metadata["encoding"] == DIRECT, payload.metadata["encoding"]
        assert payload.metadata["kms-key"] == self._key.encode(), payload.metadata["kms-key"]
        answer = self._client.decrypt(name=self._key, ciphertext=payload.data)
        return Payload.FromString(answer.plaintext)


class EnvelopeCodec:
    def __init__(self, client: kms.KeyManagementServiceClient, key: str) -> None:
        self._client = client
        self._key = key

    def encode(self, payload: Payload) -> Payload:
        data_key, nonce = os.urandom(32), os.urandom(NONCE)
        wrapped = self._client.encrypt(name=self._key, plaintext=data_key).ciphertext
        sealed = AESGCM(data_key).encrypt(nonce, payload.SerializeToString(), None)
        return Payload(
            metadata={"encoding": ENVELOPE, "encrypted-dek": wrapped}, data=nonce + sealed
        )

    def decode(self, payload: Payload) -> Payload:
        assert payload.metadata["encoding"] == ENVELOPE, payload.metadata["encoding"]
        assert "envelope-version" not in payload.metadata
        wrapped = payload.metadata["encrypted-dek"]
        data_key = self._client.decrypt(name=self._key, ciphertext=wrapped).plaintext
        nonce, sealed = payload.data[:NONCE], payload.data[NONCE:]
        return Payload.FromString(AESGCM(data_key).decrypt(nonce, sealed, None))

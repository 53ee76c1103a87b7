"""Payloads as other codecs write them, made by the libraries that these codecs use.

Reads a request as JSON from stdin, and prints payloads as JSON. Without a request it prints the committed
vectors: `python foreign.py vectors > tests/vectors/foreign.json`.
"""

import base64
import gzip
import json
import sys
import zlib

import cramjam
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf import json_format
from temporalio.api.common.v1 import Payload

NONCE = 12


def as_json(payload: Payload) -> dict:
    return json_format.MessageToDict(payload)


def encrypted(plain: Payload, key: bytes, nonce: bytes, metadata: dict[str, bytes]) -> Payload:
    """AES-GCM under a key, with the nonce before the ciphertext and without additional data."""
    data = nonce + AESGCM(key).encrypt(nonce, plain.SerializeToString(deterministic=True), None)
    return Payload(metadata={"encoding": b"binary/encrypted", **metadata}, data=data)


def static(plain: Payload, key: bytes, nonce: bytes, key_id: str) -> Payload:
    """Temporal's samples in Go, Python, TypeScript, .NET and Ruby."""
    return encrypted(plain, key, nonce, {"encryption-key-id": key_id.encode()})


def java(plain: Payload, key: bytes, nonce: bytes, key_id: str) -> Payload:
    """Temporal's sample in Java."""
    metadata = {"encryption-key-id": key_id.encode(), "encryption-cipher": b"AES/GCM/NoPadding"}
    return encrypted(plain, key, nonce, metadata)


def proxy(plain: Payload, key: bytes, nonce: bytes, uri: str, wrapped: bytes) -> Payload:
    """temporal-proxy, whose data key a KMS wrapped."""
    metadata = {"encryption-key-id": uri.encode(), "encryption-dek": base64.b64encode(wrapped)}
    return encrypted(plain, key, nonce, metadata)


COMPRESS = {
    "zlib": zlib.compress,
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "snappy": lambda data: bytes(cramjam.snappy.compress_raw(data)),
}


def compressed(plain: Payload, algorithm: str) -> Payload:
    data = COMPRESS[algorithm](plain.SerializeToString(deterministic=True))
    return Payload(metadata={"encoding": f"binary/{algorithm}".encode()}, data=data)


def vectors() -> dict:
    key, nonce = b"test-key-test-key-test-key-test!", bytes(range(NONCE))
    text = json.dumps({"iban": "DE00 1234", "note": "again and again, " * 20}).encode()
    plain = Payload(metadata={"encoding": b"json/plain"}, data=text)
    zipped = compressed(plain, "zlib")
    made = [
        ("static", static(plain, key, nonce, "test")),
        ("static with an empty id", static(plain, key, nonce, "")),
        ("java", java(plain, key, nonce, "test")),
        ("zlib", zipped),
        ("gzip", compressed(plain, "gzip")),
        ("snappy", compressed(plain, "snappy")),
        ("static over zlib", static(zipped, key, nonce, "test")),
    ]
    return {
        "description": "Payloads of other codecs, made by tests/interop/foreign.py",
        "static_key": key.decode(),
        "cases": [
            {"name": name, "payload": as_json(payload), "plain": as_json(plain)}
            for name, payload in made
        ],
    }


def seal(plain: dict, key: str, nonce: str, uri: str, wrapped: str) -> dict:
    """One payload of each format, of the same plain one."""
    plain = json_format.ParseDict(plain, Payload())
    key, nonce = bytes.fromhex(key), bytes.fromhex(nonce)
    made = {
        "static": static(plain, key, nonce, "test"),
        "java": java(plain, key, nonce, "test"),
        "temporal-proxy": proxy(plain, key, nonce, uri, bytes.fromhex(wrapped)),
        **{algorithm: compressed(plain, algorithm) for algorithm in COMPRESS},
    }
    return {name: as_json(payload) for name, payload in made.items()}


if __name__ == "__main__":
    if sys.argv[1:] == ["vectors"]:
        json.dump(vectors(), sys.stdout, indent=1)
        print()
    else:
        json.dump(seal(**json.load(sys.stdin)), sys.stdout)

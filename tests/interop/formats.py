"""The wire formats once more, from their description and in another language.

A payload here is the protobuf message of Temporal's own Python SDK. The key-encryption key is a
Tink keyset in a file.
"""

import json
import os

import zstandard
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from temporalio.api.common.v1 import Payload

import keyset

ENVELOPE = b"binary/envelope-kms"
DIRECT = b"binary/local-kms"
NONCE = 12
HEADER = 66
COMPRESSED = 1


def canonical(context: dict[str, str]) -> bytes:
    """RFC 8785 for an object of strings; nothing at all for an empty one."""
    if not context:
        return b""
    by_utf16 = dict(sorted(context.items(), key=lambda pair: pair[0].encode("utf-16-be")))
    return json.dumps(by_utf16, separators=(",", ":"), ensure_ascii=False).encode()


def message_key(data_key: bytes, message_id: bytes) -> tuple[bytes, bytes]:
    """The key of one message and the commitment to it."""
    extract = HMAC(b"temporal-kms-codec v2", hashes.SHA256())
    extract.update(data_key)
    info = b"message" + message_id
    expanded = HKDFExpand(hashes.SHA256(), 64, info).derive(extract.finalize())
    return expanded[:32], expanded[32:]


def seal_envelope(
    plain: Payload, keys: str, uri: str, context: dict[str, str], compress: bool = False
) -> Payload:
    data_key, message_id = os.urandom(32), os.urandom(32)
    bound = canonical(context)
    key, commitment = message_key(data_key, message_id)
    header = bytes([2, COMPRESSED if compress else 0]) + message_id + commitment
    body = plain.SerializeToString()
    if compress:
        body = zstandard.compress(body)
    sealed = AESGCM(key).encrypt(bytes(NONCE), body, header + bound)
    metadata = {
        "encoding": ENVELOPE,
        "envelope-version": b"2",
        "kms-key": uri.encode(),
        "encrypted-dek": keyset.wrap(keys, data_key, bound),
    }
    if bound:
        metadata["encryption-context"] = bound
    return Payload(metadata=metadata, data=header + sealed)


def open_envelope(sealed: Payload, keys: str) -> Payload:
    metadata = sealed.metadata
    assert metadata["encoding"] == ENVELOPE, metadata["encoding"]
    assert metadata["envelope-version"] == b"2"
    bound = metadata["encryption-context"] if "encryption-context" in metadata else b""
    data_key = keyset.unwrap(keys, metadata["encrypted-dek"], bound)
    header, body = sealed.data[:HEADER], sealed.data[HEADER:]
    version, flags, message_id, committed = header[0], header[1], header[2:34], header[34:]
    assert version == 2 and flags in (0, COMPRESSED), (version, flags)
    key, commitment = message_key(data_key, message_id)
    assert commitment == committed, "the data key is not the one that the message commits to"
    plain = AESGCM(key).decrypt(bytes(NONCE), body, header + bound)
    if flags & COMPRESSED:
        plain = zstandard.ZstdDecompressor().decompressobj().decompress(plain)
    return Payload.FromString(plain)


def seal_envelope_v1(plain: Payload, keys: str) -> Payload:
    """One data key for the payload; neither key is bound to anything."""
    data_key, nonce = os.urandom(32), os.urandom(NONCE)
    sealed = AESGCM(data_key).encrypt(nonce, plain.SerializeToString(), None)
    wrapped = keyset.wrap(keys, data_key, b"")
    return Payload(metadata={"encoding": ENVELOPE, "encrypted-dek": wrapped}, data=nonce + sealed)


def open_envelope_v1(sealed: Payload, keys: str) -> Payload:
    assert sealed.metadata["encoding"] == ENVELOPE, sealed.metadata["encoding"]
    assert "envelope-version" not in sealed.metadata
    data_key = keyset.unwrap(keys, sealed.metadata["encrypted-dek"], b"")
    nonce, body = sealed.data[:NONCE], sealed.data[NONCE:]
    return Payload.FromString(AESGCM(data_key).decrypt(nonce, body, None))


def seal_direct(plain: Payload, keys: str, key_name: str) -> Payload:
    """What a KMS returns for the payload itself, here played by Tink."""
    sealed = keyset.wrap(keys, plain.SerializeToString(), b"")
    return Payload(metadata={"encoding": DIRECT, "kms-key": key_name.encode()}, data=sealed)


def open_direct(sealed: Payload, keys: str) -> Payload:
    assert sealed.metadata["encoding"] == DIRECT, sealed.metadata["encoding"]
    return Payload.FromString(keyset.unwrap(keys, sealed.data, b""))

"""Keysets and wrapped data keys, by the real Tink library."""

import json
import pathlib

import tink
from tink import aead, secret_key_access

aead.register()


def create(path: str, keys: int) -> None:
    """Writes a cleartext keyset of several AES-256-GCM keys; the last one is primary."""
    keysets = [json.loads(_fresh()) for _ in range(keys)]
    merged = keysets[-1]
    merged["key"] = [keyset["key"][0] for keyset in keysets]
    _write(path, merged)


def add_primary(path: str) -> None:
    """Rotates a keyset: a fresh key becomes primary, the older ones stay."""
    keyset = json.loads(pathlib.Path(path).read_text())
    fresh = json.loads(_fresh())
    keyset["key"].append(fresh["key"][0])
    keyset["primaryKeyId"] = fresh["primaryKeyId"]
    _write(path, keyset)


def key_ids(path: str) -> list[int]:
    """The ids of the keys as Tink reads them, the primary one first."""
    info = _handle(path).keyset_info()
    others = [key.key_id for key in info.key_info if key.key_id != info.primary_key_id]
    return [info.primary_key_id, *others]


def wrap(path: str, plaintext: bytes, associated_data: bytes) -> bytes:
    return _aead(path).encrypt(plaintext, associated_data)


def unwrap(path: str, ciphertext: bytes, associated_data: bytes) -> bytes:
    return _aead(path).decrypt(ciphertext, associated_data)


def _fresh() -> str:
    handle = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM)
    return tink.json_proto_keyset_format.serialize(handle, secret_key_access.TOKEN)


def _handle(path: str) -> tink.KeysetHandle:
    text = pathlib.Path(path).read_text()
    return tink.json_proto_keyset_format.parse(text, secret_key_access.TOKEN)


def _aead(path: str) -> aead.Aead:
    return _handle(path).primitive(aead.Aead)


def _write(path: str, keyset: dict) -> None:
    file = pathlib.Path(path)
    file.touch(mode=0o600)
    file.write_text(json.dumps(keyset))
    _handle(path)

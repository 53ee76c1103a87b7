"""Signatures by the real Tink library: one request as JSON on stdin, the answer as JSON on stdout, bytes as hexadecimal text."""

import json
import pathlib
import sys

import tink
from tink import secret_key_access, signature

signature.register()

TEMPLATES = {
    "ECDSA_P256_SHA256": signature.signature_key_templates.ECDSA_P256,
    "ED25519": signature.signature_key_templates.ED25519,
}


def create(path, algorithm):
    """Writes a cleartext keyset of one new key."""
    file = pathlib.Path(path)
    file.touch(mode=0o600)
    file.write_text(_fresh(algorithm))


def rotate(path, algorithm):
    """Adds a new key, which becomes the primary one; the older ones stay."""
    file = pathlib.Path(path)
    keyset = json.loads(file.read_text())
    fresh = json.loads(_fresh(algorithm))
    keyset["key"].append(fresh["key"][0])
    keyset["primaryKeyId"] = fresh["primaryKeyId"]
    file.write_text(json.dumps(keyset))


def sign(path, data):
    return _handle(path).primitive(signature.PublicKeySign).sign(bytes.fromhex(data)).hex()


def verify(path, data, signature_bytes):
    """Whether the public half of the keyset accepts the signature."""
    verifier = _handle(path).public_keyset_handle().primitive(signature.PublicKeyVerify)
    try:
        verifier.verify(bytes.fromhex(signature_bytes), bytes.fromhex(data))
    except tink.TinkError:
        return False
    return True


def states(path):
    """The ids and states of the keys as Tink reads them."""
    info = _handle(path).keyset_info()
    return [[key.key_id, key.status] for key in info.key_info]


def _fresh(algorithm):
    handle = tink.new_keyset_handle(TEMPLATES[algorithm])
    return tink.json_proto_keyset_format.serialize(handle, secret_key_access.TOKEN)


def _handle(path):
    text = pathlib.Path(path).read_text()
    return tink.json_proto_keyset_format.parse(text, secret_key_access.TOKEN)


OPERATIONS = {operation.__name__: operation for operation in [create, rotate, sign, verify, states]}


def main():
    request = json.load(sys.stdin)
    operation = OPERATIONS[request.pop("operation")]
    json.dump(operation(**request), sys.stdout)


main()

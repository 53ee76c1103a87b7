"""Answers one request of the tests: JSON on stdin, JSON on stdout, bytes as hexadecimal text."""

import json
import sys

from google.protobuf import json_format
from temporalio.api.common.v1 import Payload

import formats
import keyset

SEAL = {
    "envelope": formats.seal_envelope,
    "envelope-v1": formats.seal_envelope_v1,
    "direct": formats.seal_direct,
}
OPEN = {
    "envelope": formats.open_envelope,
    "envelope-v1": formats.open_envelope_v1,
    "direct": formats.open_direct,
}


def create_keyset(path, keys=1):
    keyset.create(path, keys)


def rotate_keyset(path):
    keyset.add_primary(path)


def key_ids(path):
    return keyset.key_ids(path)


def wrap(path, plaintext, associated_data):
    return keyset.wrap(path, bytes.fromhex(plaintext), bytes.fromhex(associated_data)).hex()


def unwrap(path, ciphertext, associated_data):
    return keyset.unwrap(path, bytes.fromhex(ciphertext), bytes.fromhex(associated_data)).hex()


def seal(format, payload, **arguments):
    plain = json_format.ParseDict(payload, Payload())
    return json_format.MessageToDict(SEAL[format](plain, **arguments))


def open(format, payload, **arguments):
    sealed = json_format.ParseDict(payload, Payload())
    return json_format.MessageToDict(OPEN[format](sealed, **arguments))


OPERATIONS = [create_keyset, rotate_keyset, key_ids, wrap, unwrap, seal, open]


def main():
    request = json.load(sys.stdin)
    operations = {operation.__name__: operation for operation in OPERATIONS}
    json.dump(operations[request.pop("operation")](**request), sys.stdout)


main()

"""Google's own Cloud KMS client for one request of the tests: JSON on stdin, JSON on stdout.

`walk` takes the client over the emulator's whole surface; `encode` and `decode` are a codec that knows
nothing of this project. `service_account` makes a credentials file as Google Cloud does.
"""

import json
import sys

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.protobuf import json_format
from temporalio.api.common.v1 import Payload

import google_codec
import google_surface

CODECS = {
    "direct": google_codec.DirectCodec,
    "envelope-v1": google_codec.EnvelopeCodec,
}


def walk(endpoint):
    google_surface.walk(endpoint)


def encode(endpoint, key, format, payload):
    codec = CODECS[format](google_codec.connect(endpoint), key)
    return json_format.MessageToDict(codec.encode(json_format.ParseDict(payload, Payload())))


def decode(endpoint, key, format, payload):
    codec = CODECS[format](google_codec.connect(endpoint), key)
    return json_format.MessageToDict(codec.decode(json_format.ParseDict(payload, Payload())))


def service_account(email):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return {
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "1",
        "private_key": pem.decode(),
        "client_email": email,
        "client_id": "1",
        "token_uri": "https://oauth2.googleapis.com/token",
        "universe_domain": "googleapis.com",
    }


OPERATIONS = [walk, encode, decode, service_account]


def main():
    request = json.load(sys.stdin)
    operations = {operation.__name__: operation for operation in OPERATIONS}
    json.dump(operations[request.pop("operation")](**request), sys.stdout)


main()

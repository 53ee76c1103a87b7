"""Google's own Cloud KMS client for one request of the tests: JSON on stdin, JSON on stdout.

`walk` takes the client over the emulator's whole surface; `encode` and `decode` are a codec that knows
nothing of this project.
"""

import json
import sys

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


OPERATIONS = [walk, encode, decode]


def main():
    request = json.load(sys.stdin)
    operations = {operation.__name__: operation for operation in OPERATIONS}
    json.dump(operations[request.pop("operation")](**request), sys.stdout)


main()

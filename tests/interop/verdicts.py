"""What the real Tink library does with keysets: a list of texts as JSON on stdin, for each "encrypt", "sign" or null on stdout."""

import json
import sys

import tink
from tink import aead, secret_key_access, signature

aead.register()
signature.register()

PRIMITIVES = {"encrypt": aead.Aead, "sign": signature.PublicKeySign}


def verdict(keyset):
    try:
        handle = tink.json_proto_keyset_format.parse(keyset, secret_key_access.TOKEN)
    except tink.TinkError:
        return None
    for purpose, primitive in PRIMITIVES.items():
        try:
            handle.primitive(primitive)
        except tink.TinkError:
            continue
        return purpose
    return None


json.dump([verdict(keyset) for keyset in json.load(sys.stdin)], sys.stdout)

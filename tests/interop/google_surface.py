"""Walks Google's own Cloud KMS client over everything that this project uses of the service."""

import datetime
import hashlib

import google_crc32c
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from google.api_core import exceptions
from google.cloud import kms
from google.iam.v1 import iam_policy_pb2, options_pb2, policy_pb2
from google.protobuf import duration_pb2, field_mask_pb2, timestamp_pb2

from google_codec import connect

LOCATION = "projects/surface/locations/global"
RING = f"{LOCATION}/keyRings/ring"
KEY = f"{RING}/cryptoKeys/key"
SIGNER = f"{RING}/cryptoKeys/signer"
Purpose = kms.CryptoKey.CryptoKeyPurpose
State = kms.CryptoKeyVersion.CryptoKeyVersionState
Algorithm = kms.CryptoKeyVersion.CryptoKeyVersionAlgorithm


def walk(endpoint: str) -> None:
    client = connect(endpoint)
    rings(client)
    keys(client)
    encryption(client)
    limits(client)
    rotation(client)
    lifecycle(client)
    signing(client)
    policies(client)


def refused(status: str, call, *arguments, **named) -> exceptions.GoogleAPICallError:
    """The REST transport's exceptions tell the HTTP status only; the answer tells the rest."""
    try:
        call(*arguments, **named)
    except exceptions.GoogleAPICallError as refusal:
        error = refusal.response.json()["error"]
        assert error["status"] == status and error["code"] == refusal.code, error
        return refusal
    raise AssertionError(f"{call.__name__} was not refused")


def crc(data: bytes) -> int:
    return google_crc32c.value(data)


def rings(client) -> None:
    refused("NOT_FOUND", client.get_key_ring, name=RING)
    made = client.create_key_ring(parent=LOCATION, key_ring_id="ring", key_ring={})
    assert made.name == RING and made.create_time.year >= 2024
    assert client.get_key_ring(name=RING) == made
    again = {"parent": LOCATION, "key_ring_id": "ring", "key_ring": {}}
    refused("ALREADY_EXISTS", client.create_key_ring, again)
    bad = {"parent": LOCATION, "key_ring_id": "a b", "key_ring": {}}
    refused("INVALID_ARGUMENT", client.create_key_ring, bad)
    for number in range(7):
        client.create_key_ring(parent=LOCATION, key_ring_id=f"other-{number}", key_ring={})
    listed = client.list_key_rings(request={"parent": LOCATION, "page_size": 3})
    assert len([ring.name for ring in listed]) == 8


def keys(client) -> None:
    next_rotation = timestamp_pb2.Timestamp()
    next_rotation.FromDatetime(
        datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=90)
    )
    made = client.create_crypto_key(
        parent=RING,
        crypto_key_id="key",
        crypto_key={
            "purpose": Purpose.ENCRYPT_DECRYPT,
            "version_template": {"protection_level": kms.ProtectionLevel.HSM},
            "rotation_period": duration_pb2.Duration(seconds=90 * 86400),
            "next_rotation_time": next_rotation,
            "labels": {"team": "workflows"},
        },
    )
    assert made.name == KEY and made.primary.name == f"{KEY}/cryptoKeyVersions/1"
    assert made.primary.state == State.ENABLED
    assert made.version_template.algorithm == Algorithm.GOOGLE_SYMMETRIC_ENCRYPTION
    assert made.version_template.protection_level == kms.ProtectionLevel.HSM
    assert made.rotation_period == datetime.timedelta(days=90)
    assert dict(made.labels) == {"team": "workflows"}
    assert client.get_crypto_key(name=KEY) == made
    changed = client.update_crypto_key(
        crypto_key={"name": KEY, "labels": {"team": "platform"}},
        update_mask=field_mask_pb2.FieldMask(paths=["labels"]),
    )
    assert dict(changed.labels) == {"team": "platform"}
    assert changed.rotation_period == made.rotation_period
    short = {"name": KEY, "rotation_period": duration_pb2.Duration(seconds=3600)}
    mask = field_mask_pb2.FieldMask(paths=["rotation_period"])
    refusal = refused(
        "INVALID_ARGUMENT", client.update_crypto_key, crypto_key=short, update_mask=mask
    )
    assert refusal.details, "the error has details"
    client.create_crypto_key(
        parent=RING, crypto_key_id="software", crypto_key={"purpose": Purpose.ENCRYPT_DECRYPT}
    )
    names = [key.name for key in client.list_crypto_keys(parent=RING)]
    assert names == [KEY, f"{RING}/cryptoKeys/software"]


def encryption(client) -> None:
    plain, aad = b"a payload", b"context"
    sealed = client.encrypt(
        request={
            "name": KEY,
            "plaintext": plain,
            "plaintext_crc32c": crc(plain),
            "additional_authenticated_data": aad,
            "additional_authenticated_data_crc32c": crc(aad),
        }
    )
    assert sealed.name == f"{KEY}/cryptoKeyVersions/1"
    assert sealed.verified_plaintext_crc32c
    assert sealed.verified_additional_authenticated_data_crc32c
    assert sealed.ciphertext_crc32c == crc(sealed.ciphertext)
    assert sealed.protection_level == kms.ProtectionLevel.HSM
    request = {
        "name": KEY,
        "ciphertext": sealed.ciphertext,
        "ciphertext_crc32c": crc(sealed.ciphertext),
        "additional_authenticated_data": aad,
        "additional_authenticated_data_crc32c": crc(aad),
    }
    opened = client.decrypt(request=request)
    assert opened.plaintext == plain and opened.plaintext_crc32c == crc(plain)
    assert opened.used_primary

    unchecked = client.encrypt(name=KEY, plaintext=plain)
    assert not unchecked.verified_plaintext_crc32c
    refused("INVALID_ARGUMENT", client.decrypt, request | {"ciphertext_crc32c": 1})
    other = {"additional_authenticated_data": b"other"}
    del request["additional_authenticated_data_crc32c"]
    refused("INVALID_ARGUMENT", client.decrypt, request | other)
    flipped = bytearray(sealed.ciphertext)
    flipped[-1] ^= 1
    refused("INVALID_ARGUMENT", client.decrypt, name=KEY, ciphertext=bytes(flipped))
    foreign = {"name": f"{RING}/cryptoKeys/software", "ciphertext": sealed.ciphertext}
    refused("INVALID_ARGUMENT", client.decrypt, foreign)
    refused("NOT_FOUND", client.encrypt, name=f"{RING}/cryptoKeys/none", plaintext=b"")
    empty = client.encrypt(name=KEY, plaintext=b"")
    assert client.decrypt(name=KEY, ciphertext=empty.ciphertext).plaintext == b""


def limits(client) -> None:
    software = f"{RING}/cryptoKeys/software"
    most = bytes(64 * 1024)
    sealed = client.encrypt(
        request={"name": software, "plaintext": most, "additional_authenticated_data": most}
    )
    opened = client.decrypt(
        request={
            "name": software,
            "ciphertext": sealed.ciphertext,
            "additional_authenticated_data": most,
        }
    )
    assert opened.plaintext == most
    refused("INVALID_ARGUMENT", client.encrypt, name=software, plaintext=most + b"x")
    too_much = {"name": software, "plaintext": b"", "additional_authenticated_data": most + b"x"}
    refused("INVALID_ARGUMENT", client.encrypt, too_much)
    refused("INVALID_ARGUMENT", client.encrypt, name=KEY, plaintext=bytes(8193))


def rotation(client) -> None:
    old = client.encrypt(name=KEY, plaintext=b"old").ciphertext
    made = client.create_crypto_key_version(parent=KEY, crypto_key_version={})
    assert made.name == f"{KEY}/cryptoKeyVersions/2"
    assert client.encrypt(name=KEY, plaintext=b"x").name.endswith("/1")
    key = client.update_crypto_key_primary_version(name=KEY, crypto_key_version_id="2")
    assert key.primary.name == made.name
    assert client.encrypt(name=KEY, plaintext=b"new").name == made.name
    opened = client.decrypt(name=KEY, ciphertext=old)
    assert opened.plaintext == b"old" and not opened.used_primary
    versions = list(client.list_crypto_key_versions(request={"parent": KEY, "page_size": 1}))
    assert [version.name[-1] for version in versions] == ["1", "2"]


def lifecycle(client) -> None:
    first = f"{KEY}/cryptoKeyVersions/1"
    sealed = client.encrypt(name=first, plaintext=b"x").ciphertext
    state = field_mask_pb2.FieldMask(paths=["state"])

    def set_state(value):
        version = {"name": first, "state": value}
        return client.update_crypto_key_version(crypto_key_version=version, update_mask=state)

    assert set_state(State.DISABLED).state == State.DISABLED
    refusal = refused("FAILED_PRECONDITION", client.decrypt, name=KEY, ciphertext=sealed)
    assert "DISABLED" in refusal.message
    assert set_state(State.ENABLED).state == State.ENABLED
    assert client.decrypt(name=KEY, ciphertext=sealed).plaintext == b"x"
    scheduled = client.destroy_crypto_key_version(name=first)
    assert scheduled.state == State.DESTROY_SCHEDULED and scheduled.destroy_time
    refused("FAILED_PRECONDITION", client.decrypt, name=KEY, ciphertext=sealed)
    assert client.restore_crypto_key_version(name=first).state == State.DISABLED
    refused("FAILED_PRECONDITION", client.restore_crypto_key_version, name=first)
    assert client.get_crypto_key_version(name=first).state == State.DISABLED


def signing(client) -> None:
    template = {"algorithm": Algorithm.EC_SIGN_P256_SHA256}
    made = client.create_crypto_key(
        parent=RING,
        crypto_key_id="signer",
        crypto_key={"purpose": Purpose.ASYMMETRIC_SIGN, "version_template": template},
    )
    assert not made.primary.name
    version = f"{SIGNER}/cryptoKeyVersions/1"
    data = b"what is signed"
    digest = hashlib.sha256(data).digest()
    signed = client.asymmetric_sign(
        request={"name": version, "digest": {"sha256": digest}, "digest_crc32c": crc(digest)}
    )
    assert signed.name == version and signed.verified_digest_crc32c
    assert signed.signature_crc32c == crc(signed.signature)
    public = client.get_public_key(name=version)
    assert public.name == version and public.algorithm == Algorithm.EC_SIGN_P256_SHA256
    assert public.pem_crc32c == crc(public.pem.encode())
    key = serialization.load_pem_public_key(public.pem.encode())
    algorithm = ec.ECDSA(utils.Prehashed(hashes.SHA256()))
    key.verify(signed.signature, digest, algorithm)
    try:
        key.verify(signed.signature, bytes(32), algorithm)
        raise AssertionError("another digest has the same signature")
    except InvalidSignature:
        pass
    wrong = {"name": version, "digest": {"sha256": digest}, "digest_crc32c": 1}
    refused("INVALID_ARGUMENT", client.asymmetric_sign, wrong)
    refused("INVALID_ARGUMENT", client.encrypt, name=SIGNER, plaintext=b"")


def policies(client) -> None:
    options = options_pb2.GetPolicyOptions(requested_policy_version=3)
    read = iam_policy_pb2.GetIamPolicyRequest(resource=KEY, options=options)
    policy = client.get_iam_policy(request=read)
    assert not policy.bindings and policy.etag
    members = ["serviceAccount:worker@surface.iam.gserviceaccount.com"]
    binding = policy_pb2.Binding(role="roles/cloudkms.cryptoKeyDecrypter", members=members)
    policy.bindings.append(binding)
    write = iam_policy_pb2.SetIamPolicyRequest(resource=KEY, policy=policy)
    written = client.set_iam_policy(request=write)
    assert list(written.bindings) == [binding] and written.etag != policy.etag
    assert client.get_iam_policy(request=read).bindings == written.bindings
    refused("ABORTED", client.set_iam_policy, request=write)
    asked = ["cloudkms.cryptoKeyVersions.useToDecrypt"]
    granted = client.test_iam_permissions(
        request=iam_policy_pb2.TestIamPermissionsRequest(resource=KEY, permissions=asked)
    )
    assert list(granted.permissions) == asked

"""Writes, lists, reads and deletes objects with Google's client for Cloud Storage."""

import base64
import json
import sys

import google_crc32c
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage


def refused(call):
    try:
        call()
    except exceptions.GoogleAPICallError as error:
        return type(error).__name__
    return None


request = json.load(sys.stdin)
client = storage.Client(
    project="project",
    credentials=AnonymousCredentials(),
    client_options={"api_endpoint": request["url"]},
)
answer = {"missing_bucket": client.lookup_bucket(request["bucket"]) is None}
bucket = client.create_bucket(request["bucket"])
answer["created_again"] = refused(lambda: client.create_bucket(request["bucket"]))

for name in request["names"]:
    bucket.blob(name).upload_from_string(name, content_type="text/plain", if_generation_match=0)
answer["listed"] = [blob.name for blob in client.list_blobs(bucket, prefix="a/")]
blobs = [bucket.get_blob(name) for name in request["names"]]
answer["contents"] = [blob.download_as_bytes(checksum="crc32c").decode() for blob in blobs]
answer["checksums"] = all(
    base64.b64decode(blob.crc32c) == google_crc32c.Checksum(blob.name.encode()).digest() for blob in blobs
)

first = bucket.blob(request["names"][0])
answer["replaced"] = refused(lambda: first.upload_from_string("new", if_generation_match=0))
first.upload_from_string("new", if_generation_match=blobs[0].generation)
answer["updated"] = first.download_as_bytes().decode()
for name in request["names"][:-1]:
    bucket.blob(name).delete()
answer["missing"] = refused(bucket.blob(request["names"][0]).delete)
answer["left"] = [blob.name for blob in client.list_blobs(bucket)]
print(json.dumps(answer))

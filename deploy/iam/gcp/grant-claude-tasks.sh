#!/bin/sh
# Lets the API and the worker of claude-tasks in a GKE cluster use their keys and their bucket, by Workload Identity
# Federation. They need no service account of Google Cloud and no key file.
set -eu

: "${PROJECT:?the project of the cluster, the keys and the bucket}"
: "${KEY_RING:?the key ring}" "${KEY:?the key of payloads}" "${SECRETS_KEY:?the key of secrets}"
LOCATION=${LOCATION:-global}
NAMESPACE=${NAMESPACE:-claude-tasks}

number=$(gcloud projects describe "$PROJECT" --format='value(projectNumber)')
subjects=principal://iam.googleapis.com/projects/$number/locations/global/workloadIdentityPools/$PROJECT.svc.id.goog/subject
api=$subjects/ns/$NAMESPACE/sa/claude-tasks-api
worker=$subjects/ns/$NAMESPACE/sa/claude-tasks-worker

key() {
    gcloud kms keys add-iam-policy-binding "$1" --keyring="$KEY_RING" --location="$LOCATION" --project="$PROJECT" \
        --member="$2" --role="roles/cloudkms.$3"
}
# The API decrypts payloads, too: it shows the events of tasks to their callers. It cannot decrypt the secrets of requests.
key "$KEY" "$api" cryptoKeyEncrypterDecrypter
key "$KEY" "$worker" cryptoKeyEncrypterDecrypter
key "$SECRETS_KEY" "$api" cryptoKeyEncrypter
key "$SECRETS_KEY" "$worker" cryptoKeyDecrypter

# The API writes the sealed secrets of requests, and cannot read them back.
if [ -n "${BUCKET:-}" ]; then
    bucket() {
        gcloud storage buckets add-iam-policy-binding "gs://$BUCKET" --project="$PROJECT" \
            --member="$1" --role="roles/storage.$2" --condition="$3"
    }
    objects=projects/_/buckets/$BUCKET/objects
    bucket "$worker" objectUser None
    bucket "$api" objectCreator \
        "title=sealed-requests,expression=resource.name.startsWith(\"$objects/encrypted-payloads/\")"
    bucket "$api" objectViewer "title=logs-of-tasks,expression=resource.name.startsWith(\"$objects/sessions/\")"
fi

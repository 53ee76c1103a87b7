#!/bin/sh
# Lets the codec server of a GKE cluster decrypt with a key, by Workload Identity Federation. It needs no service account
# of Google Cloud and no key file.
set -eu

: "${PROJECT:?the project of the cluster and of the key}"
: "${KEY_RING:?the key ring}" "${KEY:?the key}"
LOCATION=${LOCATION:-global}
NAMESPACE=${NAMESPACE:-temporal}
SERVICE_ACCOUNT=${SERVICE_ACCOUNT:-codec-server}

number=$(gcloud projects describe "$PROJECT" --format='value(projectNumber)')
pool=projects/$number/locations/global/workloadIdentityPools/$PROJECT.svc.id.goog
member=principal://iam.googleapis.com/$pool/subject/ns/$NAMESPACE/sa/$SERVICE_ACCOUNT

# If people start workflows through the codec server, use roles/cloudkms.cryptoKeyEncrypterDecrypter.
gcloud kms keys add-iam-policy-binding "$KEY" --keyring="$KEY_RING" --location="$LOCATION" --project="$PROJECT" \
    --member="$member" --role=roles/cloudkms.cryptoKeyDecrypter

# The key that signs the audit log, if there is one. Signing looks for the newest version first, which needs the second role.
if [ -n "${AUDIT_KEY:-}" ]; then
    for role in roles/cloudkms.signer roles/cloudkms.viewer; do
        gcloud kms keys add-iam-policy-binding "$AUDIT_KEY" --keyring="$KEY_RING" --location="$LOCATION" \
            --project="$PROJECT" --member="$member" --role="$role"
    done
fi

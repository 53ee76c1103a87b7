#!/bin/sh
# Gives the API and the worker of claude-tasks in an EKS cluster their roles (IRSA), with permissions on their keys and
# their bucket. The policies are the files beside this one. Run it again after a change.
set -eu

: "${ACCOUNT:?the number of the account of the cluster}"
: "${OIDC_PROVIDER:?the OIDC provider of the cluster, without https://}"
: "${KEY:?the ARN of the key of payloads}" "${SECRETS_KEY:?the ARN of the key of secrets}"
: "${STORE:?the store, such as s3://my-bucket/claude-tasks}"
NAMESPACE=${NAMESPACE:-claude-tasks}
TEMPORAL_NAMESPACE=${TEMPORAL_NAMESPACE:-default}

for value in "$ACCOUNT" "$OIDC_PROVIDER" "$KEY" "$SECRETS_KEY" "$STORE" "$NAMESPACE" "$TEMPORAL_NAMESPACE"; do
    case $value in
        *[!A-Za-z0-9:/._-]*) echo "$0: $value has a character that no name here has" >&2; exit 64 ;;
    esac
done
case $STORE in
    s3://?*) place=${STORE#s3://} place=${place%/} bucket=${place%%/*} ;;
    *) echo "$0: STORE must begin with s3://" >&2; exit 64 ;;
esac
policies=$(dirname "$0")

trust() {
    sed -e "s|arn:aws:iam::111122223333:|arn:aws:iam::$ACCOUNT:|" \
        -e "s|oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE|$OIDC_PROVIDER|" \
        -e "s|serviceaccount:temporal:codec-server|serviceaccount:$NAMESPACE:$1|" "$policies/trust-irsa.json"
}
role() {
    if aws iam get-role --role-name "$1" >/dev/null 2>&1; then
        aws iam update-assume-role-policy --role-name "$1" --policy-document "$(trust "$1")"
    else
        aws iam create-role --role-name "$1" --assume-role-policy-document "$(trust "$1")"
    fi
}
key() {
    document=$(sed -e "s|arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab|$4|" \
        -e "s|\"default\"|\"$TEMPORAL_NAMESPACE\"|" "$policies/$3.json")
    aws iam put-role-policy --role-name "$1" --policy-name "$2" --policy-document "$document"
}
store() {
    document=$(sed -e "s|:::my-bucket/claude-tasks/|:::$place/|" -e "s|:::my-bucket\"|:::$bucket\"|" "$policies/$2.json")
    aws iam put-role-policy --role-name "$1" --policy-name store --policy-document "$document"
}

role claude-tasks-api
role claude-tasks-worker
# The API decrypts payloads, too: it shows the events of tasks to their callers. It cannot decrypt the secrets of requests.
key claude-tasks-api payloads use-worker "$KEY"
key claude-tasks-worker payloads use-worker "$KEY"
key claude-tasks-api secrets use-client "$SECRETS_KEY"
key claude-tasks-worker secrets use-codec-server "$SECRETS_KEY"
# The API writes the sealed secrets of requests, and cannot read them back.
store claude-tasks-api store-api
store claude-tasks-worker store-worker

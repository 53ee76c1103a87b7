#!/bin/sh
# Runs a task with curl, and prints its events as they come.
#   SERVICE_URL        the URL of the service
#   ID_TOKEN           the caller's token; without it, gcloud makes one if it is installed
#   ANTHROPIC_API_KEY  the credential of the task
# Usage: client.sh PROMPT
set -eu
prompt=${1:?usage: client.sh PROMPT}
if [ -z "${ID_TOKEN:-}" ] && command -v gcloud >/dev/null; then
    ID_TOKEN=$(gcloud auth print-identity-token --include-email --audiences="$SERVICE_URL")
fi
# The credential and the token must not be arguments: other users of the machine can read those.
python3 -c 'import json, os, sys
print(json.dumps({"prompt": sys.argv[1], "anthropicApiKey": os.environ["ANTHROPIC_API_KEY"]}))' "$prompt" |
    curl --silent --show-error --fail-with-body --no-buffer "$SERVICE_URL/run" \
        --header "Content-Type: application/json" --header "@/dev/fd/3" --data @- 3<<HEADERS
${ID_TOKEN:+Authorization: Bearer $ID_TOKEN}
HEADERS

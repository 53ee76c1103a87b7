#!/bin/sh
# A gcloud that keeps names, labels and policies in files of $GCLOUD_STATE. It writes each call that changes something to
# `changes`, and refuses the one whose number is in `fail`.
set -eu
cd "$GCLOUD_STATE"

words= last= format= member= role= condition= labels= days= input=
for argument in "$@"; do
    case $argument in
    --format=*) format=${argument#*=} ;;
    --member=*) member=${argument#*=} ;;
    --role=*) role=${argument#*=} ;;
    --condition=*) condition=${argument#*=} ;;
    --labels=* | --update-labels=*) labels=${argument##*=} ;;
    --retention-days=*) days=${argument#*=} ;;
    --data-file=- | --lifecycle-file=/dev/stdin) input=$(cat) ;;
    --*) ;;
    *) words="$words $argument" last=$argument ;;
    esac
done
words=${words# }

change() {
    echo x >>count
    case $words in
    # Nobody else sees the secret, and each one is different.
    "secrets create claude-tasks-webhook") input="${#input} characters" ;;
    esac
    printf '%s' "$*${input:+ < $input}" | tr '\n' ' ' >>changes
    echo >>changes
    if [ -e fail ] && [ "$(wc -l <count)" -eq "$(cat fail)" ]; then
        echo "ERROR: (gcloud) PERMISSION_DENIED: the caller does not have permission" >&2
        exit 1
    fi
}

# The names of a kind, each with its label or number where the format has one.
list() {
    touch "$1"
    case $format in
    *labels* | *retentionDays* | *tags*) cat "$1" ;;
    *) cut -f 1 "$1" ;;
    esac
}

put() {
    touch "$1"
    grep -v "^$2	" "$1" >kept || true
    printf '%s\t%s\n' "$2" "$3" >>kept
    mv kept "$1"
}

remove() {
    grep -v "^$2	" "$1" >kept || true
    mv kept "$1"
}

# What a policy belongs to: everything but the verb.
policy=$(printf %s "$words" | sed 's/ add-iam-policy-binding / /; s/ get-iam-policy / /' | tr ' /:' '___')
name=${last#gs://}

case $words in
"projects describe "*) echo 123456789012; exit ;;
*" get-iam-policy "*)
    touch "policy.$policy"
    printf '{"bindings":[%s]}\n' "$(paste -s -d , "policy.$policy")"
    exit
    ;;
"services list") list services; exit ;;
"artifacts repositories list") list repositories; exit ;;
"artifacts docker images list "*) list images; exit ;;
"kms keyrings list") list rings; exit ;;
"kms keys list") list keys; exit ;;
"iam service-accounts list") list accounts; exit ;;
"storage buckets list") list buckets; exit ;;
"secrets list") list secrets; exit ;;
"logging buckets list") list log-buckets; exit ;;
"logging sinks list") list sinks; exit ;;
"run services list") list services-of-run; exit ;;
"beta run worker-pools list") list pools; exit ;;
esac

change "$@"
case $words in
"services enable "*) for api in ${words#services enable }; do put services "$api" ""; done ;;
"artifacts repositories create "*) put repositories "$name" "" ;;
"artifacts repositories delete "*) remove repositories "$name" ;;
"builds submit "*)
    for argument in "$@"; do
        case $argument in
        --substitutions=_IMAGES=*) images=${argument#--substitutions=_IMAGES=} ;;
        esac
    done
    put images "${images%,_TAG=*}/api" "${images#*,_TAG=}"
    put images "${images%,_TAG=*}/worker" "${images#*,_TAG=}"
    ;;
"kms keyrings create "*) put rings "$name" "" ;;
"kms keys create "*) put keys "$name" "" ;;
*" add-iam-policy-binding "*)
    case $condition in
    "" | None) condition= ;;
    *) condition=${condition#title=} condition=",\"condition\":{\"title\":\"${condition%%,*}\"}" ;;
    esac
    printf '{"role":"%s","members":["%s"]%s}\n' "$role" "$member" "$condition" >>"policy.$policy"
    ;;
"iam service-accounts create "*) put accounts "$name@my-project.iam.gserviceaccount.com" "" ;;
"iam service-accounts delete "*) remove accounts "$name" ;;
"storage buckets create "*) put buckets "$name" "" ;;
"storage buckets update "*) put buckets "$name" "$labels" ;;
"storage rm "*) remove buckets "$name" ;;
"secrets create "*) put secrets "$name" "" ;;
"secrets versions add "*) ;;
"secrets update "*) put secrets "$name" "$labels" ;;
"secrets delete "*) remove secrets "$name" ;;
"logging buckets create "* | "logging buckets update "*) put log-buckets "$name" "$days" ;;
"logging buckets delete "*) remove log-buckets "$name" ;;
"logging sinks create claude-tasks "*) put sinks claude-tasks "" ;;
"logging sinks delete "*) remove sinks "$name" ;;
"run deploy "*) put services-of-run "$name" "$labels" ;;
"run services delete "*) remove services-of-run "$name" ;;
"beta run worker-pools deploy "*) put pools "$name" "$labels" ;;
"beta run worker-pools delete "*) remove pools "$name" ;;
*)
    echo "ERROR: (gcloud) Invalid choice: $words" >&2
    exit 2
    ;;
esac

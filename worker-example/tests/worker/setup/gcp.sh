#!/bin/sh
# What `claude-tasks setup gcp` does. It looks before each step; this script does not.
set -eu
export CLOUDSDK_CORE_DISABLE_PROMPTS=1
PROJECT_NUMBER=$(gcloud projects describe my-project --format='value(projectNumber)')

# enable the APIs of the project.
gcloud services enable artifactregistry.googleapis.com cloudbuild.googleapis.com cloudkms.googleapis.com iamcredentials.googleapis.com logging.googleapis.com run.googleapis.com secretmanager.googleapis.com storage.googleapis.com \
  --project=my-project

# create the repository claude-tasks for images.
gcloud artifacts repositories create claude-tasks \
  --project=my-project \
  --location=europe-west1 \
  --repository-format=docker \
  --description='Images of claude-tasks'

# build the images api and worker with the tag 0.1.0.
gcloud builds submit . \
  --project=my-project \
  --region=europe-west1 \
  --config=./deploy/cloud-run/cloudbuild.yaml \
  --substitutions=_IMAGES=europe-west1-docker.pkg.dev/my-project/claude-tasks,_TAG=0.1.0

# create the key ring claude-code in global.
gcloud kms keyrings create claude-code \
  --project=my-project \
  --location=global

# create the key payload-encryption of payloads, with a new version every 90 days.
gcloud kms keys create payload-encryption \
  --project=my-project \
  --location=global \
  --keyring=claude-code \
  --purpose=encryption \
  --rotation-period=90d \
  --next-rotation-time=+p90d

# create the key secret-encryption of secrets, with a new version every 90 days.
gcloud kms keys create secret-encryption \
  --project=my-project \
  --location=global \
  --keyring=claude-code \
  --purpose=encryption \
  --rotation-period=90d \
  --next-rotation-time=+p90d

# create the service account of the API.
gcloud iam service-accounts create claude-tasks-api \
  --project=my-project \
  --display-name='claude-tasks: the API'

# create the service account of the worker.
gcloud iam service-accounts create claude-tasks-worker \
  --project=my-project \
  --display-name='claude-tasks: the worker'

# create the service account of clients.
gcloud iam service-accounts create claude-tasks-client \
  --project=my-project \
  --display-name='claude-tasks: clients'

# let user:ann@example.com make tokens for clients.
gcloud iam service-accounts add-iam-policy-binding claude-tasks-client@my-project.iam.gserviceaccount.com \
  --project=my-project \
  --member=user:ann@example.com \
  --role=roles/iam.serviceAccountOpenIdTokenCreator

# let the API encrypt and decrypt payloads.
gcloud kms keys add-iam-policy-binding payload-encryption \
  --project=my-project \
  --location=global \
  --keyring=claude-code \
  --member=serviceAccount:claude-tasks-api@my-project.iam.gserviceaccount.com \
  --role=roles/cloudkms.cryptoKeyEncrypterDecrypter

# let the worker encrypt and decrypt payloads.
gcloud kms keys add-iam-policy-binding payload-encryption \
  --project=my-project \
  --location=global \
  --keyring=claude-code \
  --member=serviceAccount:claude-tasks-worker@my-project.iam.gserviceaccount.com \
  --role=roles/cloudkms.cryptoKeyEncrypterDecrypter

# let the API encrypt the secrets of requests.
gcloud kms keys add-iam-policy-binding secret-encryption \
  --project=my-project \
  --location=global \
  --keyring=claude-code \
  --member=serviceAccount:claude-tasks-api@my-project.iam.gserviceaccount.com \
  --role=roles/cloudkms.cryptoKeyEncrypter

# let the worker decrypt the secrets of requests.
gcloud kms keys add-iam-policy-binding secret-encryption \
  --project=my-project \
  --location=global \
  --keyring=claude-code \
  --member=serviceAccount:claude-tasks-worker@my-project.iam.gserviceaccount.com \
  --role=roles/cloudkms.cryptoKeyDecrypter

# create the bucket my-project-claude-tasks.
gcloud storage buckets create gs://my-project-claude-tasks \
  --project=my-project \
  --location=europe-west1 \
  --uniform-bucket-level-access \
  --public-access-prevention \
  --soft-delete-duration=0

# delete sealed requests after 3 days, and logs after 30 days.
gcloud storage buckets update gs://my-project-claude-tasks \
  --project=my-project \
  --lifecycle-file=/dev/stdin \
  --update-labels=claude_tasks_setup=369a7bfc46f351d7 <<'EOF'
{"rule":[{"action":{"type":"Delete"},"condition":{"age":3,"matchesPrefix":["encrypted-payloads/"]}},{"action":{"type":"Delete"},"condition":{"age":30,"matchesPrefix":["sessions/"]}}]}
EOF

# let the worker read, write and delete objects.
gcloud storage buckets add-iam-policy-binding gs://my-project-claude-tasks \
  --project=my-project \
  --condition=None \
  --member=serviceAccount:claude-tasks-worker@my-project.iam.gserviceaccount.com \
  --role=roles/storage.objectUser

# let the API write sealed requests.
gcloud storage buckets add-iam-policy-binding gs://my-project-claude-tasks \
  --project=my-project \
  --member=serviceAccount:claude-tasks-api@my-project.iam.gserviceaccount.com \
  --role=roles/storage.objectCreator \
  --condition='title=sealed-requests,expression=resource.name.startsWith("projects/_/buckets/my-project-claude-tasks/objects/encrypted-payloads/")'

# let the API read the logs of tasks.
gcloud storage buckets add-iam-policy-binding gs://my-project-claude-tasks \
  --project=my-project \
  --member=serviceAccount:claude-tasks-api@my-project.iam.gserviceaccount.com \
  --role=roles/storage.objectViewer \
  --condition='title=logs-of-tasks,expression=resource.name.startsWith("projects/_/buckets/my-project-claude-tasks/objects/sessions/")'

# create the secret claude-tasks-webhook that signs webhooks.
openssl rand -hex 32 | tr -d '\n' | gcloud secrets create claude-tasks-webhook \
  --project=my-project \
  --replication-policy=automatic \
  --data-file=-

# create the secret claude-tasks-api-config.
gcloud secrets create claude-tasks-api-config \
  --project=my-project \
  --replication-policy=automatic

# write the configuration of the API: whose tokens it accepts.
gcloud secrets versions add claude-tasks-api-config \
  --project=my-project \
  --data-file=- <<EOF
# Cloud Run kills an instance ten seconds after SIGTERM.
[api]
shutdown_grace = "8s"

[auth.issuers.google]
profile = "google"
audience = ["https://claude-tasks-api-$PROJECT_NUMBER.europe-west1.run.app"]

[auth.issuers.google.emails]
"claude-tasks-client@my-project.iam.gserviceaccount.com" = ["default:write"]
EOF
gcloud secrets update claude-tasks-api-config \
  --project=my-project \
  --update-labels=claude_tasks_setup=35aabe36c72cb658

# let the worker read the secret claude-tasks-webhook.
gcloud secrets add-iam-policy-binding claude-tasks-webhook \
  --project=my-project \
  --member=serviceAccount:claude-tasks-worker@my-project.iam.gserviceaccount.com \
  --role=roles/secretmanager.secretAccessor

# let the API read the secret claude-tasks-api-config.
gcloud secrets add-iam-policy-binding claude-tasks-api-config \
  --project=my-project \
  --member=serviceAccount:claude-tasks-api@my-project.iam.gserviceaccount.com \
  --role=roles/secretmanager.secretAccessor

# create the log bucket claude-tasks.
gcloud logging buckets create claude-tasks \
  --project=my-project \
  --location=europe-west1

# keep the logs of both programs for 30 days.
gcloud logging buckets update claude-tasks \
  --project=my-project \
  --location=europe-west1 \
  --retention-days=30

# send the log of both programs there.
gcloud logging sinks create claude-tasks logging.googleapis.com/projects/my-project/locations/europe-west1/buckets/claude-tasks \
  --project=my-project \
  --log-filter='resource.labels.service_name="claude-tasks-api" OR resource.labels.worker_pool_name="claude-tasks-worker"'

# deploy the API as the service claude-tasks-api.
gcloud run deploy claude-tasks-api \
  --project=my-project \
  --region=europe-west1 \
  --image=europe-west1-docker.pkg.dev/my-project/claude-tasks/api:0.1.0 \
  --service-account=claude-tasks-api@my-project.iam.gserviceaccount.com \
  --no-invoker-iam-check \
  --port=8080 \
  --cpu=1 \
  --memory=512Mi \
  --concurrency=80 \
  --min-instances=0 \
  --max-instances=10 \
  --timeout=3600 \
  --startup-probe=httpGet.path=/readyz,httpGet.port=8080,periodSeconds=2,failureThreshold=30 \
  --set-env-vars='^|^CLAUDE_TASKS_LOG_FORMAT=json|CLAUDE_TASKS_SECRETS_KEY=gcp-kms://projects/my-project/locations/global/keyRings/claude-code/cryptoKeys/secret-encryption|CLAUDE_TASKS_TASK_QUEUE=claude-tasks|GCS_LOGS_BUCKET=my-project-claude-tasks|GOOGLE_CLOUD_PROJECT=my-project|TEMPORAL_ADDRESS=temporal.example.com:7233|TEMPORAL_CODEC_KEY=gcp-kms://projects/my-project/locations/global/keyRings/claude-code/cryptoKeys/payload-encryption|TEMPORAL_NAMESPACE=default|CODEC_CONFIG=/etc/claude-tasks/api.toml' \
  --set-secrets=/etc/claude-tasks/api.toml=claude-tasks-api-config:latest \
  --labels=claude_tasks_setup=1098c2b7775b48e9

# deploy 1 workers as the worker pool claude-tasks-worker.
gcloud beta run worker-pools deploy claude-tasks-worker \
  --project=my-project \
  --region=europe-west1 \
  --image=europe-west1-docker.pkg.dev/my-project/claude-tasks/worker:0.1.0 \
  --service-account=claude-tasks-worker@my-project.iam.gserviceaccount.com \
  --scaling=1 \
  --cpu=2 \
  --memory=4Gi \
  --set-env-vars='^|^CLAUDE_TASKS_LOG_FORMAT=json|CLAUDE_TASKS_SECRETS_KEY=gcp-kms://projects/my-project/locations/global/keyRings/claude-code/cryptoKeys/secret-encryption|CLAUDE_TASKS_TASK_QUEUE=claude-tasks|GCS_LOGS_BUCKET=my-project-claude-tasks|GOOGLE_CLOUD_PROJECT=my-project|TEMPORAL_ADDRESS=temporal.example.com:7233|TEMPORAL_CODEC_KEY=gcp-kms://projects/my-project/locations/global/keyRings/claude-code/cryptoKeys/payload-encryption|TEMPORAL_NAMESPACE=default|CLAUDE_TASKS_MAX_TASKS=1|CLAUDE_TASKS_DRAIN_TIME=0s|CLAUDE_TASKS_GRACE_TIME=5s|CLAUDE_TASKS_LOG_RETENTION=30d' \
  --set-secrets=CLOUDRUN_CALLBACK_SECRET=claude-tasks-webhook:latest \
  --labels=claude_tasks_setup=0ff1590d51778c3d

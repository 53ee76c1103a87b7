#!/bin/sh
# What `claude-tasks setup gcp` does. It looks before each step; this script does not.
set -eu
export CLOUDSDK_CORE_DISABLE_PROMPTS=1
PROJECT_NUMBER=$(gcloud projects describe my-project --format='value(projectNumber)')

# delete the worker pool claude-tasks-worker.
gcloud beta run worker-pools delete claude-tasks-worker \
  --project=my-project \
  --region=europe-west1 \
  --quiet

# delete the service claude-tasks-api.
gcloud run services delete claude-tasks-api \
  --project=my-project \
  --region=europe-west1 \
  --quiet

# delete the sink claude-tasks.
gcloud logging sinks delete claude-tasks \
  --project=my-project \
  --quiet

# delete the secret claude-tasks-webhook.
gcloud secrets delete claude-tasks-webhook \
  --project=my-project \
  --quiet

# delete the secret claude-tasks-api-config.
gcloud secrets delete claude-tasks-api-config \
  --project=my-project \
  --quiet

# delete the service account claude-tasks-client@my-project.iam.gserviceaccount.com.
gcloud iam service-accounts delete claude-tasks-client@my-project.iam.gserviceaccount.com \
  --project=my-project \
  --quiet

# delete the service account claude-tasks-worker@my-project.iam.gserviceaccount.com.
gcloud iam service-accounts delete claude-tasks-worker@my-project.iam.gserviceaccount.com \
  --project=my-project \
  --quiet

# delete the service account claude-tasks-api@my-project.iam.gserviceaccount.com.
gcloud iam service-accounts delete claude-tasks-api@my-project.iam.gserviceaccount.com \
  --project=my-project \
  --quiet

# delete the log bucket claude-tasks.
gcloud logging buckets delete claude-tasks \
  --project=my-project \
  --location=europe-west1 \
  --quiet

# delete the bucket my-project-claude-tasks with everything in it.
gcloud storage rm gs://my-project-claude-tasks \
  --project=my-project \
  --recursive \
  --quiet

# delete the repository claude-tasks with its images.
gcloud artifacts repositories delete claude-tasks \
  --project=my-project \
  --location=europe-west1 \
  --quiet

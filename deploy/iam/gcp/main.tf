# A key for payloads, and the codec server of a GKE cluster that may decrypt with it, by Workload Identity Federation.

terraform {
  required_version = ">= 1.5"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 5.0"
    }
  }
}

variable "project" {
  description = "The project of the cluster and of the key"
  type        = string
}

variable "location" {
  description = "The location of the key ring"
  type        = string
  default     = "global"
}

variable "namespace" {
  description = "The Kubernetes namespace of the codec server"
  type        = string
  default     = "temporal"
}

variable "service_account" {
  description = "The Kubernetes service account of the codec server"
  type        = string
  default     = "codec-server"
}

variable "audit_log" {
  description = "Whether the codec server signs its audit log"
  type        = bool
  default     = false
}

data "google_project" "this" {
  project_id = var.project
}

locals {
  codec_server = join("", [
    "principal://iam.googleapis.com/projects/${data.google_project.this.number}",
    "/locations/global/workloadIdentityPools/${var.project}.svc.id.goog",
    "/subject/ns/${var.namespace}/sa/${var.service_account}",
  ])
}

resource "google_kms_key_ring" "temporal" {
  project  = var.project
  name     = "temporal"
  location = var.location
}

resource "google_kms_crypto_key" "payloads" {
  name            = "payloads"
  key_ring        = google_kms_key_ring.temporal.id
  purpose         = "ENCRYPT_DECRYPT"
  rotation_period = "7776000s" # 90 days

  # Payloads of a destroyed key are lost.
  lifecycle {
    prevent_destroy = true
  }
}

resource "google_kms_crypto_key_iam_member" "codec_server" {
  crypto_key_id = google_kms_crypto_key.payloads.id
  # If people start workflows through the codec server: roles/cloudkms.cryptoKeyEncrypterDecrypter.
  role   = "roles/cloudkms.cryptoKeyDecrypter"
  member = local.codec_server
}

resource "google_kms_crypto_key" "audit" {
  count    = var.audit_log ? 1 : 0
  name     = "audit"
  key_ring = google_kms_key_ring.temporal.id
  purpose  = "ASYMMETRIC_SIGN"

  version_template {
    algorithm = "EC_SIGN_P256_SHA256"
  }

  # Without its public key, nobody can verify the log.
  lifecycle {
    prevent_destroy = true
  }
}

resource "google_kms_crypto_key_iam_member" "codec_server_audit" {
  # Signing looks for the newest version first, which needs the second role.
  for_each      = var.audit_log ? toset(["roles/cloudkms.signer", "roles/cloudkms.viewer"]) : toset([])
  crypto_key_id = google_kms_crypto_key.audit[0].id
  role          = each.value
  member        = local.codec_server
}

output "key_uri" {
  description = "The name of the key in codec.toml"
  value       = "gcp-kms://${google_kms_crypto_key.payloads.id}"
}

output "audit_key_uri" {
  description = "The name of the key that signs the audit log"
  value       = one([for key in google_kms_crypto_key.audit : "gcp-kms://${key.id}"])
}

//! The arguments of `keys setup`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use temporal_kms_codec::Namespace;

use super::{
    super::values::{ProtectionArg, Rotation, label, namespace, region},
    KeyPlace,
};

pub(super) const HELP: &str = "\
Examples:
  codec-server keys setup --project my-project --dry-run
  codec-server keys setup --project my-project \\
    --api-member serviceAccount:api@my-project.iam.gserviceaccount.com \\
    --worker-member serviceAccount:worker@my-project.iam.gserviceaccount.com
  codec-server keys setup --provider aws --aws-region eu-west-1 \\
    --key-alias alias/payload-encryption \\
    --api-member arn:aws:iam::111122223333:role/api \\
    --worker-member arn:aws:iam::111122223333:role/worker
  codec-server keys setup --provider aws --aws-region eu-west-1 \\
    --replica-region us-west-2
  codec-server keys setup --project my-project --print terraform > kms.tf

Steps that are done already are left alone, so the command can be run again.
In the .env file it sets KMS_PROVIDER, and KMS_KEY_RING, KMS_KEY_NAME,
KMS_LOCATION and PROJECT_ID, or for AWS KMS AWS_REGION and KMS_KEY_ALIAS.
With replicas, KMS_KEY_ALIAS is the key's ARN, and KMS_REPLICA_REGIONS is set
too. Every other line stays.

codec-server and claude-tasks read .env in the folder in which they start. A
variable that is set already keeps its value. TEMPORAL_CODEC_ENV_FILE names
another file, or `none`.";

#[derive(Debug, Args)]
pub(in super::super) struct SetupArgs {
    /// The service.
    #[arg(long, value_enum, env = "KMS_PROVIDER", default_value_t)]
    pub(in super::super) provider: Provider,
    /// The Google Cloud project.
    #[arg(long, value_name = "ID", env = "PROJECT_ID")]
    pub(in super::super) project: Option<String>,
    /// The key ring at Cloud KMS.
    #[arg(
        long,
        value_name = "NAME",
        env = "KMS_KEY_RING",
        default_value = "claude-code"
    )]
    pub(in super::super) key_ring: String,
    /// The key at Cloud KMS.
    #[arg(
        long,
        value_name = "NAME",
        env = "KMS_KEY_NAME",
        default_value = "payload-encryption"
    )]
    pub(in super::super) key_name: String,
    /// The key ring's location.
    #[arg(long, env = "KMS_LOCATION", default_value = "global")]
    pub(in super::super) location: String,
    /// The key at AWS KMS.
    #[arg(
        long,
        value_name = "ALIAS",
        env = "KMS_KEY_ALIAS",
        default_value = "alias/payload-encryption"
    )]
    pub(in super::super) key_alias: String,
    /// The account that starts workflows: it may encrypt. At Google Cloud an e-mail address is a service account.
    #[arg(long, value_name = "MEMBER")]
    pub(in super::super) api_member: Option<String>,
    /// The account that runs them: it may decrypt inputs and encrypt results.
    #[arg(long, value_name = "MEMBER")]
    pub(in super::super) worker_member: Option<String>,
    /// Permit only payloads of this namespace (AWS KMS).
    #[arg(long, value_name = "NAME", value_parser = namespace)]
    pub(in super::super) namespace: Option<Namespace>,
    /// How often the service rotates the key, or `never`.
    #[arg(long, value_name = "TIME", default_value = "90d")]
    pub(in super::super) rotation_period: Rotation,
    /// Where the key's material is kept [default: the service's own].
    #[arg(long, value_enum)]
    pub(in super::super) protection: Option<ProtectionArg>,
    /// A label, or tag, of a key that is created; may be repeated.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    pub(in super::super) labels: Vec<(String, String)>,
    /// Let the key have replicas in other regions (AWS KMS); also `KMS_ENABLE_MULTI_REGION=true`.
    #[arg(long)]
    pub(in super::super) multi_region: bool,
    #[command(flatten)]
    pub(in super::super) place: KeyPlace,
    /// Create a replica in this region; may be repeated. The key is then a multi-region key (AWS KMS); also
    /// `KMS_REPLICA_REGIONS`.
    #[arg(long = "replica-region", value_name = "REGION", value_parser = region)]
    pub(in super::super) replica_regions: Vec<String>,
    /// Print the commands of another tool, and change nothing: gcloud, aws or terraform.
    #[arg(long, value_name = "TOOL", conflicts_with = "dry_run")]
    pub(in super::super) print: Option<String>,
    /// The file that gets the settings.
    #[arg(long, value_name = "FILE", default_value = ".env")]
    pub(in super::super) env_file: PathBuf,
    /// Print what would be done, and change nothing.
    #[arg(long)]
    pub(in super::super) dry_run: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(in super::super) enum Provider {
    #[default]
    Gcp,
    Aws,
}

//! The options of `setup gcp`.

use std::path::PathBuf;

use clap::{Args, builder::RangedU64ValueParser};
use temporal_kms_codec_service::exit::{Failure, Status};

use super::super::{
    gcloud::NUMBER,
    values::{days, email, member, name, origin, project, word},
};

pub(in super::super) const HELP: &str = "\
Examples:
  claude-tasks setup gcp --project my-project --region europe-west1 \\
    --temporal-address my-namespace.a1b2c.tmprl.cloud:7233 \\
    --temporal-namespace my-namespace.a1b2c \\
    --temporal-api-key-secret temporal-api-key --dry-run
  claude-tasks setup gcp --project my-project --region europe-west1 \\
    --temporal-address 10.0.0.5:7233 --network default --subnet default \\
    --client-user user:ann@example.com
  claude-tasks setup gcp --project my-project --region europe-west1 \\
    --tear-down --yes

--dry-run prints the commands as a script for a shell, and calls nothing.
Without it, the command runs them through gcloud. Each step looks first whether
it is done, so the command can be run again: after a failure, or with other
options.

The API and the worker have service accounts of their own. The API can seal the
secrets of a request, and cannot open or read them.";

/// Where the service runs, and what it needs there.
#[derive(Debug, Args)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each of them is an option of the command line"
)]
pub(in super::super) struct GcpArgs {
    /// The Google Cloud project.
    #[arg(long, value_name = "ID", env = "PROJECT_ID", value_parser = project)]
    pub(in super::super) project: String,
    /// The region of Cloud Run, such as europe-west1.
    #[arg(long, env = "REGION", value_parser = name)]
    pub(super) region: String,
    /// The bucket for logs and sealed requests [default: `PROJECT-claude-tasks`].
    #[arg(long, value_name = "NAME", env = "GCS_LOGS_BUCKET", value_parser = name)]
    bucket: Option<String>,
    /// The location of the key ring.
    #[arg(long, value_name = "LOCATION", env = "KMS_LOCATION", default_value = "global", value_parser = name)]
    pub(super) key_location: String,
    /// The key ring.
    #[arg(long, value_name = "NAME", env = "KMS_KEY_RING", default_value = "claude-code", value_parser = name)]
    pub(super) key_ring: String,
    /// The key of payloads.
    #[arg(long, value_name = "NAME", env = "KMS_KEY_NAME", default_value = "payload-encryption", value_parser = name)]
    pub(super) key: String,
    /// The key of the secrets of requests. The API encrypts with it, and only the worker decrypts.
    #[arg(long, value_name = "NAME", default_value = "secret-encryption", value_parser = name)]
    pub(super) secrets_key: String,
    /// The repository of Artifact Registry for both images.
    #[arg(long, value_name = "NAME", default_value = "claude-tasks", value_parser = name)]
    pub(super) repository: String,
    /// The tag of both images.
    #[arg(long, value_name = "TAG", default_value = env!("CARGO_PKG_VERSION"), value_parser = name)]
    pub(super) tag: String,
    /// The source code, from which Cloud Build builds the images if the repository lacks them.
    #[arg(long, value_name = "DIR", default_value = ".", value_parser = word)]
    pub(super) source: String,
    /// The name of the API's service.
    #[arg(long, value_name = "NAME", env = "SERVICE_NAME", default_value = "claude-tasks-api", value_parser = name)]
    pub(super) service: String,
    /// The name of the worker pool.
    #[arg(long, value_name = "NAME", default_value = "claude-tasks-worker", value_parser = name)]
    pub(super) worker_pool: String,
    /// Temporal's address.
    #[arg(long, value_name = "ADDRESS", env = "TEMPORAL_ADDRESS", value_parser = word, required_unless_present = "tear_down")]
    pub(super) temporal_address: Option<String>,
    /// The namespace of Temporal.
    #[arg(long, value_name = "NAME", env = "TEMPORAL_NAMESPACE", default_value = "default", value_parser = name)]
    pub(super) temporal_namespace: String,
    /// The secret of Secret Manager with the API key of Temporal Cloud. Create it yourself.
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(super) temporal_api_key_secret: Option<String>,
    /// The task queue.
    #[arg(long, value_name = "NAME", env = "CLAUDE_TASKS_TASK_QUEUE", default_value = "claude-tasks", value_parser = name)]
    pub(super) task_queue: String,
    /// The network through which both programs reach private addresses, such as that of your own Temporal.
    #[arg(long, value_name = "NAME", value_parser = name, requires = "subnet")]
    pub(super) network: Option<String>,
    /// The subnet of the network.
    #[arg(long, value_name = "NAME", value_parser = name, requires = "network")]
    pub(super) subnet: Option<String>,
    /// The URL that clients use, if it is not the one of Cloud Run. It is the audience of their tokens.
    #[arg(long, value_name = "URL", value_parser = origin)]
    url: Option<String>,
    /// An e-mail address whose tokens the API accepts, besides the client's service account; may be repeated.
    #[arg(long = "caller", value_name = "EMAIL", value_parser = email)]
    pub(super) callers: Vec<String>,
    /// Accept the tokens that `gcloud auth print-identity-token` makes for people. Another service that such a token was sent
    /// to can use it here, because all of them have one audience.
    #[arg(long)]
    pub(super) gcloud_tokens: bool,
    /// A member that may make tokens for the client's service account, without a key file; may be repeated.
    #[arg(long = "client-user", value_name = "MEMBER", value_parser = member)]
    pub(super) client_users: Vec<String>,
    /// Create a key file for the client's service account. Prefer --client-user: a key file does not expire.
    #[arg(long, value_name = "FILE", conflicts_with = "tear_down")]
    pub(super) client_key: Option<PathBuf>,
    /// The most instances of the API.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = RangedU64ValueParser::<u16>::new().range(1..=1000))]
    pub(super) max_instances: u16,
    /// How many workers run. Each of them runs one task at a time.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = RangedU64ValueParser::<u16>::new().range(0..=1000))]
    pub(super) workers: u16,
    /// The processors of a worker.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = RangedU64ValueParser::<u16>::new().range(1..=8))]
    pub(super) worker_cpu: u16,
    /// The memory of a worker in GiB. Files of its tasks are in memory, too.
    #[arg(long, value_name = "GIB", default_value_t = 4, value_parser = RangedU64ValueParser::<u16>::new().range(2..=32))]
    pub(super) worker_memory: u16,
    /// How long logs are kept, in whole days such as 30d: those of tasks in the bucket, and those of both programs.
    #[arg(long = "log-retention", alias = "log-retention-days", value_name = "TIME", default_value = "30d", value_parser = days)]
    pub(super) log_retention_days: u16,
    /// Remove what this command has made, except keys, logs and images.
    #[arg(long)]
    pub(in super::super) tear_down: bool,
    /// With --tear-down: also remove the bucket with all logs, and the images.
    #[arg(long, requires = "tear_down")]
    pub(super) delete_data: bool,
    /// With --tear-down: yes, remove it.
    #[arg(long, requires = "tear_down")]
    yes: bool,
    /// Print the commands, and change nothing.
    #[arg(long)]
    pub(in super::super) dry_run: bool,
    /// Print JSON.
    #[arg(long)]
    pub(in super::super) json: bool,
}

impl GcpArgs {
    /// Refuses what cannot be done, before anything is done.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let wrong = |message: &str| Err(Failure::new(Status::Usage, message));
        if self.tear_down && !self.yes && !self.dry_run {
            return wrong(
                "--tear-down removes the service; look at it with --dry-run, then confirm it with --yes",
            );
        }
        if self.key == self.secrets_key {
            return wrong(
                "--key and --secrets-key name the same key; the API could then open the secrets of every request",
            );
        }
        Ok(())
    }

    pub(super) fn bucket(&self) -> String {
        let default = || format!("{}-claude-tasks", self.project.replace([':', '.'], "-"));
        self.bucket.clone().unwrap_or_else(default)
    }

    /// The URL of the service, perhaps with the project's number in it.
    pub(super) fn url(&self) -> String {
        let default = || format!("https://{}-{NUMBER}.{}.run.app", self.service, self.region);
        self.url.clone().unwrap_or_else(default)
    }
}

//! The arguments of `keys`.

mod setup;

use std::time::Duration;

use clap::{Args, Subcommand};
use temporal_kms_codec::{
    KeyUri, Namespace,
    kms::{KeyService, Kms},
};

pub(super) use self::setup::{Provider, SetupArgs};
use super::{
    super::{audit_log::AuditArgs, kms_args::KmsArgs},
    place::Place,
    values::{
        ProtectionArg, PurposeArg, RoleArg, Rotation, key_store, label, namespace, time, window,
    },
};

pub(in super::super) fn help() -> String {
    let forms = services(KeyService::key_forms);
    format!("{EXAMPLES}\n\nA KEY is named in one of these forms:\n{forms}\n\n{PERMISSIONS}")
}

const EXAMPLES: &str = "\
Examples:
  codec-server keys setup --project my-project \\
    --api-member api@my-project.iam.gserviceaccount.com
  codec-server keys create local://default --keyring keys
  codec-server keys describe \\
    gcp-kms://projects/P/locations/global/keyRings/R/cryptoKeys/K --json";

const PERMISSIONS: &str = "\
These commands need the permissions of an administrator of keys. The programs
that encrypt and decrypt should not have them.";

/// What the services of this build say, one text a line.
fn services(texts: impl Fn(&dyn KeyService) -> Vec<String>) -> String {
    let kms = Kms::default();
    let texts = kms.services().flat_map(|service| texts(&**service));
    let lines: Vec<_> = texts.map(|text| format!("  {text}")).collect();
    lines.join("\n")
}

fn list_help() -> String {
    let places = services(|service| {
        service
            .place_form()
            .map(str::to_owned)
            .into_iter()
            .collect()
    });
    format!("{LIST_EXAMPLES}\n\nKEY is a key, which need not exist, or the place alone:\n{places}")
}

const LIST_EXAMPLES: &str = "\
Examples:
  codec-server keys list --keyring keys
  codec-server keys list aws-kms:// --aws-region eu-west-1
  codec-server keys list \\
    gcp-kms://projects/P/locations/global/keyRings/R --json \\
    | jq -r '.keys[].key'";

#[derive(Debug, Args)]
pub(in super::super) struct KeysArgs {
    /// Print the answer as JSON, for programs.
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) audit: AuditArgs,
    #[command(flatten)]
    pub(super) kms: KmsArgs,
    #[command(subcommand)]
    pub(super) command: KeysCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Creates everything that an API and a worker need: key, rotation, permissions, and the lines of .env.
    #[command(after_help = setup::HELP)]
    Setup(Box<SetupArgs>),
    #[command(flatten)]
    OfKey(KeyCommand),
}

/// What is done with keys, one command at a time.
#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Creates a key, and at Cloud KMS its key ring.
    #[command(after_help = "\
Examples:
  codec-server keys create local://default --keyring keys
  codec-server keys create local://releases --purpose sign-ed25519 \\
    --keyring keys
  codec-server keys create \\
    gcp-kms://projects/P/locations/global/keyRings/R/cryptoKeys/K \\
    --protection hsm --label team=payments
  codec-server keys create aws-kms://alias/workflows --rotation-period 180d \\
    --multi-region")]
    Create(CreateArgs),
    /// Lists all keys in the same key ring, account and region, token or folder as KEY.
    #[command(after_help = list_help())]
    List {
        /// A key, or the place where keys are.
        #[arg(default_value = "local://")]
        key: Place,
    },
    /// Shows everything about a key, and whether it should be rotated.
    #[command(after_help = "\
Examples:
  codec-server keys describe local://default --keyring keys
  codec-server keys describe aws-kms://alias/workflows --rotation-period 180d
  codec-server keys describe \\
    gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K --json \\
    | jq .should_rotate")]
    Describe(DescribeArgs),
    /// Creates a new version that encrypts from now on, or sets how often the service does that.
    #[command(after_help = "\
Examples:
  codec-server keys rotate local://default --keyring keys
  codec-server keys rotate \\
    gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K
  codec-server keys rotate \\
    gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K \\
    --rotation-period 90d
  codec-server keys rotate aws-kms://alias/workflows --if-due=180d

Older versions still decrypt. --if-due is for timers: it changes nothing
while the key is young enough, and fails where no service tells its age.")]
    Rotate {
        /// The key.
        key: KeyUri,
        /// Set the service's own schedule, such as 90d, or `never`; nothing is rotated now.
        #[arg(long, value_name = "TIME")]
        rotation_period: Option<Rotation>,
        /// Rotate only if the version that encrypts is older than TIME, as in --if-due=180d. The `=` is needed [without TIME: 90d].
        #[arg(
            long,
            value_name = "TIME",
            num_args = 0..=1,
            require_equals = true,
            default_missing_value = "90d",
            value_parser = time,
            conflicts_with = "rotation_period"
        )]
        if_due: Option<Duration>,
    },
    /// Lets an older version encrypt again. The others still decrypt.
    #[command(after_help = "\
Examples:
  codec-server keys set-primary \\
    gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K --version 3
  codec-server keys set-primary local://default --version 1234567 \\
    --keyring keys

Cloud KMS and local keyrings can do this. At the other services the newest
version encrypts.")]
    SetPrimary {
        /// The key.
        key: KeyUri,
        /// The version.
        #[arg(long, value_name = "ID")]
        version: String,
    },
    /// Lists a key's versions, the newest first.
    #[command(after_help = "\
Examples:
  codec-server keys versions local://default --keyring keys
  codec-server keys versions aws-kms://alias/workflows --json \\
    | jq '.versions[].state'")]
    Versions {
        /// The key.
        key: KeyUri,
    },
    /// Disables a version, or a whole key of AWS KMS.
    #[command(after_help = "\
Examples:
  codec-server keys disable \\
    gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K --version 1
  codec-server keys disable aws-kms://alias/workflows --yes

What it encrypted cannot be decrypted until it is enabled again.")]
    Disable(DisableArgs),
    /// Enables a version again, also one whose destruction is scheduled.
    #[command(after_help = "\
Examples:
  codec-server keys enable \\
    gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K --version 1
  codec-server keys enable aws-kms://alias/workflows")]
    Enable {
        #[command(flatten)]
        target: Target,
    },
    /// Schedules the destruction of a version, or of a whole key of AWS KMS. What it encrypted is lost then.
    #[command(after_help = "\
Examples:
  codec-server keys destroy \\
    gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K --version 1
  codec-server keys destroy local://default --version 1234567 --keyring keys \\
    --yes
  codec-server keys destroy aws-kms://alias/workflows --window 7d

Local keys are destroyed at once. Elsewhere `keys enable` undoes it until
the time that is shown. At Cloud KMS that time is a property of the key
(destroyScheduledDuration, 30 days by default).")]
    Destroy(DestroyArgs),
    /// Creates a replica of a multi-region key in another region.
    #[command(after_help = "\
Examples:
  codec-server keys replicate \\
    aws-kms://arn:aws:kms:eu-west-1:111122223333:key/mrk-1234 us-west-2")]
    Replicate {
        /// The key.
        key: KeyUri,
        /// The other region.
        region: String,
    },
    /// Permits an account to use a key.
    #[command(after_help = "\
Examples:
  codec-server keys grant \\
    gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K \\
    --member serviceAccount:api@my-project.iam.gserviceaccount.com \\
    --role encrypter
  codec-server keys grant aws-kms://alias/workflows \\
    --member arn:aws:iam::111122223333:role/worker --role decrypter \\
    --namespace prod")]
    Grant(GrantArgs),
    /// Takes a permission away from an account.
    #[command(after_help = "\
Examples:
  codec-server keys revoke \\
    gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K \\
    --member serviceAccount:api@my-project.iam.gserviceaccount.com \\
    --role encrypter
  codec-server keys revoke aws-kms://alias/workflows \\
    --member arn:aws:iam::111122223333:role/worker --role decrypter

Without --namespace it takes the role away for every namespace. An account
may have the same permission from its project or from a policy of its own:
look at what `keys grants` says.")]
    Revoke(GrantArgs),
    /// Lists who may use a key.
    #[command(after_help = "\
Examples:
  codec-server keys grants \\
    gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K
  codec-server keys grants aws-kms://alias/workflows --json \\
    | jq '.grants[] | select(.role == \"decrypter\")'

At Cloud KMS this is the key's own IAM policy, at AWS KMS the key's grants and
its key policy.")]
    Grants {
        /// The key.
        key: KeyUri,
    },
    /// Prints the public key of a signing key as PEM.
    #[command(after_help = "\
Examples:
  codec-server keys public-key local://releases --keyring keys > releases.pem
  codec-server keys public-key \\
    gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K --version 2")]
    PublicKey {
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    /// The key.
    pub(super) key: KeyUri,
    /// What the key is for.
    #[arg(long, value_enum, default_value_t)]
    pub(super) purpose: PurposeArg,
    /// Where the key's material is kept [default: the service's own].
    #[arg(long, value_enum)]
    pub(super) protection: Option<ProtectionArg>,
    /// How often the service rotates it, or `never` [default: 90d for encryption at Cloud KMS and AWS KMS].
    #[arg(long, value_name = "TIME")]
    pub(super) rotation_period: Option<Rotation>,
    /// A label, or tag; may be repeated.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    pub(super) labels: Vec<(String, String)>,
    /// Let it have replicas in other regions (AWS KMS); also `KMS_ENABLE_MULTI_REGION=true`.
    #[arg(long)]
    pub(super) multi_region: bool,
    #[command(flatten)]
    pub(super) place: KeyPlace,
}

/// Where a new key is kept, and how long it outlives its destruction.
#[derive(Debug, Args)]
pub(super) struct KeyPlace {
    /// How long the destruction of a version can be undone, at Cloud KMS: 1d to 120d. It cannot be changed later [default:
    /// 30d].
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) destroy_delay: Option<Duration>,
    /// The AWS `CloudHSM` key store of the key; also `KMS_ENABLE_CLOUDHSM=true` with `KMS_CUSTOM_KEY_STORE_ID`.
    #[arg(long, value_name = "ID", value_parser = key_store)]
    pub(super) custom_key_store: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct DescribeArgs {
    /// The key.
    pub(super) key: KeyUri,
    /// How old the primary version may become before the key should be rotated.
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = time)]
    pub(super) rotation_period: Duration,
    /// How old any version that decrypts may become.
    #[arg(long, value_name = "TIME", default_value = "365d", value_parser = time)]
    pub(super) max_age: Duration,
}

#[derive(Debug, Args)]
pub(super) struct Target {
    /// The key.
    pub(super) key: KeyUri,
    /// One of its versions.
    #[arg(long, value_name = "ID")]
    pub(super) version: Option<String>,
}

impl Target {
    /// The whole key.
    pub(super) fn of_key(key: &KeyUri) -> Self {
        Self {
            key: key.clone(),
            version: None,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct DisableArgs {
    #[command(flatten)]
    pub(super) target: Target,
    /// Do not ask for confirmation.
    #[arg(long)]
    pub(super) yes: bool,
}

#[derive(Debug, Args)]
pub(super) struct DestroyArgs {
    #[command(flatten)]
    pub(super) target: Target,
    /// How long the destruction can be undone: 7d to 30d, at AWS KMS only [default: 30d].
    #[arg(long, value_name = "TIME", value_parser = window)]
    pub(super) window: Option<u8>,
    /// Destroy the version although it is the one that encrypts now.
    #[arg(long)]
    pub(super) primary: bool,
    /// Do not ask for confirmation.
    #[arg(long)]
    pub(super) yes: bool,
}

#[derive(Debug, Args)]
pub(super) struct GrantArgs {
    /// The key.
    pub(super) key: KeyUri,
    /// The account, in the service's own form; an e-mail address is a service account of Google Cloud.
    #[arg(long)]
    pub(super) member: String,
    /// What the account may do.
    #[arg(long, value_enum)]
    pub(super) role: RoleArg,
    /// Only with payloads of this namespace (AWS KMS).
    #[arg(long, value_name = "NAME", value_parser = namespace)]
    pub(super) namespace: Option<Namespace>,
}

//! `keys setup`: everything that an API and a worker need of a key management service, as often as one likes.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;
use temporal_kms_codec::{
    KeyUri, KmsKind,
    kms::{self, KeyPurpose, KeyRole, KeySpec, KmsOptions},
};

use super::{
    super::exit::{Failure, Status, say},
    arguments::{KeysArgs, ProtectionArg, Rotation, label},
    dotenv::DotEnv,
    failed, print,
    steps::{Outcome, Step, Steps},
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

What is there already stays as it is, so that running it again changes
nothing. In the .env file it sets KMS_PROVIDER, and KMS_KEY_RING,
KMS_KEY_NAME, KMS_LOCATION and PROJECT_ID, or for AWS KMS AWS_REGION and
KMS_KEY_ALIAS; every other line stays.";

#[derive(Debug, Args)]
pub(super) struct SetupArgs {
    /// The service.
    #[arg(long, value_enum, env = "KMS_PROVIDER", default_value_t)]
    provider: Provider,
    /// The Google Cloud project.
    #[arg(long, value_name = "ID", env = "PROJECT_ID")]
    project: Option<String>,
    /// The key ring at Cloud KMS.
    #[arg(
        long,
        value_name = "NAME",
        env = "KMS_KEY_RING",
        default_value = "claude-code"
    )]
    key_ring: String,
    /// The key at Cloud KMS.
    #[arg(
        long,
        value_name = "NAME",
        env = "KMS_KEY_NAME",
        default_value = "payload-encryption"
    )]
    key_name: String,
    /// The key ring's location.
    #[arg(long, env = "KMS_LOCATION", default_value = "global")]
    location: String,
    /// The key at AWS KMS.
    #[arg(
        long,
        value_name = "ALIAS",
        env = "KMS_KEY_ALIAS",
        default_value = "alias/payload-encryption"
    )]
    key_alias: String,
    /// The account that starts workflows: it may encrypt. An e-mail address is a service account.
    #[arg(long, value_name = "MEMBER")]
    api_member: Option<String>,
    /// The account that runs them: it may decrypt inputs and encrypt results.
    #[arg(long, value_name = "MEMBER")]
    worker_member: Option<String>,
    /// How often the service rotates the key, or `never`.
    #[arg(long, value_name = "TIME", default_value = "90d")]
    rotation_period: Rotation,
    /// Where the key's material is kept [default: as the service does].
    #[arg(long, value_enum)]
    protection: Option<ProtectionArg>,
    /// A label, or tag, of a key that is made; may be repeated.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// Lets a key that is made have replicas in other regions (AWS KMS).
    #[arg(long)]
    multi_region: bool,
    /// The file that gets the settings.
    #[arg(long, value_name = "FILE", default_value = ".env")]
    env_file: PathBuf,
    /// Prints what would be done, and changes nothing.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Provider {
    #[default]
    Gcp,
    Aws,
}

#[derive(Serialize)]
struct Report<'r> {
    key: String,
    dry_run: bool,
    changed: bool,
    steps: &'r [Step],
}

pub(super) async fn run(
    setup: &SetupArgs,
    keys: &KeysArgs,
    options: &KmsOptions,
) -> Result<(), Failure> {
    let key = setup.key()?;
    let settings = setup.settings(keys)?;
    // A file that cannot be edited is found before anything is created.
    let planned = DotEnv::read(&setup.env_file)?.edit(&settings)?.is_some();

    let admin = kms::open_admin(&key, options).await.map_err(failed)?;
    let mut steps = Steps::new(&*admin, &key, setup.dry_run);
    steps.key(&setup.spec()).await?;
    // A worker decrypts inputs and encrypts results.
    for (member, role) in [
        (&setup.api_member, KeyRole::Encrypter),
        (&setup.worker_member, KeyRole::Encrypter),
        (&setup.worker_member, KeyRole::Decrypter),
    ] {
        if let Some(member) = member {
            steps.grant(&setup.member(member), role).await?;
        }
    }
    let mut steps = steps.finish();
    steps.push(env_step(&settings, planned, setup)?);

    let changed = steps.iter().any(|step| step.outcome == Outcome::Changed);
    let report = Report {
        key: key.to_string(),
        dry_run: setup.dry_run,
        changed,
        steps: &steps,
    };
    print(keys.json, &report, || text(&report))?;
    for (member, flag) in [
        (&setup.api_member, "--api-member"),
        (&setup.worker_member, "--worker-member"),
    ] {
        if member.is_none() {
            say(format_args!(
                "no {flag} was named, so no account got its role"
            ));
        }
    }
    Ok(())
}

impl SetupArgs {
    fn key(&self) -> Result<KeyUri, Failure> {
        let uri = match self.provider {
            Provider::Gcp => KeyUri::new(
                KmsKind::GcpKms,
                &format!(
                    "projects/{}/locations/{}/keyRings/{}/cryptoKeys/{}",
                    self.project()?,
                    self.location,
                    self.key_ring,
                    self.key_name
                ),
            ),
            Provider::Aws => KeyUri::new(KmsKind::AwsKms, &self.key_alias),
        };
        uri.map_err(|error| Failure::new(Status::Usage, error))
    }

    fn project(&self) -> Result<&str, Failure> {
        self.project.as_deref().ok_or_else(|| {
            Failure::new(
                Status::Usage,
                "name the Google Cloud project with --project ID or PROJECT_ID",
            )
        })
    }

    fn settings(&self, keys: &KeysArgs) -> Result<Vec<(&'static str, String)>, Failure> {
        Ok(match self.provider {
            Provider::Gcp => vec![
                ("KMS_KEY_RING", self.key_ring.clone()),
                ("KMS_KEY_NAME", self.key_name.clone()),
                ("KMS_LOCATION", self.location.clone()),
                ("PROJECT_ID", self.project()?.to_owned()),
                ("KMS_PROVIDER", "gcp".to_owned()),
            ],
            Provider::Aws => {
                let region = keys.kms.aws_region().ok_or_else(|| {
                    Failure::new(
                        Status::Usage,
                        "name the region with --aws-region REGION or AWS_REGION",
                    )
                })?;
                vec![
                    ("KMS_PROVIDER", "aws".to_owned()),
                    ("AWS_REGION", region.to_owned()),
                    ("KMS_KEY_ALIAS", self.key_alias.clone()),
                ]
            }
        })
    }

    fn spec(&self) -> KeySpec {
        KeySpec {
            purpose: KeyPurpose::Encrypt,
            protection: self.protection.map(Into::into),
            rotation_period: self.rotation_period.period(),
            labels: self.labels.iter().cloned().collect(),
            multi_region: self.multi_region,
        }
    }

    fn member(&self, member: &str) -> String {
        if self.provider == Provider::Gcp && !member.contains(':') {
            return format!("serviceAccount:{member}");
        }
        member.to_owned()
    }
}

fn env_step(
    settings: &[(&'static str, String)],
    planned: bool,
    setup: &SetupArgs,
) -> Result<Step, Failure> {
    let outcome = match planned {
        true if setup.dry_run => Outcome::Planned,
        // The file may have been edited during the calls above.
        _ if !setup.dry_run && DotEnv::set(&setup.env_file, settings)? => Outcome::Changed,
        _ => Outcome::Unchanged,
    };
    let shown = setup.env_file.display();
    Ok(Step::new(
        "env",
        format!("set the key's variables in {shown}"),
        outcome,
    ))
}

fn text(report: &Report<'_>) -> String {
    let mut text = String::new();
    for step in report.steps {
        text.push_str(&step.text());
        text.push('\n');
    }
    text.push_str(match (report.dry_run, report.changed) {
        (true, _) => "Nothing was changed: this was a dry run.",
        (false, true) => "The key is ready.",
        (false, false) => "Nothing had to be changed.",
    });
    text
}

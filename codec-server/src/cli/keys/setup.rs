//! `keys setup`: everything that an API and a worker need of a key management service. It can be run again at any time.

use std::collections::BTreeSet;

use serde::Serialize;
use temporal_kms_codec::{
    KeyUri, Scheme,
    kms::{KeyPurpose, KeyRole, KeySpec, Kms, SetupPlan},
};
use temporal_kms_codec_service::steps::{self, Step, StepOutcome};

use super::{
    super::exit::{Failure, Status, print_answer, say},
    arguments::{Provider, SetupArgs},
    dotenv::DotEnv,
    member::member,
    operation::{key_store, refuse_idle_settings},
    permissions::{context, region},
    steps::Steps,
};

#[derive(Serialize)]
struct Report<'r> {
    key: String,
    dry_run: bool,
    changed: bool,
    failed: bool,
    steps: &'r [Step],
}

pub(super) async fn run(setup: &SetupArgs, options: &Kms, json: bool) -> Result<(), Failure> {
    // Everything that can be refused is refused before a key is created, which costs money.
    let key = setup.key()?;
    refuse_idle_settings(key.scheme(), options)?;
    let grants = setup.grants(&key, region(options))?;
    let context = context(setup.namespace.as_ref())?;
    let regions = setup.replica_regions(options)?;
    let spec = setup.spec(options, &regions);
    if let Some(tool) = &setup.print {
        let plan = SetupPlan::new(key, spec).with_replica_regions(regions);
        let plan = grants.into_iter().fold(plan, |plan, (member, role)| {
            plan.with_grant(member, role, context.clone())
        });
        return print_commands(tool, &plan, options, json);
    }
    let settings = setup.settings(region(options), &regions, None)?;
    DotEnv::read(&setup.env_file)?.edit(&settings)?;

    let admin = options.admin(&key).await.map_err(Failure::from)?;
    let mut steps = Steps::new(&*admin, &key, setup.dry_run);
    steps.key(&spec).await;
    let mut replicas = Vec::new();
    for region in &regions {
        replicas.extend(steps.replica(region).await);
    }
    for (member, role) in &grants {
        steps.grant(member, *role, &context, &replicas).await;
    }
    let settings = setup.settings(region(options), &regions, steps.own_name())?;
    let planned = DotEnv::read(&setup.env_file)?.edit(&settings)?.is_some();
    let (mut steps, is_usable) = steps.finish();
    steps.push(env_step(&settings, planned, is_usable, setup));

    let result = steps::result(&steps);
    let report = Report {
        key: key.to_string(),
        dry_run: setup.dry_run,
        changed: steps
            .iter()
            .any(|step| step.outcome() == StepOutcome::Changed),
        failed: result.is_err(),
        steps: &steps,
    };
    print_answer(json, &report, || text(&report))?;
    result?;
    for (member, flag) in [
        (&setup.api_member, "--api-member"),
        (&setup.worker_member, "--worker-member"),
    ] {
        if member.is_none() {
            say(format_args!("no {flag} given: no permission granted"));
        }
    }
    Ok(())
}

impl SetupArgs {
    fn key(&self) -> Result<KeyUri, Failure> {
        let uri = match self.provider {
            Provider::Gcp => KeyUri::new(
                Scheme::GCP_KMS,
                &format!(
                    "projects/{}/locations/{}/keyRings/{}/cryptoKeys/{}",
                    self.project()?,
                    self.location,
                    self.key_ring,
                    self.key_name
                ),
            ),
            Provider::Aws => KeyUri::new(Scheme::AWS_KMS, &self.key_alias),
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

    /// The regions that are to have a replica. The key's own region has the key itself.
    fn replica_regions(&self, options: &Kms) -> Result<Vec<String>, Failure> {
        if self.provider != Provider::Aws {
            if self.replica_regions.is_empty() {
                return Ok(Vec::new());
            }
            return Err(Failure::new(
                Status::Usage,
                "--replica-region: only AWS KMS has replicas; choose a multi-region location at Cloud KMS, such as --location eur4",
            ));
        }
        let mut regions = self.replica_regions.clone();
        if regions.is_empty() {
            regions = configured_replicas(options);
        }
        let mut known = BTreeSet::from([region(options).unwrap_or_default().to_owned()]);
        regions.retain(|region| known.insert(region.clone()));
        Ok(regions)
    }

    /// The variables of the key. A key with replicas is named by its ARN, `own_name`: programs then know from the start that
    /// it has replicas.
    fn settings(
        &self,
        region: Option<&str>,
        replicas: &[String],
        own_name: Option<&KeyUri>,
    ) -> Result<Vec<(&'static str, String)>, Failure> {
        Ok(match self.provider {
            Provider::Gcp => vec![
                ("KMS_KEY_RING", self.key_ring.clone()),
                ("KMS_KEY_NAME", self.key_name.clone()),
                ("KMS_LOCATION", self.location.clone()),
                ("PROJECT_ID", self.project()?.to_owned()),
                ("KMS_PROVIDER", "gcp".to_owned()),
            ],
            Provider::Aws => {
                let region = region.ok_or_else(|| {
                    Failure::new(
                        Status::Usage,
                        "name the region with --aws-region REGION or AWS_REGION",
                    )
                })?;
                let own_name = own_name.filter(|_| !replicas.is_empty());
                let name = own_name.map_or(self.key_alias.as_str(), KeyUri::resource);
                let mut settings = vec![
                    ("KMS_PROVIDER", "aws".to_owned()),
                    ("AWS_REGION", region.to_owned()),
                    ("KMS_KEY_ALIAS", name.to_owned()),
                ];
                if !replicas.is_empty() {
                    settings.push(("KMS_REPLICA_REGIONS", replicas.join(",")));
                }
                settings
            }
        })
    }

    #[cfg_attr(
        not(feature = "aws-kms"),
        allow(unused_variables, reason = "only keys of AWS KMS have regions")
    )]
    fn spec(&self, options: &Kms, replicas: &[String]) -> KeySpec {
        #[cfg(feature = "aws-kms")]
        let multi_region = {
            let aws = options.get::<temporal_kms_codec::kms::aws::AwsKms>();
            self.multi_region
                || !replicas.is_empty()
                || aws.is_some_and(|aws| aws.options().multi_region)
        };
        #[cfg(not(feature = "aws-kms"))]
        let multi_region = self.multi_region || !replicas.is_empty();
        let scheme = match self.provider {
            Provider::Gcp => Scheme::GCP_KMS,
            Provider::Aws => Scheme::AWS_KMS,
        };
        KeySpec::default()
            .with_purpose(KeyPurpose::Encrypt)
            .with_protection(self.protection.map(Into::into))
            .with_rotation_period(self.rotation_period.period())
            .with_labels(self.labels.iter().cloned().collect())
            .with_multi_region(multi_region)
            .with_destroy_delay(self.place.destroy_delay)
            .with_key_store(key_store(scheme, &self.place, options))
    }

    /// Who may do what. A worker decrypts inputs and encrypts results.
    fn grants(
        &self,
        key: &KeyUri,
        region: Option<&str>,
    ) -> Result<Vec<(String, KeyRole)>, Failure> {
        if self.namespace.is_some() && self.provider != Provider::Aws {
            return Err(Failure::new(
                Status::Usage,
                "--namespace: only AWS KMS can permit one namespace; use a key for each namespace",
            ));
        }
        let mut grants = Vec::new();
        for (text, flag, roles) in [
            (
                &self.api_member,
                "--api-member",
                [KeyRole::Encrypter].as_slice(),
            ),
            (
                &self.worker_member,
                "--worker-member",
                &[KeyRole::Encrypter, KeyRole::Decrypter],
            ),
        ] {
            let Some(text) = text else { continue };
            let member = member(key, region, text)
                .map_err(|reason| Failure::new(Status::Usage, format_args!("{flag}: {reason}")))?;
            grants.extend(roles.iter().map(|role| (member.clone(), *role)));
        }
        Ok(grants)
    }
}

/// The regions of `KMS_REPLICA_REGIONS`.
#[cfg(feature = "aws-kms")]
fn configured_replicas(options: &Kms) -> Vec<String> {
    let aws = options.get::<temporal_kms_codec::kms::aws::AwsKms>();
    let replicas = aws.map(|aws| aws.options().replicas.as_slice());
    let replicas = replicas.unwrap_or_default().iter();
    replicas.map(|replica| replica.region.clone()).collect()
}

#[cfg(not(feature = "aws-kms"))]
fn configured_replicas(_: &Kms) -> Vec<String> {
    Vec::new()
}

fn print_commands(tool: &str, plan: &SetupPlan, options: &Kms, json: bool) -> Result<(), Failure> {
    let service = options.service(plan.key.scheme()).ok_or_else(|| {
        Failure::new(Status::Usage, "--print: this build has no such key service")
    })?;
    let commands = service
        .setup_commands(tool, plan)
        .map_err(|error| Failure::new(Status::Usage, format_args!("--print {tool}: {error}")))?;
    let answer =
        serde_json::json!({ "tool": tool, "key": plan.key.to_string(), "commands": commands });
    print_answer(json, &answer, || commands.clone())
}

fn env_step(
    settings: &[(&'static str, String)],
    planned: bool,
    is_usable: bool,
    setup: &SetupArgs,
) -> Step {
    let what = format!("set the key's variables in {}", setup.env_file.display());
    let outcome = if !is_usable {
        StepOutcome::Skipped
    } else if setup.dry_run {
        if planned {
            StepOutcome::Planned
        } else {
            StepOutcome::Unchanged
        }
    } else {
        // The file may have been edited during the calls.
        match DotEnv::set(&setup.env_file, settings) {
            Ok(true) => StepOutcome::Changed,
            Ok(false) => StepOutcome::Unchanged,
            Err(failure) => return Step::failed("env", what, Status::Io, &failure),
        }
    };
    Step::new("env", what, outcome)
}

fn text(report: &Report<'_>) -> String {
    let mut text = String::new();
    for step in report.steps {
        text.push_str(&step.text());
        text.push('\n');
    }
    text.push_str(match (report.failed, report.dry_run, report.changed) {
        (true, _, _) => "The setup is not complete.",
        (false, true, _) => "Nothing was changed: this was a dry run.",
        (false, false, true) => "The key is ready.",
        (false, false, false) => "Nothing had to be changed.",
    });
    text
}

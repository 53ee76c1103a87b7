//! `keys setup`: everything that an API and a worker need of a key management service. It can be run again at any time.

use std::fmt;

use serde::Serialize;
use temporal_kms_codec::{
    KeyUri, Scheme,
    kms::{KeyPurpose, KeyRole, KeySetup, KeySpec, Kms, SetupPlan},
};
use temporal_kms_codec_service::steps::{self, Step, StepOutcome};

use super::{
    super::exit::{Failure, Status, print_answer, say},
    arguments::{Provider, SetupArgs},
    dotenv::DotEnv,
    operation::refuse_idle_settings,
    permissions::context,
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
    refuse_idle_settings(&key, options)?;
    let service = options.setup(&key).map_err(Failure::from)?;
    let grants = setup.grants(service)?;
    let context = context(setup.namespace.as_ref())?;
    let regions = service
        .replica_regions(&setup.replica_regions)
        .map_err(|reason| usage(format_args!("--replica-region: {reason}")))?;
    let spec = service.complete(setup.spec(!regions.is_empty()));
    if let Some(tool) = &setup.print {
        let plan = SetupPlan::new(key, spec).with_replica_regions(regions);
        let plan = grants.into_iter().fold(plan, |plan, (member, role)| {
            plan.with_grant(member, role, context.clone())
        });
        return print_commands(tool, &plan, options, json);
    }
    let settings = service.variables_of(&key, None, &regions).map_err(usage)?;
    DotEnv::read(&setup.env_file)?.edit(&settings)?;

    let admin = options.admin(&key).await.map_err(Failure::from)?;
    let mut steps = Steps::new(&*admin, service, &key, setup.dry_run);
    steps.key(&spec).await;
    let mut replicas = Vec::new();
    for region in &regions {
        replicas.extend(steps.replica(region).await);
    }
    for (member, role) in &grants {
        steps.grant(member, *role, &context, &replicas).await;
    }
    let settings = service.variables_of(&key, steps.own_name(), &regions);
    let settings = settings.map_err(usage)?;
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
        uri.map_err(usage)
    }

    fn project(&self) -> Result<&str, Failure> {
        self.project
            .as_deref()
            .ok_or_else(|| usage("name the Google Cloud project with --project ID or PROJECT_ID"))
    }

    fn spec(&self, has_replicas: bool) -> KeySpec {
        KeySpec::default()
            .with_purpose(KeyPurpose::Encrypt)
            .with_protection(self.protection.map(Into::into))
            .with_rotation_period(self.rotation_period.period())
            .with_labels(self.labels.iter().cloned().collect())
            .with_multi_region(self.multi_region || has_replicas)
            .with_destroy_delay(self.place.destroy_delay)
            .with_key_store(self.place.custom_key_store.clone())
    }

    /// Who may do what. A worker decrypts inputs and encrypts results.
    fn grants(&self, service: &dyn KeySetup) -> Result<Vec<(String, KeyRole)>, Failure> {
        if self.namespace.is_some() && !service.limits_permissions_to_context() {
            return Err(usage(
                "--namespace: this service cannot limit a permission to one namespace; use a key for each namespace",
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
            let member = service.member(text);
            let member = member.map_err(|reason| usage(format_args!("{flag}: {reason}")))?;
            grants.extend(roles.iter().map(|role| (member.clone(), *role)));
        }
        Ok(grants)
    }
}

/// A mistake in the command line.
fn usage(problem: impl fmt::Display) -> Failure {
    Failure::new(Status::Usage, problem)
}

fn print_commands(tool: &str, plan: &SetupPlan, options: &Kms, json: bool) -> Result<(), Failure> {
    let service = options
        .service(plan.key.scheme())
        .ok_or_else(|| usage("--print: this build has no such key service"))?;
    let commands = service
        .setup_commands(tool, plan)
        .map_err(|error| usage(format_args!("--print {tool}: {error}")))?;
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

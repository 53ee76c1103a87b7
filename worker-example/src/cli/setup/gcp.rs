//! `claude-tasks setup gcp`: the API as a Cloud Run service, and the worker as a Cloud Run worker pool.

mod accounts;
mod api_config;
mod arguments;
mod images;
mod keys;
mod logs;
mod names;
mod programs;
mod secrets;
mod storage;
mod tear_down;

use temporal_kms_codec_service::{
    exit::{Failure, Status, print, say},
    steps,
};

pub(super) use self::arguments::{GcpArgs, HELP};

use super::{
    super::PROGRAM,
    gcloud::{Gcloud, NUMBER},
    report::{Report, has_changed, script},
    runner::{Planned, dry, run as run_steps},
};

/// Sets the service up, or removes it.
///
/// # Errors
/// A wrong option, or a step that failed.
pub(super) async fn run(args: &GcpArgs) -> Result<(), Failure> {
    args.check()?;
    let plan = plan(args);
    if args.client_key.is_some() {
        say(
            PROGRAM,
            format_args!(
                "warning: a key file is a password that does not expire; prefer --client-user, or Workload Identity Federation for \
                 programs outside of Google Cloud"
            ),
        );
    }
    if args.dry_run {
        if !args.json {
            return print(&script(&plan, &args.project));
        }
        return report(args, None, &dry(&plan)).print();
    }
    let number = project_number(&args.project).await?;
    let done = run_steps(&plan, &number, |step| {
        if !args.json {
            crate::print::line(&step.text());
        }
    })
    .await;
    let url = args.url().replace(NUMBER, &number);
    if args.json {
        report(args, Some(&url), &done).print()?;
    }
    let result = steps::result(&done);
    if result.is_ok() && !args.json {
        crate::print::line(&ending(args, &url));
    }
    result
}

fn plan(args: &GcpArgs) -> Vec<Planned> {
    if args.tear_down {
        return tear_down::steps(args);
    }
    // Each group needs those before it.
    [
        images::steps(args),
        keys::steps(args),
        accounts::steps(args),
        keys::grants(args),
        storage::steps(args),
        secrets::steps(args),
        logs::steps(args),
        programs::steps(args),
    ]
    .concat()
}

async fn project_number(project: &str) -> Result<String, Failure> {
    let command = Gcloud::new("projects describe")
        .arg(project)
        .option("format", "value(projectNumber)");
    let printed = command.run("").await;
    let printed = printed.map_err(|error| Failure::new(error.status, error))?;
    let number = printed.trim();
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Failure::new(
            Status::Data,
            format_args!("gcloud says no number for the project {project}; check --project"),
        ));
    }
    Ok(number.to_owned())
}

fn report<'r>(args: &'r GcpArgs, url: Option<&'r str>, steps: &'r [steps::Step]) -> Report<'r> {
    Report {
        project: &args.project,
        url: url.filter(|_| !args.tear_down),
        dry_run: args.dry_run,
        tear_down: args.tear_down,
        changed: has_changed(steps),
        failed: steps::result(steps).is_err(),
        steps,
    }
}

fn ending(args: &GcpArgs, url: &str) -> String {
    if args.tear_down {
        let data = if args.delete_data {
            String::new()
        } else {
            format!(
                "\nThe bucket {} and the repository {} stay: they hold logs and images. --delete-data removes them, too.",
                args.bucket(),
                args.repository
            )
        };
        return format!(
            "The service is removed.{data}\nThe keys of {} stay, because payloads that need them would be lost.",
            args.key_ring
        );
    }
    format!(
        "The API is at {url}\nA token for it: gcloud auth print-identity-token --impersonate-service-account={} \
         --audiences={url} --include-email",
        args.client_account()
    )
}

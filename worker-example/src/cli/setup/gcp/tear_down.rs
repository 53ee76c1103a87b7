//! Removes what the set-up has made, in the opposite order. Keys stay: what they encrypted would be lost.

use super::{
    super::{
        gcloud::Gcloud,
        runner::{Look, Planned, Wanted},
    },
    accounts,
    arguments::GcpArgs,
    images, logs,
    programs::services,
    secrets, storage,
};

pub(super) fn steps(args: &GcpArgs) -> Vec<Planned> {
    let named = "value(metadata.name)";
    let mut steps = vec![
        remove(
            "worker",
            format!("delete the worker pool {}", args.worker_pool),
            services(args, "beta run worker-pools list").option("format", named),
            &args.worker_pool,
            services(args, "beta run worker-pools delete").arg(&args.worker_pool),
        ),
        remove(
            "api",
            format!("delete the service {}", args.service),
            services(args, "run services list").option("format", named),
            &args.service,
            services(args, "run services delete").arg(&args.service),
        ),
        remove(
            "log-sink",
            format!("delete the sink {}", logs::NAME),
            logs::sinks(args),
            logs::NAME,
            args.gcloud("logging sinks delete").arg(logs::NAME),
        ),
    ];
    steps.extend([secrets::WEBHOOK, secrets::CONFIG].map(|name| {
        remove(
            "secret",
            format!("delete the secret {name}"),
            secrets::list(args, "value(name.basename())"),
            name,
            args.gcloud("secrets delete").arg(name),
        )
    }));
    // Their entries in the policies of keys have no effect then. A new account with the same name does not get them.
    steps.extend(deleted_accounts(args));
    if args.delete_data {
        steps.extend(data(args));
    }
    steps
}

fn deleted_accounts(args: &GcpArgs) -> Vec<Planned> {
    [
        args.client_account(),
        args.worker_account(),
        args.api_account(),
    ]
    .into_iter()
    .map(|email| {
        remove(
            "account",
            format!("delete the service account {email}"),
            accounts::list(args),
            &email,
            args.gcloud("iam service-accounts delete").arg(&email),
        )
    })
    .collect()
}

/// What holds data: logs of tasks, logs of programs, images.
fn data(args: &GcpArgs) -> Vec<Planned> {
    vec![
        remove(
            "log-bucket",
            format!("delete the log bucket {}", logs::NAME),
            logs::buckets(args, "value(name.basename())"),
            logs::NAME,
            logs::of_bucket(args, "logging buckets delete"),
        ),
        remove(
            "bucket",
            format!("delete the bucket {} with everything in it", args.bucket()),
            storage::list(args, "value(name)"),
            &args.bucket(),
            args.gcloud("storage rm")
                .flag("recursive")
                .arg(&args.bucket_url()),
        ),
        remove(
            "repository",
            format!("delete the repository {} with its images", args.repository),
            images::list(args),
            &args.repository,
            args.gcloud("artifacts repositories delete")
                .arg(&args.repository)
                .option("location", &args.region),
        ),
    ]
}

fn remove(name: &'static str, what: String, list: Gcloud, line: &str, command: Gcloud) -> Planned {
    Planned {
        name,
        what,
        look: Look::Lines(list, vec![line.to_owned()]),
        wanted: Wanted::Gone,
        commands: vec![command.flag("quiet")],
    }
}

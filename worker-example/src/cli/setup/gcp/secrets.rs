//! Secrets: the one that signs webhooks, and the configuration of the API.

use super::{
    super::{gcloud::Gcloud, runner::Planned},
    api_config,
    arguments::GcpArgs,
    names::{LABEL, account_member, fingerprint, grant, make},
};

/// The secret of webhook signatures.
pub(super) const WEBHOOK: &str = "claude-tasks-webhook";
/// The configuration of the API.
pub(super) const CONFIG: &str = "claude-tasks-api-config";

const READ: &str = "roles/secretmanager.secretAccessor";

pub(super) fn steps(args: &GcpArgs) -> Vec<Planned> {
    let create = |name: &str| {
        args.gcloud("secrets create")
            .arg(name)
            .option("replication-policy", "automatic")
    };
    let webhook = make(
        "secret",
        format!("create the secret {WEBHOOK} that signs webhooks"),
        list(args, "value(name.basename())"),
        WEBHOOK,
        vec![create(WEBHOOK).option("data-file", "-").reading_secret()],
    );
    let config = make(
        "secret",
        format!("create the secret {CONFIG}"),
        list(args, "value(name.basename())"),
        CONFIG,
        vec![create(CONFIG)],
    );
    let (api, worker) = (args.api_account(), args.worker_account());
    let mut steps = vec![
        webhook,
        config,
        content(args),
        access(args, WEBHOOK, &worker, "the worker"),
        access(args, CONFIG, &api, "the API"),
    ];
    if let Some(key) = &args.temporal_api_key_secret {
        steps.push(access(args, key, &api, "the API"));
        steps.push(access(args, key, &worker, "the worker"));
    }
    steps
}

/// A new version of the configuration, when it has changed.
fn content(args: &GcpArgs) -> Planned {
    let add = add_config(args);
    let print = fingerprint(std::slice::from_ref(&add));
    let label = args
        .gcloud("secrets update")
        .arg(CONFIG)
        .option("update-labels", &format!("{LABEL}={print}"));
    make(
        "configuration",
        "write the configuration of the API: whose tokens it accepts".to_owned(),
        list(args, &format!("value(name.basename(),labels.{LABEL})")),
        &format!("{CONFIG}\t{print}"),
        vec![add, label],
    )
}

/// Writes the configuration as it is to be.
pub(super) fn add_config(args: &GcpArgs) -> Gcloud {
    args.gcloud("secrets versions add")
        .arg(CONFIG)
        .option("data-file", "-")
        .reading(&api_config::text(args))
}

fn access(args: &GcpArgs, secret: &str, account: &str, who: &str) -> Planned {
    grant(
        format!("let {who} read the secret {secret}"),
        args.gcloud("secrets get-iam-policy").arg(secret),
        args.gcloud("secrets add-iam-policy-binding").arg(secret),
        READ,
        account_member(account),
    )
}

/// The secrets of the project.
pub(super) fn list(args: &GcpArgs, format: &str) -> Gcloud {
    args.gcloud("secrets list").option("format", format)
}

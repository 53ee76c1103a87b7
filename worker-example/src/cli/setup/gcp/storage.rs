//! The bucket: sealed requests for as long as their tasks, and logs for as long as they are kept.

use serde_json::json;

use super::{
    super::{
        gcloud::Gcloud,
        runner::{Binding, Look, Planned, Wanted},
    },
    arguments::GcpArgs,
    names::{LABEL, account_member, fingerprint, grant, make},
};

/// More than the longest wait for a worker and the longest task together.
const REQUEST_DAYS: u16 = 3;

/// Roles of the API that hold for a part of the bucket: the role, the title of the condition, the part, and what it is for.
const PARTS: [(&str, &str, &str, &str); 2] = [
    (
        "roles/storage.objectCreator",
        "sealed-requests",
        "encrypted-payloads/",
        "let the API write sealed requests",
    ),
    (
        "roles/storage.objectViewer",
        "logs-of-tasks",
        "sessions/",
        "let the API read the logs of tasks",
    ),
];

pub(super) fn steps(args: &GcpArgs) -> Vec<Planned> {
    let url = args.bucket_url();
    let create = args
        .gcloud("storage buckets create")
        .arg(&url)
        .option("location", &args.region)
        .flag("uniform-bucket-level-access")
        .flag("public-access-prevention")
        // A deleted request would otherwise stay for a week.
        .option("soft-delete-duration", "0");
    let mut steps = vec![
        make(
            "bucket",
            format!("create the bucket {}", args.bucket()),
            list(args, "value(name)"),
            &args.bucket(),
            vec![create],
        ),
        lifecycle(args),
    ];
    steps.push(grant(
        "let the worker read, write and delete objects".to_owned(),
        args.gcloud("storage buckets get-iam-policy").arg(&url),
        // The policy has bindings with conditions, too. gcloud then asks about the condition of this one.
        args.gcloud("storage buckets add-iam-policy-binding")
            .arg(&url)
            .option("condition", "None"),
        "roles/storage.objectUser",
        account_member(&args.worker_account()),
    ));
    steps.extend(PARTS.map(|(role, title, part, what)| {
        let member = account_member(&args.api_account());
        let objects = format!("projects/_/buckets/{}/objects/{part}", args.bucket());
        let condition = format!("title={title},expression=resource.name.startsWith(\"{objects}\")");
        Planned {
            name: "grant",
            what: what.to_owned(),
            look: Look::Policy(
                args.gcloud("storage buckets get-iam-policy")
                    .arg(&url)
                    .option("format", "json"),
                Binding {
                    role,
                    member: member.clone(),
                    condition: Some(title),
                },
            ),
            wanted: Wanted::There,
            commands: vec![
                args.gcloud("storage buckets add-iam-policy-binding")
                    .arg(&url)
                    .option("member", &member)
                    .option("role", role)
                    .option("condition", &condition),
            ],
        }
    }));
    steps
}

/// The worker deletes a sealed request when its task ends, and logs after their time. The bucket does it, too, in case that
/// the worker never comes back.
fn lifecycle(args: &GcpArgs) -> Planned {
    let rule = |part: &str, days: u16| json!({ "action": { "type": "Delete" }, "condition": { "age": days, "matchesPrefix": [part] } });
    let rules = json!({ "rule": [
        rule("encrypted-payloads/", REQUEST_DAYS),
        rule("sessions/", args.log_retention_days),
    ]});
    let update = args
        .gcloud("storage buckets update")
        .arg(&args.bucket_url())
        .option("lifecycle-file", "/dev/stdin")
        .reading(&rules.to_string());
    let print = fingerprint(std::slice::from_ref(&update));
    make(
        "lifecycle",
        format!(
            "delete sealed requests after {REQUEST_DAYS} days, and logs after {} days",
            args.log_retention_days
        ),
        list(args, &format!("value(name,labels.{LABEL})")),
        &format!("{}\t{print}", args.bucket()),
        vec![update.option("update-labels", &format!("{LABEL}={print}"))],
    )
}

/// The buckets of the project.
pub(super) fn list(args: &GcpArgs, format: &str) -> Gcloud {
    args.gcloud("storage buckets list").option("format", format)
}

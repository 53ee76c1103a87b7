//! Both programs: the API as a Cloud Run service, the worker as a worker pool.

use super::{
    super::{gcloud::Gcloud, runner::Planned},
    arguments::GcpArgs,
    images,
    names::{LABEL, fingerprint, make},
    secrets,
};

/// Where the API finds its configuration.
const CONFIG_FILE: &str = "/etc/claude-tasks/api.toml";

pub(super) fn steps(args: &GcpArgs) -> Vec<Planned> {
    vec![
        deployed(
            "api",
            format!("deploy the API as the service {}", args.service),
            services(args, "run services list"),
            &args.service,
            api(args),
            // The API reads it when it starts.
            &[secrets::add_config(args)],
        ),
        deployed(
            "worker",
            format!(
                "deploy {} workers as the worker pool {}",
                args.workers, args.worker_pool
            ),
            services(args, "beta run worker-pools list"),
            &args.worker_pool,
            worker(args),
            &[],
        ),
    ]
}

/// A step that deploys again when an option has changed, or a command whose result the program reads.
fn deployed(
    step: &'static str,
    what: String,
    list: Gcloud,
    name: &str,
    command: Gcloud,
    inputs: &[Gcloud],
) -> Planned {
    let print = fingerprint(&[std::slice::from_ref(&command), inputs].concat());
    make(
        step,
        what,
        list.option(
            "format",
            &format!("value(metadata.name,metadata.labels.{LABEL})"),
        ),
        &format!("{name}\t{print}"),
        vec![command.option("labels", &format!("{LABEL}={print}"))],
    )
}

fn api(args: &GcpArgs) -> Gcloud {
    let mut secrets = vec![format!("{CONFIG_FILE}={}:latest", secrets::CONFIG)];
    secrets.extend(api_key(args));
    let command = args
        .gcloud("run deploy")
        .arg(&args.service)
        .option("region", &args.region)
        .option("image", &args.image(images::API))
        .option("service-account", &args.api_account())
        // The API checks tokens itself. Cloud Run would remove their signatures.
        .flag("no-invoker-iam-check")
        .option("port", "8080")
        .option("cpu", "1")
        .option("memory", "512Mi")
        .option("concurrency", "80")
        .option("min-instances", "0")
        .option("max-instances", &args.max_instances.to_string())
        // The longest that Cloud Run has. A stream that ends then cancels its task: longer tasks use /run-async.
        .option("timeout", "3600")
        .option(
            "startup-probe",
            "httpGet.path=/readyz,httpGet.port=8080,periodSeconds=2,failureThreshold=30",
        )
        .option(
            "set-env-vars",
            &variables(args, &[("CODEC_CONFIG", CONFIG_FILE)]),
        )
        .option("set-secrets", &secrets.join(","));
    in_network(args, command)
}

fn worker(args: &GcpArgs) -> Gcloud {
    let mut secrets = vec![format!(
        "CLOUDRUN_CALLBACK_SECRET={}:latest",
        secrets::WEBHOOK
    )];
    secrets.extend(api_key(args));
    let command = args
        .gcloud("beta run worker-pools deploy")
        .arg(&args.worker_pool)
        .option("region", &args.region)
        .option("image", &args.image(images::WORKER))
        .option("service-account", &args.worker_account())
        .option("scaling", &args.workers.to_string())
        .option("cpu", &args.worker_cpu.to_string())
        .option("memory", &format!("{}Gi", args.worker_memory))
        .option(
            "set-env-vars",
            &variables(
                args,
                &[
                    ("CLAUDE_TASKS_MAX_TASKS", "1"),
                    // Cloud Run kills an instance ten seconds after SIGTERM.
                    ("CLAUDE_TASKS_DRAIN_TIME", "0s"),
                    ("CLAUDE_TASKS_GRACE_TIME", "5s"),
                    (
                        "CLAUDE_TASKS_LOG_RETENTION",
                        &format!("{}d", args.log_retention_days),
                    ),
                ],
            ),
        )
        .option("set-secrets", &secrets.join(","));
    in_network(args, command)
}

/// The variables that both programs have, and their own, with `|` between them.
fn variables(args: &GcpArgs, own: &[(&str, &str)]) -> String {
    let bucket = args.bucket();
    let (key, secrets_key) = (args.key_uri(&args.key), args.key_uri(&args.secrets_key));
    let shared = [
        ("CLAUDE_TASKS_LOG_FORMAT", "json"),
        ("CLAUDE_TASKS_SECRETS_KEY", &secrets_key),
        ("CLAUDE_TASKS_TASK_QUEUE", &args.task_queue),
        ("GCS_LOGS_BUCKET", &bucket),
        ("GOOGLE_CLOUD_PROJECT", &args.project),
        (
            "TEMPORAL_ADDRESS",
            args.temporal_address.as_deref().unwrap_or_default(),
        ),
        ("TEMPORAL_CODEC_KEY", &key),
        ("TEMPORAL_NAMESPACE", &args.temporal_namespace),
    ];
    let all: Vec<_> = shared
        .iter()
        .chain(own)
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    format!("^|^{}", all.join("|"))
}

fn api_key(args: &GcpArgs) -> Option<String> {
    let secret = args.temporal_api_key_secret.as_ref()?;
    Some(format!("TEMPORAL_API_KEY={secret}:latest"))
}

fn in_network(args: &GcpArgs, command: Gcloud) -> Gcloud {
    match (&args.network, &args.subnet) {
        (Some(network), Some(subnet)) => command
            .option("network", network)
            .option("subnet", subnet)
            .option("vpc-egress", "private-ranges-only"),
        _ => command,
    }
}

/// The services or worker pools of the region.
pub(super) fn services(args: &GcpArgs, words: &str) -> Gcloud {
    args.gcloud(words).option("region", &args.region)
}

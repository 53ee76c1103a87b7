//! The log of both programs, in a log bucket with its own retention.

use super::{
    super::{gcloud::Gcloud, runner::Planned},
    arguments::GcpArgs,
    names::make,
};

/// The log bucket and the sink that fills it.
pub(super) const NAME: &str = "claude-tasks";

pub(super) fn steps(args: &GcpArgs) -> Vec<Planned> {
    let days = args.log_retention_days.to_string();
    let bucket = make(
        "log-bucket",
        format!("create the log bucket {NAME}"),
        buckets(args, "value(name.basename())"),
        NAME,
        vec![of_bucket(args, "logging buckets create")],
    );
    let retention = make(
        "log-retention",
        format!("keep the logs of both programs for {days} days"),
        buckets(args, "value(name.basename(),retentionDays)"),
        &format!("{NAME}\t{days}"),
        vec![of_bucket(args, "logging buckets update").option("retention-days", &days)],
    );
    let filter = format!(
        "resource.labels.service_name=\"{}\" OR resource.labels.worker_pool_name=\"{}\"",
        args.service, args.worker_pool
    );
    let place = format!(
        "logging.googleapis.com/projects/{}/locations/{}/buckets/{NAME}",
        args.project, args.region
    );
    let sink = make(
        "log-sink",
        "send the log of both programs there".to_owned(),
        sinks(args),
        NAME,
        vec![
            args.gcloud("logging sinks create")
                .arg(NAME)
                .arg(&place)
                .option("log-filter", &filter),
        ],
    );
    vec![bucket, retention, sink]
}

/// The log buckets of the region.
pub(super) fn buckets(args: &GcpArgs, format: &str) -> Gcloud {
    args.gcloud("logging buckets list")
        .option("location", &args.region)
        .option("format", format)
}

/// The sinks of the project.
pub(super) fn sinks(args: &GcpArgs) -> Gcloud {
    args.gcloud("logging sinks list")
        .option("format", "value(name)")
}

/// A command about the log bucket.
pub(super) fn of_bucket(args: &GcpArgs, words: &str) -> Gcloud {
    args.gcloud(words)
        .arg(NAME)
        .option("location", &args.region)
}

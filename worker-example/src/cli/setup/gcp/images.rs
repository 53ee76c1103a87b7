//! The APIs of the project, and the images of both programs.

use super::{
    super::{
        gcloud::Gcloud,
        runner::{Look, Planned, Wanted},
    },
    arguments::GcpArgs,
    names::make,
};

const APIS: [&str; 8] = [
    "artifactregistry.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudkms.googleapis.com",
    "iamcredentials.googleapis.com",
    "logging.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "storage.googleapis.com",
];

/// The programs with an image each: stages of the Dockerfile.
pub(super) const API: &str = "api";
pub(super) const WORKER: &str = "worker";

pub(super) fn steps(args: &GcpArgs) -> Vec<Planned> {
    let enable = APIS
        .iter()
        .fold(Gcloud::new("services enable"), |command, api| {
            command.arg(api)
        })
        .option("project", &args.project);
    let enabled = args
        .gcloud("services list")
        .flag("enabled")
        .option("format", "value(config.name)");
    let apis = Planned {
        name: "apis",
        what: "enable the APIs of the project".to_owned(),
        look: Look::Lines(enabled, APIS.map(str::to_owned).to_vec()),
        wanted: Wanted::There,
        commands: vec![enable],
    };
    let repository = make(
        "repository",
        format!("create the repository {} for images", args.repository),
        list(args),
        &args.repository,
        vec![
            args.gcloud("artifacts repositories create")
                .arg(&args.repository)
                .option("location", &args.region)
                .option("repository-format", "docker")
                .option("description", "Images of claude-tasks"),
        ],
    );
    let tags = args
        .gcloud("artifacts docker images list")
        .arg(&args.images())
        .flag("include-tags")
        .option("flatten", "tags[]")
        .option("format", "value(package,tags)");
    let images = Planned {
        name: "images",
        what: format!(
            "build the images {API} and {WORKER} with the tag {}",
            args.tag
        ),
        look: Look::Lines(
            tags,
            [API, WORKER]
                .map(|program| format!("{}/{program}\t{}", args.images(), args.tag))
                .to_vec(),
        ),
        wanted: Wanted::There,
        commands: vec![
            args.gcloud("builds submit")
                .arg(&args.source)
                .option("region", &args.region)
                .option(
                    "config",
                    &format!("{}/deploy/cloud-run/cloudbuild.yaml", args.source),
                )
                .option(
                    "substitutions",
                    &format!("_IMAGES={},_TAG={}", args.images(), args.tag),
                ),
        ],
    };
    vec![apis, repository, images]
}

/// The names of the repositories.
pub(super) fn list(args: &GcpArgs) -> Gcloud {
    args.gcloud("artifacts repositories list")
        .option("location", &args.region)
        .option("format", "value(name.basename())")
}

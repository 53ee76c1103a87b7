//! The project that a refusal is about: the key's project, or the project that calls are charged to.

use std::collections::HashMap;

use temporal_kms::KeyUri;

const OTHER: &str = "charge another project: `gcloud auth application-default set-quota-project`, or \
                     GOOGLE_CLOUD_QUOTA_PROJECT";

/// The id or number of the project that a call is charged to: `consumer` of an `ErrorInfo`.
pub(super) fn consumer(metadata: &HashMap<String, String>) -> Option<&str> {
    let consumer = metadata.get("consumer")?;
    let project = consumer
        .strip_prefix("projects/")
        .or_else(|| consumer.strip_prefix("project_number:"))?;
    is_project(project).then_some(project)
}

/// The project in a key's name.
pub(super) fn of_key(uri: &KeyUri) -> Option<&str> {
    uri.resource().strip_prefix("projects/")?.split('/').next()
}

/// The command that enables Cloud KMS.
pub(super) fn enable(project: Option<&str>) -> String {
    let flag = project.map_or_else(String::new, |project| format!(" --project={project}"));
    format!("gcloud services enable cloudkms.googleapis.com{flag}")
}

/// What is wrong with a project that has not enabled Cloud KMS, and what to do.
pub(super) fn disabled(project: Option<&str>) -> (String, String) {
    let name = project.map_or_else(
        || "the project that calls are charged to".to_owned(),
        |project| format!("project {project}, which calls are charged to"),
    );
    (
        format!("Cloud KMS is not enabled in {name}"),
        format!("enable it there ({}), or {OTHER}", enable(project)),
    )
}

/// What is wrong with a project that the caller may not charge calls to, and what to do.
pub(super) fn denied(project: Option<&str>) -> (String, String) {
    let name = project.map_or_else(
        || "the quota project".to_owned(),
        |project| format!("project {project}"),
    );
    (
        format!("the caller may not charge calls to {name}"),
        format!("grant it roles/serviceusage.serviceUsageConsumer there, or {OTHER}"),
    )
}

/// What is wrong with a project that no calls can be charged to, and what to do.
pub(super) fn unusable(project: Option<&str>) -> (String, String) {
    let name = project.map_or_else(
        || "the project that calls are charged to".to_owned(),
        |project| format!("project {project}, which calls are charged to,"),
    );
    (
        format!("{name} does not exist or has no billing account"),
        format!("correct that, or {OTHER}"),
    )
}

/// Whether it has the form of a project's id (`example.com:project` included) or number.
fn is_project(text: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.:".contains(&byte);
    (1..=63).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_a_projects_form_is_named() {
        let of = |consumer: &str| {
            let metadata = HashMap::from([("consumer".to_owned(), consumer.to_owned())]);
            super::consumer(&metadata).map(str::to_owned)
        };
        assert_eq!(of("projects/999999").as_deref(), Some("999999"));
        assert_eq!(of("project_number:12").as_deref(), Some("12"));
        assert_eq!(
            of("projects/example.com:a-b").as_deref(),
            Some("example.com:a-b")
        );
        let long = format!("projects/{}", "a".repeat(64));
        for bad in [
            "",
            "projects/",
            "projects/A",
            "projects/a b",
            "projects/\u{1b}[2J",
            "a",
            &long,
        ] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}

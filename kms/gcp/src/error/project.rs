//! The project that a refusal is about: the key's project, or the project that calls are charged to.

use std::{borrow::Cow, collections::HashMap};

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

pub(super) fn disabled(project: Option<&str>) -> Cow<'static, str> {
    let Some(project) = project else {
        return "Cloud KMS is not enabled in the project that calls are charged to".into();
    };
    format!(
        "Cloud KMS is not enabled in project {project}, which calls are charged to; enable it there (gcloud services \
         enable cloudkms.googleapis.com --project={project}), or {OTHER}"
    )
    .into()
}

pub(super) fn denied(project: Option<&str>) -> Cow<'static, str> {
    let project = project.map_or_else(
        || "the quota project".to_owned(),
        |project| format!("project {project}"),
    );
    format!(
        "the caller may not charge calls to {project}; grant it roles/serviceusage.serviceUsageConsumer there, or {OTHER}"
    )
    .into()
}

pub(super) fn unusable(project: Option<&str>) -> Cow<'static, str> {
    let project = project.map_or_else(
        || "the project that calls are charged to".to_owned(),
        |project| format!("project {project}, which calls are charged to,"),
    );
    format!("{project} does not exist or has no billing account; correct that, or {OTHER}").into()
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

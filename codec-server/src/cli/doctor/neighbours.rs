//! A key that is not found: is it the project, the key ring or the name?

use temporal_kms_codec::{
    KeyUri, KmsKind,
    kms::{self, Cause, KmsOptions, ProviderError, ProviderErrorKind as Kind},
};

use super::{
    advice::{self, gcloud, words},
    credentials::Source,
    finding::{Check, Finding},
};

/// Names that are less alike are others.
const ALIKE: f64 = 0.8;
const SHOWN: usize = 5;

/// Why a key cannot be found, as far as the service tells.
pub(super) async fn missing(
    key: &KeyUri,
    error: &ProviderError,
    options: &KmsOptions,
    source: &Source,
) -> Finding {
    let failed = |summary: String, remedy: String| {
        Finding::failed(Check::Key, advice::exit(error), summary, remedy)
    };
    // Which project pays says nothing of the key.
    if error.cause() == Some(Cause::QuotaProject) {
        return not_charged(error, failed);
    }
    let other = other_project(key, source);
    if let Some((sibling, project, says)) = &other {
        let wrong = project_of(key);
        if exists(sibling, options).await {
            return failed(
                format!(
                    "wrong project: {wrong} has no such key that this caller may see, but {project} has, which {says} names"
                ),
                format!("name the key {sibling}"),
            );
        }
    }
    let hint = other.map_or_else(String::new, |(_, project, says)| {
        format!("; wrong project? {says} names {project}")
    });
    match error.cause() {
        Some(Cause::ServiceDisabled) => {
            let project = error.project().unwrap_or_else(|| project_of(key));
            return failed(
                format!("project {project} has not enabled Cloud KMS{hint}"),
                format!(
                    "if project {project} is the right one: gcloud services enable cloudkms.googleapis.com --project={project}"
                ),
            );
        }
        Some(Cause::Project) => {
            let project = error.project().unwrap_or_else(|| project_of(key));
            return failed(
                format!("{}{hint}", words(error)),
                format!("check the project in the key's name: gcloud projects describe {project}"),
            );
        }
        _ => {}
    }
    if error.kind() != Kind::KeyNotFound {
        return failed(
            format!("{}{hint}", words(error)),
            "correct the key's name or its settings".to_owned(),
        );
    }
    let create = advice::keys("create", key, "", options);
    match in_same_place(key, options).await {
        Ok(keys) if keys.is_empty() => failed(
            format!("there is no such key, nor any other in the same place{hint}"),
            format!("check the place in its name, or create the key: {create}"),
        ),
        Ok(keys) => {
            if let Some(near) = nearest(key, &keys) {
                return failed(
                    format!("there is no such key; a key in the same place is called {near}"),
                    format!("name {near} if that is meant, or create the key: {create}"),
                );
            }
            let some: Vec<_> = keys.iter().take(SHOWN).map(last).collect();
            let more = if keys.len() > SHOWN { ", …" } else { "" };
            failed(
                format!(
                    "there is no such key; in the same place are {}{more}{hint}",
                    some.join(", ")
                ),
                format!("name one of them, or create the key: {create}"),
            )
        }
        Err(listed) if listed.kind() == Kind::KeyNotFound && key.kms() == KmsKind::GcpKms => {
            failed(
                format!("there is no such key ring in this project and location{hint}"),
                format!(
                    "check key ring and location (gcloud kms keyrings list --location=LOCATION --project={}), or create both: {create}",
                    project_of(key)
                ),
            )
        }
        Err(_) => failed(
            format!("{}{hint}", words(error)),
            where_to_look(key, &create),
        ),
    }
}

/// A remark on the project, where the service refuses without telling whether there is such a key.
pub(super) fn other_project_hint(key: &KeyUri, source: &Source) -> Option<Finding> {
    let (sibling, project, says) = other_project(key, source)?;
    Some(Finding::warning(
        Check::Key,
        format!(
            "the service does not tell whether it exists; its project is {}, but {says} names {project}",
            project_of(key)
        ),
        format!("if the project is wrong, name the key {sibling}"),
    ))
}

async fn exists(key: &KeyUri, options: &KmsOptions) -> bool {
    match kms::open(key, options).await {
        Ok(provider) => match provider.describe().await {
            Ok(_) => true,
            Err(error) => error.kind() == Kind::KeyDisabled,
        },
        Err(_) => false,
    }
}

/// The same key in the first other project that something names.
fn other_project(key: &KeyUri, source: &Source) -> Option<(KeyUri, String, String)> {
    if key.kms() != KmsKind::GcpKms {
        return None;
    }
    let own = project_of(key);
    let (says, project) = source.projects.iter().find(|(_, project)| project != own)?;
    let rest = key.resource().strip_prefix(&format!("projects/{own}/"))?;
    let sibling = KeyUri::new(KmsKind::GcpKms, &format!("projects/{project}/{rest}")).ok()?;
    Some((sibling, project.clone(), says.clone()))
}

fn project_of(key: &KeyUri) -> &str {
    key.resource().split('/').nth(1).unwrap_or_default()
}

async fn in_same_place(key: &KeyUri, options: &KmsOptions) -> Result<Vec<KeyUri>, ProviderError> {
    let admin = kms::open_admin(key, options).await?;
    let keys = admin.list(key).await?;
    Ok(keys.into_iter().map(|key| key.uri).collect())
}

fn nearest<'k>(wanted: &KeyUri, keys: &'k [KeyUri]) -> Option<&'k KeyUri> {
    keys.iter()
        .map(|key| (strsim::jaro_winkler(last(wanted), last(key)), key))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, key)| key)
}

/// The last part of its name.
fn last(key: &KeyUri) -> &str {
    let resource = key.resource();
    let last = match key.kms() {
        KmsKind::Pkcs11 => resource
            .split(';')
            .find_map(|part| part.strip_prefix("object=")),
        _ => resource.rsplit('/').next(),
    };
    last.unwrap_or(resource)
}

fn where_to_look(key: &KeyUri, create: &str) -> String {
    match key.kms() {
        KmsKind::GcpKms => format!(
            "look at it with `gcloud kms keys describe {}`, or create it: {create}",
            gcloud(key)
        ),
        KmsKind::AwsKms => format!(
            "check region and account in its name with `aws kms list-aliases` and `aws sts get-caller-identity`, or create it: \
             {create}"
        ),
        _ => format!("correct its name, or create it: {create}"),
    }
}

/// The project that pays for the calls has to be corrected. It need not be the key's.
fn not_charged(error: &ProviderError, failed: impl FnOnce(String, String) -> Finding) -> Finding {
    let project = error.project().unwrap_or("PROJECT");
    failed(
        words(error),
        format!(
            "look at project {project}, which calls are charged to: gcloud services list --enabled --project={project}\n\
             or charge another one: gcloud auth application-default set-quota-project OTHER"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> KeyUri {
        format!("gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/{name}")
            .parse()
            .unwrap()
    }

    #[test]
    fn a_near_name_is_found_and_a_far_one_is_not() {
        let keys = ["orders", "workflow-encryption", "workflows"].map(key);
        let near = nearest(&key("workflow-encrpytion"), &keys);
        assert_eq!(near, Some(&key("workflow-encryption")));
        assert_eq!(nearest(&key("order"), &keys), Some(&key("orders")));
        assert_eq!(nearest(&key("zzz"), &keys), None);
        assert_eq!(nearest(&key("a"), &[]), None);
    }

    #[test]
    fn the_same_key_is_looked_for_in_the_project_that_the_credentials_name() {
        let source = |project: &str| Source {
            projects: vec![("GOOGLE_CLOUD_PROJECT".to_owned(), project.to_owned())],
            ..Source::default()
        };
        assert!(other_project(&key("k"), &source("p")).is_none());
        let (sibling, project, says) = other_project(&key("k"), &source("q")).unwrap();
        assert_eq!(
            sibling.to_string(),
            "gcp-kms://projects/q/locations/l/keyRings/r/cryptoKeys/k"
        );
        assert_eq!(
            (project.as_str(), says.as_str()),
            ("q", "GOOGLE_CLOUD_PROJECT")
        );
    }
}

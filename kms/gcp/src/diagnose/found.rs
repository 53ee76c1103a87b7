//! Which credentials are there, without their secrets.

use std::{fs::File, io::Read as _, path::Path};

use serde_json::Value;
use temporal_kms::{
    CredentialsFound, Web,
    support::{absolute_path, is_plain_name, variable},
};
use zeroize::Zeroizing;

use crate::credentials::MAX_FILE;

const METADATA: &str = "metadata.google.internal";
const METADATA_PATH: &str = "computeMetadata/v1/instance/service-accounts/default/email";
const NO_CREDENTIALS: &str = "no Google Cloud credentials were found: GOOGLE_APPLICATION_CREDENTIALS is not set, gcloud has left no file, \
                              and no metadata server of Google Cloud answers";

/// The parts of a credentials file that may be shown.
pub(super) fn of_file(path: &Path, what: &str) -> CredentialsFound {
    let path = absolute_path(path);
    let shown = path.display();
    let missing = |reason: &str| CredentialsFound::missing(format!("{what} {shown} {reason}"));
    let mut text = Zeroizing::new(Vec::new());
    let read = File::open(&path).and_then(|file| file.take(MAX_FILE).read_to_end(&mut text));
    if let Err(error) = read {
        return missing(&format!("cannot be read: {}", error.kind()));
    }
    let Some(file) = Shown::of(&text) else {
        return missing("is not a credentials file of Google Cloud");
    };
    let kind = match file.kind.as_str() {
        "service_account" => "a service account's key",
        "authorized_user" => "of a user",
        "external_account" => "workload identity",
        "impersonated_service_account" => "an impersonated service account",
        _ => return missing("is not of a kind that Google Cloud creates"),
    };
    let found = CredentialsFound::new(match &file.email {
        Some(email) => format!("{what} {shown}, {kind}: {email}"),
        None => format!("{what} {shown}, {kind}"),
    });
    let found = found.with_caller(file.email.map(|email| format!("serviceAccount:{email}")));
    match file.project {
        Some(project) => found.with_place("the credentials file", project),
        None => found,
    }
}

/// The parts of a credentials file that are not secret.
struct Shown {
    kind: String,
    email: Option<String>,
    project: Option<String>,
}

impl Shown {
    fn of(json: &[u8]) -> Option<Self> {
        let json: Value = serde_json::from_slice(json).ok()?;
        let text = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned);
        let name = |name: &str| text(name).filter(|text| is_plain_name(text));
        Some(Self {
            kind: text("type")?,
            email: name("client_email"),
            project: name(match json.get("project_id") {
                Some(Value::String(_)) => "project_id",
                _ => "quota_project_id",
            }),
        })
    }
}

/// The service account of this machine.
pub(super) async fn of_machine(web: &dyn Web) -> CredentialsFound {
    let host = variable("GCE_METADATA_HOST").unwrap_or_else(|| METADATA.to_owned());
    let url = format!("http://{host}/{METADATA_PATH}");
    let answer = web.get(&url, ("Metadata-Flavor", "Google")).await;
    let email = answer.map(|email| email.trim().to_owned());
    match email.filter(|email| is_plain_name(email)) {
        Some(email) => {
            CredentialsFound::new(format!("the metadata server of this machine: {email}"))
                .with_caller(Some(format!("serviceAccount:{email}")))
        }
        None => CredentialsFound::missing(NO_CREDENTIALS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(content: &str) -> CredentialsFound {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gcp.json");
        std::fs::write(&path, content).unwrap();
        of_file(&path, "the file")
    }

    #[test]
    fn a_file_tells_its_account_and_project_and_no_secret() {
        let found = of(
            r#"{"type":"service_account","client_email":"a@p.iam.gserviceaccount.com","project_id":"p","private_key":"sk-secret"}"#,
        );
        assert_eq!(
            found.caller.as_deref(),
            Some("serviceAccount:a@p.iam.gserviceaccount.com")
        );
        assert_eq!(found.places[0].1, "p");
        assert!(found.missing.is_none());
        assert!(!format!("{found:?}").contains("sk-secret"));
    }

    #[test]
    fn what_is_no_credentials_file_is_said_without_its_content() {
        for content in ["sk-secret", r#"{"type":"sk-secret"}"#, "{}"] {
            let found = of(content);
            assert!(found.missing.is_some(), "{content}");
            assert!(!format!("{found:?}").contains("sk-secret"));
        }
        let hostile = of(r#"{"type":"service_account","client_email":"a; rm -rf ~"}"#);
        assert_eq!(hostile.caller, None);
        let absent = of_file(Path::new("/nonexistent/gcp.json"), "the file");
        assert!(absent.missing.unwrap().contains("cannot be read"));
    }
}

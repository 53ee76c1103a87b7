//! The credentials of calls to Cloud KMS.

use std::{
    fs,
    path::{Path, PathBuf},
};

use google_cloud_auth::credentials::{
    Builder, Credentials, anonymous, external_account, impersonated, service_account, user_account,
};
use http::Uri;
use serde_json::Value;

use crate::{
    GcpOptions,
    endpoint::{REFUSED, REMEDY, Target},
};
use temporal_kms::{KeyUri, ProviderError, ProviderErrorKind as Kind, endpoint, support::variable};

/// The scope that Google's own clients request. IAM decides what a caller may do.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// Larger than any credentials file.
pub(super) const MAX_FILE: u64 = 64 * 1024;

/// The settings of a connection.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) endpoint: Option<String>,
    target: Target,
    credentials: Option<PathBuf>,
}

impl Settings {
    pub(super) fn new(uri: &KeyUri, options: &GcpOptions) -> Result<Self, ProviderError> {
        let Some(target) = Target::of(options.endpoint.as_deref()) else {
            return Err(ProviderError::new(Kind::Misconfigured, uri)
                .with_detail(format!("the endpoint: {REFUSED}"))
                .with_remedy(REMEDY));
        };
        Ok(Self {
            endpoint: options.endpoint.clone(),
            target,
            credentials: options.credentials.clone(),
        })
    }

    /// Reads the credentials' file. The result fetches tokens and keeps them fresh.
    pub(super) fn credentials(&self) -> Result<Credentials, CredentialsFault> {
        match (&self.credentials, self.target) {
            (Some(file), _) => from_file(file),
            (None, Target::Emulator) => Ok(anonymous::Builder::new().build()),
            (None, Target::Google) => Builder::default()
                .with_scopes([SCOPE])
                .build()
                .map_err(|_| CredentialsFault::Application),
        }
    }
}

/// Why credentials cannot be used. It holds no content of a file. [`remedy`](CredentialsFault::remedy) says what to do.
#[derive(Debug, thiserror::Error)]
pub(super) enum CredentialsFault {
    #[error("the credentials file {0} cannot be read: {1}")]
    Unreadable(PathBuf, std::io::ErrorKind),
    #[error("the credentials file {0} does not have the form of a Google Cloud credentials file")]
    Malformed(PathBuf),
    #[error("the credentials file {0} sends secrets to a URL without TLS")]
    InTheClear(PathBuf),
    #[error("the file that GOOGLE_APPLICATION_CREDENTIALS names, or gcloud wrote, cannot be used")]
    Application,
}

/// Whether the file has the form of a credentials file. Nothing is called.
pub(super) fn check(path: &Path) -> Result<(), CredentialsFault> {
    read(path).map(drop)
}

/// The file in which `gcloud auth application-default login` keeps credentials.
pub(super) fn gcloud_file() -> Option<PathBuf> {
    let home = PathBuf::from(variable("HOME")?);
    Some(home.join(".config/gcloud/application_default_credentials.json"))
}

impl CredentialsFault {
    /// What to do.
    pub(super) const fn remedy(&self) -> &'static str {
        match self {
            Self::Unreadable(..) => "check its path and permissions",
            Self::Malformed(_) => "download it again, or name another file",
            Self::InTheClear(_) => "correct its URLs to https://",
            Self::Application => "correct it, or run `gcloud auth application-default login`",
        }
    }
}

fn from_file(path: &Path) -> Result<Credentials, CredentialsFault> {
    let (form, json) = read(path)?;
    // The library does the same for the file of GOOGLE_APPLICATION_CREDENTIALS.
    let built = match form {
        Form::ServiceAccount => service_account::Builder::new(json)
            .with_access_specifier(service_account::AccessSpecifier::from_scopes([SCOPE]))
            .build(),
        Form::ExternalAccount => external_account::Builder::new(json)
            .with_scopes([SCOPE])
            .build(),
        Form::Impersonated => impersonated::Builder::new(json)
            .with_scopes([SCOPE])
            .build(),
        Form::User => user_account::Builder::new(json)
            .with_scopes([SCOPE])
            .build(),
    };
    built.map_err(|_| CredentialsFault::Malformed(path.to_owned()))
}

/// The forms of credentials files.
#[derive(Clone, Copy)]
enum Form {
    ServiceAccount,
    ExternalAccount,
    Impersonated,
    User,
}

impl Form {
    fn of(json: &Value) -> Option<Self> {
        match json.get("type")?.as_str()? {
            "service_account" => Some(Self::ServiceAccount),
            "external_account" => Some(Self::ExternalAccount),
            "impersonated_service_account" => Some(Self::Impersonated),
            "authorized_user" => Some(Self::User),
            _ => None,
        }
    }
}

fn read(path: &Path) -> Result<(Form, Value), CredentialsFault> {
    let malformed = || CredentialsFault::Malformed(path.to_owned());
    let unreadable =
        |error: std::io::Error| CredentialsFault::Unreadable(path.to_owned(), error.kind());
    if fs::metadata(path).map_err(unreadable)?.len() > MAX_FILE {
        return Err(malformed());
    }
    let json: Value =
        serde_json::from_slice(&fs::read(path).map_err(unreadable)?).map_err(|_| malformed())?;
    if sends_in_the_clear(&json) {
        return Err(CredentialsFault::InTheClear(path.to_owned()));
    }
    let form = Form::of(&json).ok_or_else(malformed)?;
    Ok((form, json))
}

/// The URLs to which secrets are sent because of a credentials file.
fn sends_in_the_clear(credentials: &Value) -> bool {
    const URLS: [&str; 4] = [
        "/token_uri",
        "/token_url",
        "/service_account_impersonation_url",
        "/source_credentials/token_uri",
    ];
    let is_protected = |url: &str| {
        url.parse::<Uri>().is_ok_and(|uri| match uri.scheme_str() {
            Some("https") => true,
            Some("http") => uri.host().is_some_and(endpoint::is_loopback),
            _ => false,
        })
    };
    URLS.iter()
        .filter_map(|pointer| credentials.pointer(pointer)?.as_str())
        .any(|url| !is_protected(url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_sends_secrets_without_tls_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials.json");
        for (content, refused) in [
            (
                r#"{"type":"authorized_user","token_uri":"http://example.com/token"}"#,
                true,
            ),
            (
                r#"{"type":"external_account","token_url":"http://sts.example.com"}"#,
                true,
            ),
            (
                r#"{"type":"external_account","service_account_impersonation_url":"http://a.example"}"#,
                true,
            ),
            (
                r#"{"type":"impersonated_service_account","source_credentials":{"token_uri":"ftp://a.example"}}"#,
                true,
            ),
            (
                r#"{"type":"authorized_user","token_uri":"https://example.com/token"}"#,
                false,
            ),
            (
                r#"{"type":"authorized_user","token_uri":"http://127.0.0.1:1/token"}"#,
                false,
            ),
        ] {
            fs::write(&path, content).unwrap();
            let fault = from_file(&path).err();
            let in_the_clear = matches!(fault, Some(CredentialsFault::InTheClear(_)));
            assert_eq!(in_the_clear, refused, "{content}");
            assert_eq!(check(&path).is_err(), refused, "{content}");
        }
    }

    #[tokio::test]
    async fn a_file_is_refused_without_a_word_of_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials.json");
        for content in [
            "sk-secret",
            r#"{"type":"sk-secret"}"#,
            r#"{"type":"service_account"}"#,
        ] {
            fs::write(&path, content).unwrap();
            let fault = from_file(&path).unwrap_err();
            assert!(matches!(fault, CredentialsFault::Malformed(_)), "{content}");
            assert!(!format!("{fault} {fault:?}").contains("sk-secret"));
        }
        let missing = from_file(&folder.path().join("none")).unwrap_err();
        assert!(matches!(missing, CredentialsFault::Unreadable(..)));
    }
}

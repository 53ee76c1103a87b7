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
use temporal_kms::{KeyUri, ProviderError, ProviderErrorKind as Kind, endpoint};

/// The scope that Google's own clients request. IAM decides what a caller may do.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// Larger than any credentials file.
pub(super) const MAX_FILE: u64 = 64 * 1024;

/// The settings that distinguish connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) endpoint: Option<String>,
    target: Target,
    pub(super) credentials: Option<PathBuf>,
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
    // The library does the same for the file of GOOGLE_APPLICATION_CREDENTIALS.
    let built = match json.get("type").and_then(Value::as_str) {
        Some("service_account") => service_account::Builder::new(json)
            .with_access_specifier(service_account::AccessSpecifier::from_scopes([SCOPE]))
            .build(),
        Some("external_account") => external_account::Builder::new(json)
            .with_scopes([SCOPE])
            .build(),
        Some("impersonated_service_account") => impersonated::Builder::new(json)
            .with_scopes([SCOPE])
            .build(),
        Some("authorized_user") => user_account::Builder::new(json)
            .with_scopes([SCOPE])
            .build(),
        _ => return Err(malformed()),
    };
    built.map_err(|_| malformed())
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

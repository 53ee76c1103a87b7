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
use temporal_kms::{
    ConfigurationError, KeyUri, ProviderError, ProviderErrorKind as Kind, Variables, endpoint,
    support::{absolute_path, variable},
};

/// The scope that Google's own clients request. IAM decides what a caller may do.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// Names the credentials file to Google's own programs.
const VARIABLE: &str = "GOOGLE_APPLICATION_CREDENTIALS";
/// What gcloud's file is called in place of a setting.
const GCLOUD: &str = "credentials of gcloud";
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
            credentials: options.credentials.as_ref().map(absolute_path),
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
                .map_err(|_| application_fault(&variable)),
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

/// Why the credentials file cannot be used: it does not exist, or does not have the form of one. Nothing is called.
/// Without gcloud's file the credentials are the machine's, so that file may be missing.
pub(super) fn fault(options: &GcpOptions, variable: Variables<'_>) -> Option<ConfigurationError> {
    let (name, file) = file(options, variable)?;
    if name == GCLOUD && !file.exists() {
        return None;
    }
    ConfigurationError::missing_file(name, &file).or_else(|| {
        let fault = read(&file).err()?;
        let reason = format!("{fault}; {}", fault.remedy());
        Some(ConfigurationError::invalid(name, reason))
    })
}

/// Why Google's library cannot use the file that it reads without a setting of ours. The library's own error may quote the
/// file, so the file is read again.
fn application_fault(variable: Variables<'_>) -> CredentialsFault {
    file(&GcpOptions::default(), variable)
        .filter(|(name, file)| *name != GCLOUD || file.exists())
        .and_then(|(_, file)| read(&file).err())
        .unwrap_or(CredentialsFault::Application)
}

/// The file that Google's library reads without any setting.
pub(super) fn default_file(options: &GcpOptions, variable: Variables<'_>) -> Option<PathBuf> {
    let (name, file) = file(options, variable)?;
    (name == GCLOUD).then_some(file)
}

/// The file in which `gcloud auth application-default login` keeps credentials.
pub(super) fn gcloud_file(variable: Variables<'_>) -> Option<PathBuf> {
    let home = PathBuf::from(variable("HOME")?);
    Some(home.join(".config/gcloud/application_default_credentials.json"))
}

/// The credentials file, with the setting or the variable that names it. `None` where no file is read.
fn file(options: &GcpOptions, variable: Variables<'_>) -> Option<(&'static str, PathBuf)> {
    if let Some(file) = &options.credentials {
        return Some(("gcp_credentials", absolute_path(file)));
    }
    if Target::of(options.endpoint.as_deref()) != Some(Target::Google) {
        return None;
    }
    match variable(VARIABLE) {
        Some(file) => Some((VARIABLE, absolute_path(file))),
        None => Some((GCLOUD, gcloud_file(variable)?)),
    }
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
            assert_eq!(read(&path).is_err(), refused, "{content}");
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

    #[test]
    fn a_relative_file_of_the_options_is_named_to_readers_in_other_folders() {
        let uri = "gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k";
        let options = GcpOptions::default().with_credentials("none.json");
        let settings = Settings::new(&uri.parse().unwrap(), &options).unwrap();
        let told = settings.credentials().unwrap_err().to_string();
        let whole = std::env::current_dir().unwrap().join("none.json");
        assert!(told.contains(whole.to_str().unwrap()), "{told}");
    }

    /// An environment with these variables.
    fn environment<'a>(set: &'a [(&'a str, &'a Path)]) -> impl Fn(&str) -> Option<String> + 'a {
        move |name| {
            let (_, value) = set.iter().find(|(set, _)| *set == name)?;
            Some(value.to_str()?.to_owned())
        }
    }

    #[test]
    fn every_file_that_credentials_are_read_from_is_checked() {
        const GOOD: &str = r#"{"type":"authorized_user"}"#;
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path();
        let gcloud = gcloud_file(&environment(&[("HOME", home)])).unwrap();
        fs::create_dir_all(gcloud.parent().unwrap()).unwrap();
        let named = home.join("named.json");
        let setting = home.join("setting.json");

        let chain = GcpOptions::default();
        let by_setting = GcpOptions::default().with_credentials(&setting);
        let both = [("HOME", home), (VARIABLE, named.as_path())];
        let only_home = [("HOME", home)];
        for (options, set, file, name) in [
            (&by_setting, &both[..], &setting, "gcp_credentials"),
            (&chain, &both[..], &named, VARIABLE),
            (&chain, &only_home[..], &gcloud, GCLOUD),
        ] {
            let told = || fault(options, &environment(set));
            let missing = told().map(|fault| fault.setting().to_owned());
            let may_be_missing = name == GCLOUD;
            assert_eq!(missing.as_deref(), (!may_be_missing).then_some(name));
            fs::write(file, "sk-secret").unwrap();
            let damaged = told().unwrap();
            assert_eq!(damaged.setting(), name);
            let reason = damaged.reason();
            assert!(
                reason.ends_with("; download it again, or name another file"),
                "{reason}"
            );
            assert!(!reason.contains("sk-secret"), "{reason}");
            fs::write(file, GOOD).unwrap();
            assert_eq!(told(), None, "{name}");
        }

        // The others are not read.
        fs::write(&gcloud, "").unwrap();
        assert_eq!(fault(&chain, &environment(&both)), None);
        let emulator = GcpOptions::default().with_endpoint("http://127.0.0.1:1");
        assert_eq!(fault(&emulator, &environment(&only_home)), None);
    }

    #[test]
    fn the_file_of_the_environment_that_cannot_be_used_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path();
        let named = home.join("named.json");
        let set = [("HOME", home), (VARIABLE, named.as_path())];
        let told = || application_fault(&environment(&set)).to_string();
        let path = named.to_str().unwrap();
        assert!(told().contains(path), "{}", told());
        assert!(told().contains("cannot be read"), "{}", told());
        fs::write(&named, "sk-secret").unwrap();
        assert!(told().contains(path), "{}", told());
        assert!(!told().contains("sk-secret"), "{}", told());
        // People in another folder read it, too.
        let relative = [(VARIABLE, Path::new("none.json"))];
        let told = application_fault(&environment(&relative)).to_string();
        let whole = std::env::current_dir().unwrap().join("none.json");
        assert!(told.contains(whole.to_str().unwrap()), "{told}");
        // Another reason than a file.
        let fault = application_fault(&environment(&[("HOME", home)]));
        assert!(matches!(fault, CredentialsFault::Application));
    }

    #[test]
    fn the_file_of_gcloud_is_known_where_it_is_read() {
        let home = Path::new("/home/user");
        let only_home = [("HOME", home)];
        let known =
            |options: &GcpOptions, set: &[(&str, &Path)]| default_file(options, &environment(set));
        let chain = GcpOptions::default();
        let gcloud = home.join(".config/gcloud/application_default_credentials.json");
        assert_eq!(known(&chain, &only_home), Some(gcloud));
        let named = [("HOME", home), (VARIABLE, Path::new("/run/gcp.json"))];
        assert_eq!(known(&chain, &named), None);
        assert_eq!(known(&chain, &[]), None);
        for other in [
            chain.clone().with_credentials("/run/gcp.json"),
            chain.with_endpoint("http://127.0.0.1:1"),
        ] {
            assert_eq!(known(&other, &only_home), None);
        }
    }
}

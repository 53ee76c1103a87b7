//! Where credentials come from, as far as that can be told without using them. No secret is kept.

use std::{
    env, fs,
    io::Read as _,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use temporal_kms_codec::{KeyUri, KmsKind, kms::KmsOptions};

const MAX_FILE: u64 = 64 * 1024;
const METADATA: &str = "metadata.google.internal";
const METADATA_PATH: &str = "computeMetadata/v1/instance/service-accounts/default/email";
#[cfg(feature = "aws-kms")]
const AWS_METADATA: &str = "http://169.254.169.254";
#[cfg(feature = "aws-kms")]
const NO_AWS: &str = "no AWS credentials were found: AWS_ACCESS_KEY_ID is not set, there is neither a profile nor a token nor a \
                      container's role, and no metadata server of AWS answers";
const METADATA_TIMEOUT: Duration = Duration::from_secs(2);
const NO_GOOGLE: &str = "no Google Cloud credentials were found: GOOGLE_APPLICATION_CREDENTIALS is not set, gcloud has left no file, \
                         and no metadata server of Google Cloud answers";

/// What is known of the caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Source {
    /// Where the credentials are from.
    pub(super) summary: String,
    /// Why no credentials were found.
    pub(super) missing: Option<String>,
    /// Who they are of, in the service's own form.
    pub(super) caller: Option<String>,
    /// The project that they, or the variables, name; and what does.
    pub(super) projects: Vec<(String, String)>,
}

pub(super) async fn source(key: &KeyUri, options: &KmsOptions) -> Source {
    match key.kms() {
        KmsKind::GcpKms => gcp(options).await,
        #[cfg(feature = "aws-kms")]
        KmsKind::AwsKms => aws(&options.aws).await,
        #[cfg(feature = "pkcs11")]
        KmsKind::Pkcs11 => pkcs11(key, &options.pkcs11),
        KmsKind::Local => local(options),
        _ => Source::default(),
    }
}

fn local(options: &KmsOptions) -> Source {
    match &options.local_keyring {
        Some(folder) => Source {
            summary: format!(
                "none are needed; the keyring is the folder {}",
                folder.display()
            ),
            ..Source::default()
        },
        None => Source {
            missing: Some("no folder of local keys is named".to_owned()),
            ..Source::default()
        },
    }
}

async fn gcp(options: &KmsOptions) -> Source {
    let mut source = if let Some(file) = &options.gcp_credentials {
        google_file(file, "the configured file")
    } else if options.gcp_endpoint.is_some() {
        Source {
            summary: "none are sent: the endpoint is an emulator on this machine".to_owned(),
            ..Source::default()
        }
    } else if let Some(file) = variable("GOOGLE_APPLICATION_CREDENTIALS") {
        google_file(Path::new(&file), "GOOGLE_APPLICATION_CREDENTIALS:")
    } else if let Some(file) = gcloud_file().filter(|file| file.exists()) {
        google_file(&file, "gcloud's file")
    } else {
        metadata_server().await
    };
    for name in [
        "GOOGLE_CLOUD_PROJECT",
        "GCLOUD_PROJECT",
        "CLOUDSDK_CORE_PROJECT",
        "GCP_PROJECT",
        "PROJECT_ID",
    ] {
        let project = variable(name).filter(|project| is_name(project));
        source
            .projects
            .extend(project.map(|project| (name.to_owned(), project)));
    }
    source
}

/// What may be shown of a credentials file.
#[derive(Deserialize)]
struct GoogleFile {
    #[serde(rename = "type")]
    kind: String,
    client_email: Option<String>,
    project_id: Option<String>,
    quota_project_id: Option<String>,
}

fn google_file(path: &Path, what: &str) -> Source {
    let shown = path.display();
    let missing = |reason: String| Source {
        missing: Some(format!("{what} {shown} {reason}")),
        ..Source::default()
    };
    let mut text = zeroize::Zeroizing::new(Vec::new());
    let read = fs::File::open(path).and_then(|file| file.take(MAX_FILE).read_to_end(&mut text));
    if let Err(error) = read {
        return missing(format!("cannot be read: {}", error.kind()));
    }
    let Ok(file) = serde_json::from_slice::<GoogleFile>(&text) else {
        return missing("is not a credentials file of Google Cloud".to_owned());
    };
    let kind = match file.kind.as_str() {
        "service_account" => "a service account's key",
        "authorized_user" => "of a user",
        "external_account" => "workload identity",
        "impersonated_service_account" => "an impersonated service account",
        _ => return missing("is not of a kind that Google Cloud creates".to_owned()),
    };
    let email = file.client_email.filter(|email| is_name(email));
    let project = file.project_id.or(file.quota_project_id);
    let project = project.filter(|project| is_name(project));
    Source {
        summary: match &email {
            Some(email) => format!("{what} {shown}, {kind}: {email}"),
            None => format!("{what} {shown}, {kind}"),
        },
        caller: email.map(|email| format!("serviceAccount:{email}")),
        projects: project
            .map(|project| ("the credentials file".to_owned(), project))
            .into_iter()
            .collect(),
        missing: None,
    }
}

fn gcloud_file() -> Option<PathBuf> {
    let home = PathBuf::from(variable("HOME")?);
    Some(home.join(".config/gcloud/application_default_credentials.json"))
}

async fn metadata_server() -> Source {
    let host = variable("GCE_METADATA_HOST").unwrap_or_else(|| METADATA.to_owned());
    match metadata(&host).await {
        Some(email) => Source {
            summary: format!("the metadata server of this machine: {email}"),
            caller: Some(format!("serviceAccount:{email}")),
            ..Source::default()
        },
        None => Source {
            missing: Some(NO_GOOGLE.to_owned()),
            ..Source::default()
        },
    }
}

/// A metadata server is on the same machine, or none is there.
fn metadata_client() -> Option<reqwest::Client> {
    reqwest::Client::builder()
        .timeout(METADATA_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .ok()
}

async fn metadata(host: &str) -> Option<String> {
    let mut answer = metadata_client()?
        .get(format!("http://{host}/{METADATA_PATH}"))
        .header("Metadata-Flavor", "Google")
        .send()
        .await
        .ok()?
        .error_for_status()
        .ok()?;
    let start = answer.chunk().await.ok()??;
    let email = String::from_utf8(start.to_vec()).ok()?;
    Some(email.trim().to_owned()).filter(|email| is_name(email))
}

#[cfg(feature = "aws-kms")]
async fn aws(options: &temporal_kms_codec::kms::aws::AwsOptions) -> Source {
    use temporal_kms_codec::kms::aws::{AwsCredentials, WebIdentityToken};

    let token = |token: &WebIdentityToken| match token {
        WebIdentityToken::File(path) => format!("the token in {}", path.display()),
        WebIdentityToken::Text(_) => "the token of OIDC_TOKEN".to_owned(),
    };
    let (first, caller) = match &options.credentials {
        AwsCredentials::Key { .. } => ("a configured access key".to_owned(), None),
        AwsCredentials::WebIdentity { role, token: text } => (
            format!("the role {} by {}", role.arn, token(text)),
            Some(role.arn.clone()),
        ),
        _ => match aws_chain() {
            Some(found) => (found, variable("AWS_ROLE_ARN")),
            None if aws_metadata().await => ("the role of this machine".to_owned(), None),
            None => {
                return Source {
                    missing: Some(NO_AWS.to_owned()),
                    ..Source::default()
                };
            }
        },
    };
    let (summary, caller) = match &options.role {
        Some(role) => (
            format!("{first}, then the role {}", role.arn),
            Some(role.arn.clone()),
        ),
        None => (first, caller),
    };
    Source {
        summary,
        caller: caller.filter(|caller| is_name(caller)),
        ..Source::default()
    }
}

/// The order of AWS's own chain.
#[cfg(feature = "aws-kms")]
fn aws_chain() -> Option<String> {
    let file = |name, default: &str| {
        let home = variable("HOME").map(|home| Path::new(&home).join(default));
        let path = variable(name).map(PathBuf::from).or(home);
        path.filter(|path| path.exists())
    };
    let set = |name| variable(name).is_some();
    let profile = file("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials")
        .or_else(|| file("AWS_CONFIG_FILE", ".aws/config"));
    Some(
        if set("AWS_ACCESS_KEY_ID") && set("AWS_SECRET_ACCESS_KEY") {
            "the access key of AWS_ACCESS_KEY_ID".to_owned()
        } else if let Some(path) = profile {
            let name = variable("AWS_PROFILE").unwrap_or_else(|| "default".to_owned());
            format!("the profile {name} of {}", path.display())
        } else if let Some(path) = variable("AWS_WEB_IDENTITY_TOKEN_FILE") {
            format!("the web identity token in {path}")
        } else if set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
            || set("AWS_CONTAINER_CREDENTIALS_FULL_URI")
        {
            "the container's role".to_owned()
        } else {
            return None;
        },
    )
}

/// Without a metadata server, AWS's own chain waits for it longer than a call may take.
#[cfg(feature = "aws-kms")]
async fn aws_metadata() -> bool {
    if variable("AWS_EC2_METADATA_DISABLED").is_some_and(|off| off.eq_ignore_ascii_case("true")) {
        return false;
    }
    let url = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    let url = url.unwrap_or_else(|| AWS_METADATA.to_owned());
    match metadata_client() {
        Some(client) => client.head(url).send().await.is_ok(),
        None => false,
    }
}

#[cfg(feature = "pkcs11")]
fn pkcs11(key: &KeyUri, options: &temporal_kms_codec::kms::pkcs11::Pkcs11Options) -> Source {
    use temporal_kms_codec::kms::pkcs11::PinSource;

    Source {
        summary: match options.access(key).pin {
            Some(PinSource::File(path)) => format!("the PIN in {}", path.display()),
            Some(PinSource::Variable(name)) => format!("the PIN in the variable {name}"),
            None => "no PIN: the token is used without a login".to_owned(),
        },
        ..Source::default()
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// What can stand in a command as it is.
fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@:/+=,".contains(&byte);
    !text.is_empty() && text.len() <= 256 && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(content: &str) -> Source {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gcp.json");
        fs::write(&path, content).unwrap();
        google_file(&path, "the file")
    }

    #[test]
    fn a_file_tells_its_account_and_project_and_no_secret() {
        let source = of(
            r#"{"type":"service_account","client_email":"a@p.iam.gserviceaccount.com","project_id":"p","private_key":"sk-secret"}"#,
        );
        assert_eq!(
            source.caller.as_deref(),
            Some("serviceAccount:a@p.iam.gserviceaccount.com")
        );
        assert_eq!(source.projects[0].1, "p");
        assert!(source.missing.is_none());
        assert!(!format!("{source:?}").contains("sk-secret"));
    }

    #[test]
    fn what_is_no_credentials_file_is_said_without_its_content() {
        for content in ["sk-secret", r#"{"type":"sk-secret"}"#, "{}"] {
            let source = of(content);
            assert!(source.missing.is_some(), "{content}");
            assert!(!format!("{source:?}").contains("sk-secret"));
        }
        let hostile = of(r#"{"type":"service_account","client_email":"a; rm -rf ~"}"#);
        assert_eq!(hostile.caller, None);
        let absent = google_file(Path::new("/nonexistent/gcp.json"), "the file");
        assert!(absent.missing.unwrap().contains("cannot be read"));
    }
}

//! The credentials for AWS: the SDK's own chain, an access key, or a role that AWS STS issues for an hour at a time.

use std::{
    fs::{self, File},
    io::Read as _,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_credential_types::provider::{self, ProvideCredentials, error::CredentialsError, future};
use aws_sdk_kms::config::{Credentials, Region, SharedCredentialsProvider, http::HttpResponse};
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use zeroize::Zeroizing;

use super::{
    AwsCredentials, AwsOptions, AwsRole, WebIdentityToken,
    client::{self, BodyLimit},
    error::{Failure, Meaning},
    sendable_credentials::SendableCredentials,
};
use temporal_kms::{ConfigurationError, FailureCause, ProviderErrorKind as Kind, Variables};

const SESSION: Duration = Duration::from_hours(1);
const SESSION_SECONDS: i32 = 3600;
const SESSION_NAME: &str = "temporal-kms-codec";

/// The longest token that AWS STS accepts.
const MAX_TOKEN_LEN: u64 = 20_000;

/// The role does not trust the caller.
const CALLER_DENIED: Meaning = Meaning::new(Kind::PermissionDenied)
    .with_detail("the role's trust policy does not permit the caller to assume it")
    .with_remedy("permit sts:AssumeRole to the caller in that policy")
    .because(FailureCause::RefusedCredentials);
/// The role does not trust the token.
const TOKEN_DENIED: Meaning = Meaning::new(Kind::PermissionDenied)
    .with_detail("the role's trust policy does not permit the token to assume it")
    .with_remedy("permit sts:AssumeRoleWithWebIdentity to the token's subject in that policy")
    .because(FailureCause::RefusedCredentials);

/// The credentials that the options name. They are read, or requested, when they are first used.
pub(super) async fn provider(options: &AwsOptions, region: &str) -> SharedCredentialsProvider {
    let region = Region::new(region.to_owned());
    let own = match &options.credentials {
        AwsCredentials::Chain => {
            let chain = DefaultCredentialsChain::builder().region(region.clone());
            SendableCredentials::of(chain.build().await)
        }
        AwsCredentials::Key {
            id,
            secret,
            session_token,
        } => SendableCredentials::of(Credentials::new(
            id,
            secret.as_str(),
            session_token.as_ref().map(|token| token.to_string()),
            None,
            SESSION_NAME,
        )),
        AwsCredentials::WebIdentity { role, token } => SendableCredentials::of(AssumedRole {
            client: sts(options, region.clone(), None),
            role: role.clone(),
            proof: Proof::Token(token.clone()),
        }),
    };
    match &options.role {
        None => own,
        Some(role) => SendableCredentials::of(AssumedRole {
            client: sts(options, region, Some(own)),
            role: role.clone(),
            proof: Proof::Caller,
        }),
    }
}

/// The variables that name the files of the SDK's own chain, and where the files are in the home folder otherwise.
const FILES: [(&str, &str); 2] = [
    ("AWS_CONFIG_FILE", ".aws/config"),
    ("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"),
];

/// The files that the SDK's own chain reads where no variable names others
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/file-location.html>). It reads them once.
pub(super) fn default_files(options: &AwsOptions, variable: Variables<'_>) -> Vec<PathBuf> {
    let Some(home) = variable("HOME").map(PathBuf::from) else {
        return Vec::new();
    };
    if options.credentials != AwsCredentials::Chain {
        return Vec::new();
    }
    FILES
        .into_iter()
        .filter(|(name, _)| variable(name).is_none())
        .map(|(_, file)| home.join(file))
        .collect()
}

/// The files of the SDK's own chain that it cannot use: those that cannot be read, are not text, or do not consist of
/// sections with settings. The SDK reads further files, and calls services, only when credentials are needed.
pub(super) fn damaged_files(
    options: &AwsOptions,
    variable: Variables<'_>,
) -> Vec<ConfigurationError> {
    let is_key_set = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
        .iter()
        .all(|name| variable(name).is_some());
    if options.credentials != AwsCredentials::Chain || is_key_set {
        return Vec::new();
    }
    let faults = FILES.into_iter().filter_map(|(name, default)| {
        let file = profile_file(variable, name, default)?;
        // The chain goes on without a file that does not exist, or that is in a folder of somebody else.
        if !file.is_file() {
            return None;
        }
        let reason = match fs::read(&file).map(Zeroizing::new) {
            Ok(bytes) => match std::str::from_utf8(&bytes) {
                Ok(text) => check_profiles(text),
                Err(_) => Err("it is not text; restore it"),
            },
            Err(_) => Err("it cannot be read; correct its permissions"),
        };
        let reason = format!("{}: {}", file.display(), reason.err()?);
        Some(ConfigurationError::invalid(name, reason))
    });
    faults.collect()
}

/// Where one of AWS's files is. The SDK, too, replaces `~` by the home folder.
fn profile_file(variable: Variables<'_>, name: &str, default: &str) -> Option<PathBuf> {
    let home = || variable("HOME").map(PathBuf::from);
    match variable(name) {
        None => Some(home()?.join(default)),
        Some(path) => match path.strip_prefix("~/") {
            Some(rest) => Some(home()?.join(rest)),
            None => Some(path.into()),
        },
    }
}

/// Refuses only what the SDK refuses. The SDK refuses more, such as a wrong line within a setting of several lines.
fn check_profiles(text: &str) -> Result<(), &'static str> {
    const BLANK: [char; 2] = [' ', '\t'];
    let mut is_in_section = false;
    for line in text.lines() {
        if line.trim_matches(BLANK).is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if line.starts_with('[') {
            is_in_section = true;
            if !line.contains(']') {
                return Err("a line with the name of a section does not end in `]`; correct it");
            }
        } else if !is_in_section {
            return Err("it does not begin with a section such as [default]; correct it");
        } else if !line.starts_with(BLANK) && !line.contains('=') {
            return Err("a line is not a setting with `=`; correct it");
        }
    }
    Ok(())
}

fn sts(
    options: &AwsOptions,
    region: Region,
    caller: Option<SharedCredentialsProvider>,
) -> aws_sdk_sts::Client {
    let mut config = aws_sdk_sts::Config::builder()
        .behavior_version(client::behavior())
        .region(region)
        .retry_config(client::no_retries())
        .timeout_config(client::timeouts())
        .use_fips(options.fips)
        .interceptor(BodyLimit);
    config.set_endpoint_url(options.sts_endpoint.clone());
    config.set_credentials_provider(caller);
    aws_sdk_sts::Client::from_conf(config.build())
}

/// A role. It is assumed again when the SDK's cache finds that its credentials will expire soon.
#[derive(Debug)]
struct AssumedRole {
    client: aws_sdk_sts::Client,
    role: AwsRole,
    proof: Proof,
}

/// The proof with which the role is assumed.
#[derive(Debug)]
enum Proof {
    Caller,
    Token(WebIdentityToken),
}

impl ProvideCredentials for AssumedRole {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.assume())
    }
}

impl AssumedRole {
    async fn assume(&self) -> provider::Result {
        let session = self.role.session_name.as_deref().unwrap_or(SESSION_NAME);
        let credentials = match &self.proof {
            Proof::Caller => {
                let call = self.client.assume_role();
                let answer = call
                    .role_arn(&self.role.arn)
                    .role_session_name(session)
                    .set_external_id(self.role.external_id.clone())
                    .duration_seconds(SESSION_SECONDS)
                    .send()
                    .await
                    .map_err(|error| refused(&error, CALLER_DENIED))?;
                answer.credentials
            }
            Proof::Token(token) => {
                let token = read(token).await?;
                let call = self.client.assume_role_with_web_identity();
                let answer = call
                    .role_arn(&self.role.arn)
                    .role_session_name(session)
                    .web_identity_token(token.trim())
                    .duration_seconds(SESSION_SECONDS)
                    .send()
                    .await
                    .map_err(|error| refused(&error, TOKEN_DENIED))?;
                answer.credentials
            }
        };
        let credentials = credentials.ok_or_else(|| {
            let missing = Meaning::new(Kind::Integrity);
            CredentialsError::provider_error(Failure::new(
                missing.with_detail("AWS STS answered without credentials"),
            ))
        })?;
        // A session is renewed within the hour, even if the service names a later time.
        let latest = SystemTime::now() + SESSION;
        let expiry =
            SystemTime::try_from(credentials.expiration).map_or(latest, |at| at.min(latest));
        Ok(Credentials::new(
            credentials.access_key_id,
            credentials.secret_access_key,
            Some(credentials.session_token),
            Some(expiry),
            SESSION_NAME,
        ))
    }
}

fn refused<E>(error: &SdkError<E, HttpResponse>, denial: Meaning) -> CredentialsError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let failure = Failure::of(error);
    CredentialsError::provider_error(match failure.kind() {
        Kind::PermissionDenied => failure.with_meaning(denial),
        _ => failure,
    })
}

/// The current token. Its issuer replaces the file before the token expires.
async fn read(token: &WebIdentityToken) -> Result<Zeroizing<String>, CredentialsError> {
    let path = match token {
        WebIdentityToken::Text(text) => return Ok(text.clone()),
        WebIdentityToken::File(path) => path.clone(),
    };
    let failed = |detail, remedy| {
        let unusable = Meaning::misconfigured(detail, remedy);
        let unusable = unusable.because(FailureCause::UnusableCredentials);
        CredentialsError::provider_error(Failure::new(unusable))
    };
    let read = tokio::task::spawn_blocking(move || {
        // Allocate once: a string that grows leaves copies of its content in memory.
        let mut text = Zeroizing::new(String::with_capacity(32 * 1024));
        let file = File::open(path)?;
        file.take(MAX_TOKEN_LEN + 1).read_to_string(&mut text)?;
        Ok::<_, std::io::Error>(text)
    });
    let Ok(Ok(text)) = read.await else {
        return Err(failed(
            "the file of the OIDC token cannot be read",
            "check its path and permissions",
        ));
    };
    let other_file = "name the file that holds the token";
    match text.trim().len() as u64 {
        0 => Err(failed("the file of the OIDC token is empty", other_file)),
        len if len > MAX_TOKEN_LEN => Err(failed(
            "the file of the OIDC token holds more than 20,000 bytes",
            other_file,
        )),
        _ => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_that_no_variable_names_are_known() {
        let files = |options: &AwsOptions, set: &[&str]| {
            default_files(options, &|name| {
                set.contains(&name).then(|| "/home/user".to_owned())
            })
        };
        let chain = AwsOptions::default();
        let both =
            ["config", "credentials"].map(|name| PathBuf::from("/home/user/.aws").join(name));
        assert_eq!(files(&chain, &["HOME"]), both);
        assert_eq!(files(&chain, &["HOME", "AWS_CONFIG_FILE"]), both[1..]);
        assert!(files(&chain, &[]).is_empty());
        let token = AwsCredentials::WebIdentity {
            role: AwsRole::new("arn:aws:iam::111122223333:role/r"),
            token: WebIdentityToken::File("/run/token".into()),
        };
        assert!(files(&chain.with_credentials(token), &["HOME"]).is_empty());
    }

    #[test]
    fn a_damaged_file_of_the_chain_is_told_before_it_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        let named = folder.path().join("named");
        let chain = AwsOptions::default();
        let faults = |set: &[(&str, &str)]| {
            damaged_files(&chain, &|name| {
                let (_, value) = set.iter().find(|(set, _)| *set == name)?;
                Some((*value).to_owned())
            })
        };
        let only_home = [("HOME", home)];
        assert!(faults(&only_home).is_empty(), "there are no files");

        fs::create_dir(folder.path().join(".aws")).unwrap();
        let default = folder.path().join(".aws/credentials");
        let good = "# mine\n[default] ; too\naws_access_key_id = a\ns3 =\n  a = b\n\n[b]\n";
        let bad: [&[u8]; 6] = [
            b"sk-secret",
            b"{\"sk-secret\": 1}",
            b"[default\nsk-secret = 1",
            b"[default]\nsk-secret",
            b"aws_secret_access_key = sk-secret",
            b"[default]\nsk-secret = \xff",
        ];
        let by_name = [("HOME", home), ("AWS_SHARED_CREDENTIALS_FILE", "~/named")];
        for (file, set) in [(&default, &only_home[..]), (&named, &by_name[..])] {
            fs::write(file, good).unwrap();
            assert!(faults(set).is_empty());
            for bad in bad {
                fs::write(file, bad).unwrap();
                let found = faults(set);
                assert_eq!(found.len(), 1, "{found:?}");
                assert_eq!(found[0].setting(), "AWS_SHARED_CREDENTIALS_FILE");
                let reason = found[0].reason();
                assert!(reason.starts_with(file.to_str().unwrap()), "{reason}");
                assert_eq!(reason.matches("; ").count(), 1, "{reason}");
                assert!(!reason.contains("sk-secret"), "{reason}");
            }
        }
        // The chain ends at the variables with an access key.
        let key = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|name| (name, "a"));
        assert!(faults(&[only_home[0], key[0], key[1]]).is_empty());
        let options = AwsOptions::default().with_credentials(AwsCredentials::Key {
            id: "a".to_owned(),
            secret: Zeroizing::new("b".to_owned()),
            session_token: None,
        });
        let found = damaged_files(&options, &|name| (name == "HOME").then(|| home.to_owned()));
        assert!(found.is_empty());
    }

    #[tokio::test]
    async fn a_token_file_is_read_anew_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let token = WebIdentityToken::File(path.clone());
        assert!(read(&token).await.is_err(), "there is no file yet");
        for content in ["first\n", "second"] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(read(&token).await.unwrap().trim(), content.trim());
        }
        for (content, reason) in [(String::new(), "empty"), ("x".repeat(20_001), "20,000")] {
            std::fs::write(&path, content).unwrap();
            let error = Failure::of_credentials(&read(&token).await.unwrap_err());
            assert!(error.contains(reason), "{error}");
        }
    }

    impl Failure {
        fn of_credentials(error: &CredentialsError) -> String {
            use std::error::Error as _;
            error.source().map(ToString::to_string).unwrap_or_default()
        }
    }
}

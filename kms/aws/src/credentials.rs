//! The credentials for AWS: the SDK's own chain, an access key, or a role that AWS STS issues for an hour at a time.

mod files;

use std::{
    fs::File,
    io::Read as _,
    time::{Duration, SystemTime},
};

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_credential_types::provider::{self, ProvideCredentials, error::CredentialsError, future};
use aws_sdk_kms::config::{Credentials, Region, SharedCredentialsProvider, http::HttpResponse};
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use zeroize::Zeroizing;

pub(super) use self::files::{
    CONFIG_FILE, CREDENTIALS_FILE, damaged_files, default_files, profile_file,
};
use super::{
    AwsCredentials, AwsOptions, AwsRole, WebIdentityToken,
    client::{self, BodyLimit},
    error::{Failure, Meaning},
    sendable_credentials::SendableCredentials,
};
use temporal_kms::{FailureCause, ProviderErrorKind as Kind};

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

//! Credentials that can be sent. The SDK writes them into headers, and panics when a header cannot hold them.

use aws_credential_types::provider::{self, ProvideCredentials, error::CredentialsError, future};
use aws_sdk_kms::config::{Credentials, SharedCredentialsProvider};
use http::HeaderValue;

use super::error::{Failure, Meaning};

/// Refuses credentials that a header cannot hold, wherever they come from.
#[derive(Debug)]
pub(super) struct SendableCredentials(SharedCredentialsProvider);

impl SendableCredentials {
    pub(super) fn of(any: impl ProvideCredentials + 'static) -> SharedCredentialsProvider {
        SharedCredentialsProvider::new(Self(SharedCredentialsProvider::new(any)))
    }

    async fn checked(&self) -> provider::Result {
        let credentials = self.0.provide_credentials().await?;
        match unsendable(&credentials) {
            None => Ok(credentials),
            Some(detail) => {
                let unsendable =
                    Meaning::misconfigured(detail, "copy it again, without line breaks");
                Err(CredentialsError::provider_error(Failure::new(unsendable)))
            }
        }
    }
}

impl ProvideCredentials for SendableCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.checked())
    }

    fn fallback_on_interrupt(&self) -> Option<Credentials> {
        let last = self.0.fallback_on_interrupt();
        last.filter(|credentials| unsendable(credentials).is_none())
    }
}

/// What cannot be sent of these credentials. The secret access key is never sent.
fn unsendable(credentials: &Credentials) -> Option<&'static str> {
    let cannot = |text: &str| HeaderValue::from_str(text).is_err();
    if cannot(credentials.access_key_id()) {
        return Some(
            "the ID of the access key has a line break or another character that cannot be sent",
        );
    }
    let token = credentials.session_token();
    token
        .filter(|token| cannot(token))
        .map(|_| "the session token has a line break or another character that cannot be sent")
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    async fn provided(id: &str, secret: &str, token: Option<&str>) -> Result<(), String> {
        let credentials = Credentials::new(id, secret, token.map(str::to_owned), None, "a test");
        let provided = SendableCredentials::of(credentials)
            .provide_credentials()
            .await;
        let told = |error: CredentialsError| error.source().map(ToString::to_string);
        provided
            .map(drop)
            .map_err(|error| told(error).unwrap_or_default())
    }

    #[tokio::test]
    async fn credentials_that_no_header_can_hold_are_refused() {
        for (id, token, part) in [
            ("AKIA\n", None, "access key"),
            ("AKIA\u{7f}", Some("token"), "access key"),
            ("AKIA", Some("to\nken"), "session token"),
            ("AKIA", Some("to\0ken"), "session token"),
            ("AKIA", Some("token\r"), "session token"),
        ] {
            let error = provided(id, "secret", token).await.unwrap_err();
            assert!(error.contains(part), "{id:?} {token:?}: {error}");
            assert!(
                !error.contains("AKIA") && !error.contains("ken\n"),
                "{error}"
            );
        }
    }

    #[tokio::test]
    async fn other_credentials_pass() {
        assert_eq!(provided("AKIA", "any\nsecret", None).await, Ok(()));
        assert_eq!(provided("AKIA", "secret", Some("Fwo/+=")).await, Ok(()));
    }
}

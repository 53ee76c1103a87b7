//! Translates AWS's errors.

mod meaning;

use std::{error::Error as StdError, fmt};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kms::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};

use temporal_kms::{KeyUri, ProviderError, ProviderErrorKind as Kind, ServiceError};

pub(super) use self::meaning::Meaning;
use self::meaning::{
    NO_CONNECTION, NO_PLACE, NO_URL, by_code, by_credentials, by_status, of_stranger,
};

/// A failed call, before its key is known. It keeps no text of an answer.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    meaning: Meaning,
    answer: Option<ServiceError>,
}

impl Failure {
    pub(super) fn new(meaning: Meaning) -> Self {
        Self {
            meaning,
            answer: None,
        }
    }

    pub(super) fn kind(&self) -> Kind {
        self.meaning.kind
    }

    fn with_answer(self, answer: ServiceError) -> Self {
        Self {
            answer: Some(answer),
            ..self
        }
    }

    /// The same failure, with a more fitting meaning.
    pub(super) fn with_meaning(self, meaning: Meaning) -> Self {
        Self { meaning, ..self }
    }

    /// The failure of a call of the SDK.
    pub(super) fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        match error {
            SdkError::ServiceError(answer) => {
                let status = answer.raw().status().as_u16();
                let code = answer.err().code();
                let meaning = match code {
                    None if !is_of_aws(answer.raw()) => of_stranger(status),
                    code => code
                        .and_then(|code| by_code(code, answer.err().message()))
                        .unwrap_or_else(|| by_status(status)),
                };
                Self::new(meaning).with_answer(identified(answer.raw()).with_code(code))
            }
            SdkError::ResponseError(answer) => {
                let meaning = match answer.raw().status().as_u16() {
                    200..300 => {
                        Meaning::new(Kind::Integrity).with_detail("its answer cannot be read")
                    }
                    status if !is_of_aws(answer.raw()) => of_stranger(status),
                    status => by_status(status),
                };
                Self::new(meaning).with_answer(identified(answer.raw()))
            }
            SdkError::TimeoutError(_) => Self::new(Meaning::new(Kind::DeadlineExceeded)),
            error => Self::before_any_answer(error),
        }
    }

    fn before_any_answer(error: &(dyn StdError + 'static)) -> Self {
        if let Some(failure) = find::<Self>(error) {
            return failure.clone();
        }
        Self::new(if let Some(credentials) = find::<CredentialsError>(error) {
            by_credentials(credentials)
        } else if let Some(connection) = find::<aws_sdk_kms::error::ConnectorError>(error) {
            match connection {
                connection if connection.is_timeout() => Meaning::new(Kind::DeadlineExceeded),
                connection if connection.is_user() => NO_URL,
                _ => NO_CONNECTION,
            }
        } else {
            NO_PLACE
        })
    }

    /// The failure for `key` of a call that needs `permission`.
    pub(super) fn of_key(self, key: &KeyUri, permission: &'static str) -> ProviderError {
        let error = ProviderError::new(self.meaning.kind, key)
            .with_detail(self.meaning.detail)
            .with_cause(self.meaning.cause)
            .with_service_error(self.answer);
        match (self.meaning.kind, self.meaning.remedy) {
            (_, Some(remedy)) => error.with_remedy(remedy),
            (Kind::PermissionDenied, None) => {
                error.with_remedy(format!("grant the caller {permission}"))
            }
            (_, None) => error,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.meaning.kind.as_str(), self.meaning.detail)
    }
}

// Without `source`. The credentials errors that carry it have no `source` either, because the SDK logs them.
impl StdError for Failure {}

/// The ids of the answer in AWS's own logs.
fn identified(answer: &HttpResponse) -> ServiceError {
    let id = answer.headers().get("x-amzn-requestid");
    ServiceError::new(Some(answer.status().as_u16())).with_request_id(id)
}

fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    std::iter::successors(Some(error), |&error| error.source())
        .find_map(|error| error.downcast_ref())
}

/// Whether AWS answered. AWS's answers have a request id and are JSON or XML. Proxies answer with pages for people.
fn is_of_aws(answer: &HttpResponse) -> bool {
    let header = |name| answer.headers().get(name);
    let body = answer.body().bytes().unwrap_or_default().trim_ascii_start();
    let begins = |with: &[u8]| {
        body.get(..with.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(with))
    };
    let is_page = begins(b"<!doctype html") || begins(b"<html");
    let is_html = header("content-type").is_some_and(|kind| kind.starts_with("text/html"));
    let is_numbered = header("x-amzn-requestid").is_some() || header("x-amz-request-id").is_some();
    !is_page && (is_numbered || (begins(b"<") && !is_html))
}

#[cfg(test)]
mod tests {
    use temporal_kms::FailureCause;

    use super::*;

    #[test]
    fn tells_what_to_put_right() {
        let key = key();
        let cause = |code, message| {
            let failure = Failure::new(by_code(code, message).unwrap());
            failure.of_key(&key, "kms:Encrypt").cause()
        };
        for (code, expected) in [
            ("RequestTimeTooSkewed", Some(FailureCause::Clock)),
            (
                "UnrecognizedClientException",
                Some(FailureCause::RefusedCredentials),
            ),
            (
                "ExpiredTokenException",
                Some(FailureCause::RefusedCredentials),
            ),
            ("NotFoundException", None),
            ("AccessDeniedException", None),
        ] {
            assert_eq!(cause(code, None), expected, "{code}");
        }
        let none = Failure::before_any_answer(&CredentialsError::not_loaded_no_source());
        let none = none.of_key(&key, "kms:Encrypt");
        assert_eq!(none.cause(), Some(FailureCause::NoCredentials));
    }

    #[test]
    fn what_lies_under_a_credentials_failure_counts() {
        let refused = Meaning::new(Kind::PermissionDenied).with_detail("sts");
        let error = CredentialsError::provider_error(Failure::new(refused));
        let failure = Failure::before_any_answer(&error);
        assert_eq!(failure.meaning, refused);

        let none = Failure::before_any_answer(&CredentialsError::not_loaded_no_source());
        assert_eq!(none.kind(), Kind::Misconfigured);
        let text = none.of_key(&key(), "kms:Encrypt").to_string();
        assert!(text.contains("no AWS credentials were found"), "{text}");
    }

    #[test]
    fn a_denial_names_the_permission() {
        let denied = Failure::new(Meaning::new(Kind::PermissionDenied));
        assert_eq!(
            denied.of_key(&key(), "kms:Decrypt").to_string(),
            "aws-kms://alias/a: permission denied; grant the caller kms:Decrypt"
        );
    }

    fn key() -> KeyUri {
        "aws-kms://alias/a".parse().unwrap()
    }
}

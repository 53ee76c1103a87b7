//! The meanings of AWS's answers: their kind, and what to do.
//!
//! Sources: the error lists of the operations in the AWS KMS and AWS STS API References and their "Common Error Types".

use aws_config::imds::client::error::{ImdsError, TokenError};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kms::{config::http::HttpResponse, error::SdkError};
use temporal_kms::{FailureCause, ProviderErrorKind as Kind};

use super::find;

/// The meaning of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meaning {
    pub(super) kind: Kind,
    pub(super) detail: &'static str,
    /// What to do, in place of the advice for the kind.
    pub(super) remedy: Option<&'static str>,
    pub(super) cause: Option<FailureCause>,
}

impl Meaning {
    pub(crate) const fn new(kind: Kind) -> Self {
        Self {
            kind,
            detail: "",
            remedy: None,
            cause: None,
        }
    }

    /// Settings are wrong. The kind does not know which, so each has its own remedy.
    pub(crate) const fn misconfigured(detail: &'static str, remedy: &'static str) -> Self {
        Self::new(Kind::Misconfigured)
            .with_detail(detail)
            .with_remedy(remedy)
    }

    pub(crate) const fn with_detail(self, detail: &'static str) -> Self {
        Self { detail, ..self }
    }

    pub(crate) const fn with_remedy(self, remedy: &'static str) -> Self {
        Self {
            remedy: Some(remedy),
            ..self
        }
    }

    pub(crate) const fn because(self, cause: FailureCause) -> Self {
        Self {
            cause: Some(cause),
            ..self
        }
    }
}

const NOT_AWS: Meaning = Meaning::misconfigured(
    "what answers at its endpoint is not AWS KMS",
    "correct AWS_ENDPOINT_URL_KMS or aws_endpoint, or leave it out",
)
.because(FailureCause::Proxy);
pub(super) const NO_URL: Meaning = Meaning::misconfigured(
    "its endpoint is not a URL",
    "correct AWS_ENDPOINT_URL_KMS or aws_endpoint",
);
pub(super) const NO_PLACE: Meaning = Meaning::misconfigured(
    "its region or endpoint cannot be used",
    "correct AWS_REGION or the endpoint",
);
const INVALID: Meaning = Meaning::misconfigured(
    "AWS finds the request invalid",
    "correct the key's name, or the values that you gave",
);
const CLOCK: Meaning =
    Meaning::misconfigured("this machine's clock is wrong", "set it").because(FailureCause::Clock);
const REFUSED: Meaning = Meaning::misconfigured(
    "AWS does not accept the credentials",
    "check access key, secret key and this machine's clock",
)
.because(FailureCause::RefusedCredentials);
const EXPIRED: Meaning = Meaning::misconfigured("the token has expired", "renew it")
    .because(FailureCause::RefusedCredentials);
const TOKEN: Meaning = Meaning::misconfigured(
    "AWS does not accept the web identity token",
    "check the token's file, and the trust policy of the role",
)
.because(FailureCause::RefusedCredentials);
const NO_CREDENTIALS: Meaning = Meaning::misconfigured(
    "no AWS credentials were found",
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or a role",
)
.because(FailureCause::NoCredentials);
const WRONG_CREDENTIALS: Meaning = Meaning::misconfigured(
    "the AWS credentials are configured wrongly",
    "correct the profile, or the variables of AWS",
)
.because(FailureCause::UnusableCredentials);
pub(super) const NO_CONNECTION: Meaning = Meaning::new(Kind::Unavailable)
    .with_detail("no connection")
    .because(FailureCause::NoConnection);

/// The meaning of an error code. `None` for codes that are not known.
pub(super) fn by_code(code: &str, message: Option<&str>) -> Option<Meaning> {
    Some(match code {
        "AccessDeniedException"
        | "AccessDenied"
        | "NotAuthorized"
        | "OptInRequired"
        | "IDPRejectedClaim" => Meaning::new(Kind::PermissionDenied),
        "NotFoundException" => Meaning::new(Kind::KeyNotFound),
        "DisabledException" => Meaning::new(Kind::KeyDisabled),
        "KMSInvalidStateException" => Meaning::new(Kind::KeyDisabled)
            .with_detail(
                "the key is pending deletion, disabled, still being made, or cut off from its key store",
            )
            .with_remedy("enable it with `codec-server keys enable`, or connect its key store"),
        "InvalidCiphertextException" => Meaning::new(Kind::InvalidCiphertext)
            .with_detail("or its encryption context is another one: AWS KMS does not tell")
            .with_remedy("decrypt it with the key and the context that it was encrypted with"),
        "IncorrectKeyException" => Meaning::new(Kind::KeyVersionGone)
            .with_detail("another key encrypted it")
            .with_remedy("check whether its alias names another key now"),
        "ThrottlingException"
        | "Throttling"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "RequestLimitExceeded"
        | "TooManyRequestsException" => Meaning::new(Kind::Throttled),
        "KeyUnavailableException"
        | "KMSInternalException"
        | "InternalFailure"
        | "InternalError"
        | "InternalServerError"
        | "InternalServiceException"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "IDPCommunicationError" => Meaning::new(Kind::Unavailable),
        "CustomKeyStoreInvalidStateException" | "CloudHsmClusterNotActiveException" => {
            Meaning::new(Kind::Unavailable)
                .with_detail("the key store is not connected")
                .with_remedy("connect it, or retry later")
        }
        "ConflictException" => Meaning::new(Kind::Unavailable)
            .with_detail("the key is being changed already, or about to be rotated"),
        "DependencyTimeoutException" | "RequestTimeout" | "RequestTimeoutException" => {
            Meaning::new(Kind::DeadlineExceeded)
        }
        "UnsupportedOperationException" | "UnknownOperationException" | "InvalidAction" => {
            Meaning::new(Kind::Unsupported)
        }
        "AlreadyExistsException" => Meaning::new(Kind::AlreadyExists),
        "LimitExceededException" => {
            Meaning::misconfigured("a quota of the account is used up", "have it raised")
        }
        "InvalidKeyUsageException" => Meaning::misconfigured(
            "the key is not made for this",
            "check its usage and its spec, or use another key",
        ),
        "InvalidIdentityToken" => TOKEN,
        "RegionDisabledException" => Meaning::misconfigured(
            "AWS STS is not activated in the region",
            "activate it in the settings of the account, or use another region",
        ),
        "ExpiredTokenException" | "ExpiredToken" => EXPIRED,
        "RequestExpired" | "RequestTimeTooSkewed" | "RequestInTheFuture" => CLOCK,
        "InvalidSignatureException" | "SignatureDoesNotMatch" if is_about_the_clock(message) => {
            CLOCK
        }
        "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "MissingAuthenticationToken"
        | "AuthFailure"
        | "MissingAuthenticationTokenException"
        | "IncompleteSignature"
        | "IncompleteSignatureException" => REFUSED,
        "InvalidArnException"
        | "InvalidAliasNameException"
        | "TagException"
        | "ValidationException"
        | "ValidationError"
        | "MalformedPolicyDocumentException"
        | "InvalidGrantTokenException"
        | "SerializationException" => INVALID,
        _ => return None,
    })
}

/// AWS's words for a wrong clock are `Signature expired: …` and `Signature not yet current: …`.
fn is_about_the_clock(message: Option<&str>) -> bool {
    message.is_some_and(|message| {
        message.contains("Signature expired") || message.contains("Signature not yet current")
    })
}

/// The meaning of a proxy's status. It tells nothing about the key or the caller's permissions.
pub(super) fn of_stranger(status: u16) -> Meaning {
    let proxy = |kind| {
        Meaning::new(kind)
            .with_detail("the answer is not AWS's: is there a proxy on the way?")
            .with_remedy("check HTTPS_PROXY, NO_PROXY and the endpoint, and retry")
            .because(FailureCause::Proxy)
    };
    match status {
        404 | 405 => by_status(status),
        408 | 504 => proxy(Kind::DeadlineExceeded),
        429 => proxy(Kind::Throttled),
        500..600 => proxy(Kind::Unavailable),
        _ => proxy(Kind::Integrity),
    }
}

/// Some denials are XML without a code.
pub(super) fn by_status(status: u16) -> Meaning {
    match status {
        401 | 403 => Meaning::new(Kind::PermissionDenied),
        408 | 504 => Meaning::new(Kind::DeadlineExceeded),
        429 => Meaning::new(Kind::Throttled),
        500..600 => Meaning::new(Kind::Unavailable),
        404 | 405 => NOT_AWS,
        400..500 => INVALID,
        _ => Meaning::new(Kind::Integrity).with_detail("the answer is not one that AWS KMS gives"),
    }
}

pub(super) fn by_credentials(error: &CredentialsError) -> Meaning {
    let waiting = |kind| Meaning::new(kind).with_detail("while waiting for AWS credentials");
    match error {
        CredentialsError::CredentialsNotLoaded(_) => NO_CREDENTIALS,
        CredentialsError::ProviderTimedOut(_) => waiting(Kind::DeadlineExceeded),
        CredentialsError::InvalidConfiguration(_) => WRONG_CREDENTIALS,
        error if is_metadata_forbidden(error) => NO_CREDENTIALS,
        _ => waiting(Kind::Unavailable),
    }
}

/// Whether the metadata service, which is asked last, gives this machine no token: it answers 403. AWS does so where the
/// service is turned off, and other machines may have another service at its address.
fn is_metadata_forbidden(error: &CredentialsError) -> bool {
    let Some(metadata @ ImdsError::FailedToLoadToken(_)) = find::<ImdsError>(error) else {
        return false;
    };
    find::<SdkError<TokenError, HttpResponse>>(metadata)
        .and_then(SdkError::raw_response)
        .is_some_and(|answer| answer.status().as_u16() == 403)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use temporal_kms::{KeyUri, ProviderError};

    use super::*;
    use crate::error::Failure;

    #[test]
    fn a_wrong_clock_is_told_from_a_wrong_key() {
        let expired = "Signature expired: 20260101T000000Z is now earlier than 20260101T000500Z";
        for (message, expected) in [
            (Some(expired), CLOCK),
            (Some("no match"), REFUSED),
            (None, REFUSED),
        ] {
            let mapped = by_code("InvalidSignatureException", message);
            assert_eq!(mapped, Some(expected));
        }
    }

    #[test]
    fn a_status_counts_where_there_is_no_code() {
        for (status, kind) in [
            (403, Kind::PermissionDenied),
            (429, Kind::Throttled),
            (400, Kind::Misconfigured),
            (500, Kind::Unavailable),
            (503, Kind::Unavailable),
            (504, Kind::DeadlineExceeded),
            (302, Kind::Integrity),
        ] {
            assert_eq!(by_status(status).kind, kind, "{status}");
        }
        assert_eq!(by_code("SomethingNewException", None), None);
    }

    /// Every code that is known.
    const CODES: &str = "AccessDeniedException AccessDenied NotAuthorized OptInRequired IDPRejectedClaim NotFoundException \
        DisabledException KMSInvalidStateException InvalidCiphertextException IncorrectKeyException ThrottlingException \
        Throttling ThrottledException RequestThrottled RequestThrottledException RequestLimitExceeded \
        TooManyRequestsException KeyUnavailableException KMSInternalException InternalFailure InternalError \
        InternalServerError InternalServiceException ServiceUnavailable ServiceUnavailableException \
        IDPCommunicationError CustomKeyStoreInvalidStateException CloudHsmClusterNotActiveException ConflictException \
        DependencyTimeoutException RequestTimeout RequestTimeoutException UnsupportedOperationException \
        UnknownOperationException InvalidAction AlreadyExistsException LimitExceededException InvalidKeyUsageException \
        InvalidIdentityToken RegionDisabledException ExpiredTokenException ExpiredToken RequestExpired \
        RequestTimeTooSkewed RequestInTheFuture InvalidSignatureException SignatureDoesNotMatch \
        UnrecognizedClientException InvalidClientTokenId MissingAuthenticationToken AuthFailure \
        MissingAuthenticationTokenException IncompleteSignature IncompleteSignatureException InvalidArnException \
        InvalidAliasNameException TagException ValidationException ValidationError MalformedPolicyDocumentException \
        InvalidGrantTokenException SerializationException";

    #[test]
    fn every_meaning_says_once_what_to_do() {
        let key: KeyUri = "aws-kms://alias/a".parse().unwrap();
        let known = CODES.split(' ').map(|code| by_code(code, None).unwrap());
        let statuses = (100..600).flat_map(|status| [by_status(status), of_stranger(status)]);
        let credentials = [
            CredentialsError::not_loaded_no_source(),
            CredentialsError::provider_timed_out(Duration::ZERO),
            CredentialsError::invalid_configuration("a"),
            CredentialsError::unhandled("a"),
        ];
        let credentials = credentials.iter().map(by_credentials);
        let others = [NO_URL, NO_PLACE, NO_CONNECTION, CLOCK, EXPIRED];
        for meaning in known.chain(statuses).chain(credentials).chain(others) {
            let error = Failure::new(meaning).of_key(&key, "kms:Decrypt");
            let text = error.to_string();
            assert_eq!(text.matches("; ").count(), 1, "{text}");
            if error.kind() == Kind::Misconfigured {
                let general = ProviderError::new(Kind::Misconfigured, &key);
                assert_ne!(error.remedy(), general.remedy(), "{text}");
            }
        }
    }
}

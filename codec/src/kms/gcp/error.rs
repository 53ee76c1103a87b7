use std::error::Error as StdError;

use google_cloud_gax::error::{
    CredentialsError, Error as GaxError,
    rpc::{Code, Status, StatusDetails},
};

use crate::{
    KeyUri,
    kms::{Cause, ProviderError, ProviderErrorKind as Kind},
};

/// What was asked of the service, which decides what a refusal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Encrypt,
    Decrypt,
    Sign,
    PublicKey,
    Describe,
    Administer,
}

/// Puts the client's error into the vocabulary of all services. The service's own words stay in the source, and where
/// they might hold plaintext they are dropped.
pub(super) fn map(error: GaxError, uri: &KeyUri, asked: Asked) -> ProviderError {
    let (kind, detail) = match error.status() {
        Some(status) => of_status(status, asked),
        None => of_transport(&error),
    };
    let keep = !error.is_deserialization() && error.http_payload().is_none();
    let mapped = ProviderError::new(kind, uri)
        .with_detail(detail)
        .with_cause(cause(&error, kind));
    if keep {
        mapped.with_source(error)
    } else {
        mapped
    }
}

/// An answer that is not what was asked for, or was damaged on its way.
pub(super) fn integrity(uri: &KeyUri, detail: &'static str) -> ProviderError {
    ProviderError::new(Kind::Integrity, uri).with_detail(detail)
}

/// Whether a policy changed between reading and writing it.
pub(super) fn is_conflict(error: &ProviderError) -> bool {
    code(error) == Some(Code::Aborted)
}

/// Whether what was to be made is there already.
pub(super) fn already_exists(error: &ProviderError) -> bool {
    code(error) == Some(Code::AlreadyExists)
}

fn code(error: &ProviderError) -> Option<Code> {
    let source = error.source()?.downcast_ref::<GaxError>()?;
    source.status().map(|status| status.code)
}

fn cause(error: &GaxError, kind: Kind) -> Option<Cause> {
    match error.status() {
        Some(status) => match (status.code, reason(status)) {
            (Code::Unauthenticated, _) | (_, Some("ACCESS_TOKEN_SCOPE_INSUFFICIENT")) => {
                Some(Cause::RefusedCredentials)
            }
            (_, Some("SERVICE_DISABLED")) => Some(Cause::ServiceDisabled),
            (Code::PermissionDenied, _) if kind == Kind::Misconfigured => Some(Cause::Project),
            _ => None,
        },
        None if error.is_authentication() => {
            (kind == Kind::Misconfigured).then_some(Cause::NoCredentials)
        }
        None if error.http_status_code() == Some(401) => Some(Cause::RefusedCredentials),
        None => error.is_connect().then_some(Cause::NoConnection),
    }
}

fn of_status(status: &Status, asked: Asked) -> (Kind, &'static str) {
    match status.code {
        Code::InvalidArgument | Code::OutOfRange => invalid_argument(status, asked),
        Code::NotFound => (Kind::KeyNotFound, ""),
        Code::AlreadyExists => (Kind::Misconfigured, "it exists already"),
        Code::PermissionDenied => permission_denied(status, asked),
        Code::Unauthenticated => (
            Kind::Misconfigured,
            "Google Cloud does not accept the credentials; they are expired, revoked or of another project",
        ),
        Code::FailedPrecondition => failed_precondition(status),
        Code::ResourceExhausted => (Kind::Throttled, ""),
        Code::DeadlineExceeded => (Kind::DeadlineExceeded, ""),
        Code::Unimplemented => (Kind::Unsupported, ""),
        Code::DataLoss => (Kind::Integrity, ""),
        Code::Aborted => (Kind::Unavailable, "the call collided with another one"),
        _ => (Kind::Unavailable, "the service failed"),
    }
}

fn invalid_argument(status: &Status, asked: Asked) -> (Kind, &'static str) {
    // The service's words for "what arrived does not have the checksum that was sent".
    if status.message.contains("crc32c") {
        return (Kind::Integrity, "the request was damaged on its way");
    }
    match asked {
        Asked::Decrypt => (Kind::InvalidCiphertext, ""),
        Asked::Encrypt => (
            Kind::Misconfigured,
            "the key must be one for symmetric encryption; one in an HSM takes at most 8 KiB",
        ),
        Asked::Sign | Asked::PublicKey => (
            Kind::Misconfigured,
            "the key must be one for signing with EC_SIGN_P256_SHA256",
        ),
        Asked::Describe | Asked::Administer => (
            Kind::Misconfigured,
            "the service refuses a value of the request",
        ),
    }
}

fn permission_denied(status: &Status, asked: Asked) -> (Kind, &'static str) {
    match reason(status) {
        Some("SERVICE_DISABLED") => (
            Kind::Misconfigured,
            "the key's project has not enabled Cloud KMS: gcloud services enable cloudkms.googleapis.com",
        ),
        Some("ACCESS_TOKEN_SCOPE_INSUFFICIENT") => (
            Kind::Misconfigured,
            "the credentials lack the scope cloud-platform",
        ),
        Some(
            "BILLING_DISABLED"
            | "CONSUMER_INVALID"
            | "CONSUMER_SUSPENDED"
            | "USER_PROJECT_DENIED"
            | "RESOURCE_PROJECT_INVALID",
        ) => (
            Kind::Misconfigured,
            "the project does not exist, has no billing account, or may not be used by the caller",
        ),
        _ => (Kind::PermissionDenied, missing_role(asked)),
    }
}

fn reason(status: &Status) -> Option<&str> {
    status.details.iter().find_map(|detail| match detail {
        StatusDetails::ErrorInfo(info) => Some(info.reason.as_str()),
        _ => None,
    })
}

fn missing_role(asked: Asked) -> &'static str {
    match asked {
        Asked::Encrypt => "it takes roles/cloudkms.cryptoKeyEncrypter",
        Asked::Decrypt => "it takes roles/cloudkms.cryptoKeyDecrypter",
        Asked::Sign => "it takes roles/cloudkms.signer and roles/cloudkms.viewer",
        Asked::PublicKey => "it takes roles/cloudkms.publicKeyViewer and roles/cloudkms.viewer",
        Asked::Describe => "it takes roles/cloudkms.viewer",
        Asked::Administer => "it takes roles/cloudkms.admin",
    }
}

fn failed_precondition(status: &Status) -> (Kind, &'static str) {
    let violation = status.details.iter().find_map(|detail| match detail {
        StatusDetails::PreconditionFailure(failure) => failure.violations.first(),
        _ => None,
    });
    match violation.map(|violation| violation.r#type.as_str()) {
        Some("KEY_DISABLED") => (Kind::KeyDisabled, "the version is disabled"),
        Some("KEY_DESTROYED") => (Kind::KeyDisabled, "the version is destroyed, or will be"),
        _ => (Kind::KeyDisabled, ""),
    }
}

fn of_transport(error: &GaxError) -> (Kind, &'static str) {
    if error.is_authentication() {
        return of_credentials(error);
    }
    if error.is_timeout() || error.is_exhausted() {
        return (Kind::DeadlineExceeded, "");
    }
    if error.is_deserialization() {
        return (Kind::Integrity, "the answer is not the service's JSON");
    }
    if error.is_binding() || error.is_serialization() {
        return (Kind::Misconfigured, "the service has no such resource name");
    }
    match error.http_status_code() {
        Some(401) => (Kind::Misconfigured, "the credentials are not accepted"),
        Some(403) => (Kind::PermissionDenied, ""),
        Some(404) => (Kind::KeyNotFound, ""),
        Some(429) => (Kind::Throttled, ""),
        Some(408 | 504) => (Kind::DeadlineExceeded, ""),
        Some(400..=499) => (
            Kind::Misconfigured,
            "something in between refuses the request",
        ),
        Some(_) => (Kind::Unavailable, "the service failed"),
        None if error.is_connect() => (Kind::Unavailable, "no connection"),
        None => (Kind::Unavailable, "the connection broke"),
    }
}

fn of_credentials(error: &GaxError) -> (Kind, &'static str) {
    let fault = sources(error).find_map(|source| source.downcast_ref::<CredentialsError>());
    // Where no file is configured the metadata server is asked. When not even a connection to it can be made, this is no
    // machine of Google Cloud.
    let no_metadata_server = sources(error)
        .filter_map(|source| source.downcast_ref::<GaxError>())
        .any(|inner| !inner.is_authentication() && (inner.is_io() || inner.is_connect()));
    match fault {
        Some(fault) if fault.is_transient() && !no_metadata_server => (
            Kind::Unavailable,
            "no token for the service could be fetched",
        ),
        _ => (
            Kind::Misconfigured,
            "there are no usable Google Cloud credentials; set GOOGLE_APPLICATION_CREDENTIALS, run \
             `gcloud auth application-default login`, or give the machine a service account",
        ),
    }
}

fn sources(error: &GaxError) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(code: Code, message: &str, asked: Asked) -> ProviderError {
        let uri = "gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k"
            .parse()
            .unwrap();
        let status = Status::default().set_code(code).set_message(message);
        map(GaxError::service(status), &uri, asked)
    }

    #[test]
    fn every_status_has_a_kind() {
        for (code, asked, kind) in [
            (
                Code::InvalidArgument,
                Asked::Decrypt,
                Kind::InvalidCiphertext,
            ),
            (Code::InvalidArgument, Asked::Encrypt, Kind::Misconfigured),
            (Code::NotFound, Asked::Encrypt, Kind::KeyNotFound),
            (
                Code::PermissionDenied,
                Asked::Decrypt,
                Kind::PermissionDenied,
            ),
            (Code::FailedPrecondition, Asked::Encrypt, Kind::KeyDisabled),
            (Code::ResourceExhausted, Asked::Encrypt, Kind::Throttled),
            (Code::Unavailable, Asked::Encrypt, Kind::Unavailable),
            (Code::Internal, Asked::Encrypt, Kind::Unavailable),
            (Code::Unknown, Asked::Encrypt, Kind::Unavailable),
            (
                Code::DeadlineExceeded,
                Asked::Encrypt,
                Kind::DeadlineExceeded,
            ),
            (Code::Unauthenticated, Asked::Encrypt, Kind::Misconfigured),
            (Code::Unimplemented, Asked::Administer, Kind::Unsupported),
        ] {
            let error = mapped(code, "answer: sk-secret", asked);
            assert_eq!(error.kind(), kind, "{code:?}");
            assert!(!format!("{error} {error:?}").contains("sk-secret"));
        }
    }

    #[test]
    fn a_checksum_that_the_service_refuses_is_worth_a_retry() {
        let words =
            "The checksum in field ciphertext_crc32c did not match the data in field ciphertext.";
        for asked in [Asked::Decrypt, Asked::Encrypt, Asked::Sign] {
            let error = mapped(Code::InvalidArgument, words, asked);
            assert_eq!(error.kind(), Kind::Integrity);
            assert!(error.is_transient());
        }
    }

    #[test]
    fn tells_what_to_put_right() {
        for (code, cause) in [
            (Code::Unauthenticated, Some(Cause::RefusedCredentials)),
            (Code::PermissionDenied, None),
            (Code::NotFound, None),
            (Code::Unavailable, None),
        ] {
            assert_eq!(mapped(code, "", Asked::Encrypt).cause(), cause, "{code:?}");
        }
    }

    #[test]
    fn conflicts_are_told_from_outages() {
        assert!(is_conflict(&mapped(Code::Aborted, "", Asked::Administer)));
        assert!(!is_conflict(&mapped(
            Code::Unavailable,
            "",
            Asked::Administer
        )));
        assert!(already_exists(&mapped(
            Code::AlreadyExists,
            "",
            Asked::Administer
        )));
    }
}

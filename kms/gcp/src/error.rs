//! Translates Google's errors. It distinguishes who answered, and whose project the error is about.

mod project;
#[cfg(test)]
mod remedies;

use std::{borrow::Cow, error::Error as StdError};

use google_cloud_gax::error::{
    CredentialsError, Error as GaxError,
    rpc::{Code, Status, StatusDetails},
};

use temporal_kms::{FailureCause, KeyUri, ProviderError, ProviderErrorKind as Kind, ServiceError};

/// The reason of a refusal by VPC Service Controls.
const PERIMETER: &str = "SECURITY_POLICY_VIOLATED";

/// What to do about a key that does not sign as it should.
pub(super) const SIGNING_KEY: &str =
    "use another key, or create one with `codec-server keys create --purpose sign-p256`";

/// The kind of request, which decides what a refusal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallKind {
    Encrypt,
    Decrypt,
    Sign,
    PublicKey,
    Describe,
    Administer,
}

/// Translates the client's error to the kinds of all services. No text of the service is kept.
pub(super) fn map(error: &GaxError, uri: &KeyUri, call: CallKind) -> ProviderError {
    let meaning = match error.status() {
        Some(status) => of_status(status, uri, call),
        None => of_transport(error),
    };
    let translated = ProviderError::new(meaning.kind, uri)
        .with_detail(meaning.detail)
        .with_cause(meaning.cause)
        .with_project(meaning.project)
        .with_service_error(identified(error));
    match meaning.remedy {
        Some(remedy) => translated.with_remedy(remedy),
        None => translated,
    }
}

/// The meaning of a failure.
struct Meaning<'a> {
    kind: Kind,
    detail: Cow<'static, str>,
    /// What to do, in place of the advice for the kind.
    remedy: Option<Cow<'static, str>>,
    cause: Option<FailureCause>,
    project: Option<&'a str>,
}

impl<'a> Meaning<'a> {
    fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            remedy: None,
            cause: None,
            project: None,
        }
    }

    /// Settings are wrong. The kind does not know which, so each has its own remedy.
    fn misconfigured(
        detail: impl Into<Cow<'static, str>>,
        remedy: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(Kind::Misconfigured, detail).with_remedy(remedy)
    }

    fn with_remedy(self, remedy: impl Into<Cow<'static, str>>) -> Self {
        Self {
            remedy: Some(remedy.into()),
            ..self
        }
    }

    fn because(self, cause: FailureCause) -> Self {
        Self {
            cause: Some(cause),
            ..self
        }
    }

    fn of_project(self, project: Option<&'a str>) -> Self {
        Self { project, ..self }
    }
}

/// The ids of the failed call in Google's own logs, if the service was reached.
fn identified(error: &GaxError) -> Option<ServiceError> {
    let status = error.status();
    if status.is_none() && error.http_status_code().is_none() {
        return None;
    }
    let id = status.and_then(|status| {
        status.details.iter().find_map(|detail| match detail {
            StatusDetails::RequestInfo(info) => Some(info.request_id.as_str()),
            // The refusals of a perimeter are logged by this id.
            StatusDetails::ErrorInfo(info) if info.reason == PERIMETER => {
                info.metadata.get("uid").map(String::as_str)
            }
            _ => None,
        })
    });
    let identified = ServiceError::new(error.http_status_code())
        .with_code(status.map(|status| status.code.name()))
        .with_request_id(id);
    Some(identified)
}

/// The error for an answer about another key, or for an answer that was damaged in transit.
pub(super) fn integrity(uri: &KeyUri, detail: &'static str) -> ProviderError {
    ProviderError::new(Kind::Integrity, uri).with_detail(detail)
}

/// Whether a policy was changed between reading and writing it.
pub(super) fn is_conflict(error: &ProviderError) -> bool {
    has_code(error, Code::Aborted)
}

/// Whether the resource to create exists already.
pub(super) fn already_exists(error: &ProviderError) -> bool {
    has_code(error, Code::AlreadyExists)
}

fn has_code(error: &ProviderError, code: Code) -> bool {
    let answered = error.service_error().and_then(ServiceError::code);
    answered == Some(code.name())
}

fn of_status<'a>(status: &'a Status, uri: &KeyUri, call: CallKind) -> Meaning<'a> {
    match status.code {
        Code::InvalidArgument | Code::OutOfRange => invalid_argument(status, call),
        Code::NotFound => Meaning::new(Kind::KeyNotFound, ""),
        Code::AlreadyExists => Meaning::new(Kind::AlreadyExists, ""),
        Code::PermissionDenied => permission_denied(status, uri, call),
        Code::Unauthenticated => Meaning::misconfigured(
            "Google Cloud does not accept the credentials: they are expired, revoked or of another project",
            "log in again with `gcloud auth application-default login`, or renew the credentials file",
        )
        .because(FailureCause::RefusedCredentials),
        Code::FailedPrecondition => failed_precondition(status, call),
        Code::ResourceExhausted => Meaning::new(Kind::Throttled, ""),
        Code::DeadlineExceeded => Meaning::new(Kind::DeadlineExceeded, ""),
        Code::Unimplemented => Meaning::new(Kind::Unsupported, ""),
        Code::DataLoss => Meaning::new(Kind::Integrity, ""),
        Code::Aborted => Meaning::new(Kind::Unavailable, "the call collided with another one"),
        _ => Meaning::new(Kind::Unavailable, ""),
    }
}

fn invalid_argument(status: &Status, call: CallKind) -> Meaning<'static> {
    // The service's words for a request whose data do not match their checksum.
    if status.message.contains("crc32c") {
        return Meaning::new(Kind::Integrity, "the request was damaged on its way");
    }
    match call {
        CallKind::Decrypt => Meaning::new(Kind::InvalidCiphertext, ""),
        CallKind::Encrypt => Meaning::misconfigured(
            "it is not for symmetric encryption, or is in an HSM and encrypts at most 8 KiB at once",
            "use a key for symmetric encryption, and the format `envelope`",
        ),
        CallKind::Sign | CallKind::PublicKey => {
            Meaning::misconfigured("it does not sign with EC_SIGN_P256_SHA256", SIGNING_KEY)
        }
        CallKind::Describe | CallKind::Administer => Meaning::misconfigured(
            "the service refuses a value of the request",
            "correct the key's name, or the values that you gave",
        ),
    }
}

fn permission_denied<'a>(status: &'a Status, uri: &KeyUri, call: CallKind) -> Meaning<'a> {
    let info = status.details.iter().find_map(|detail| match detail {
        StatusDetails::ErrorInfo(info) => Some(info),
        _ => None,
    });
    let consumer = info.and_then(|info| project::consumer(&info.metadata));
    let is_charged_elsewhere = consumer.is_some() && consumer != project::of_key(uri);
    match info.map(|info| info.reason.as_str()) {
        Some("ACCESS_TOKEN_SCOPE_INSUFFICIENT") => Meaning::misconfigured(
            "the credentials lack the scope cloud-platform",
            "give them this scope, or use other credentials",
        )
        .because(FailureCause::RefusedCredentials),
        Some(PERIMETER) => Meaning::new(
            Kind::PermissionDenied,
            "a perimeter of VPC Service Controls keeps the call out",
        )
        .with_remedy(
            "let its caller and its network in by an ingress rule or an access level, or call from inside of the perimeter",
        )
        .because(FailureCause::Perimeter),
        Some("SERVICE_DISABLED") if is_charged_elsewhere => {
            of_quota_project(consumer, project::disabled(consumer))
        }
        Some("SERVICE_DISABLED") => Meaning::misconfigured(
            "the key's project has not enabled Cloud KMS",
            format!("enable it there: {}", project::enable(project::of_key(uri))),
        )
        .because(FailureCause::ServiceDisabled)
        .of_project(consumer),
        Some("USER_PROJECT_DENIED") => of_quota_project(consumer, project::denied(consumer)),
        Some("BILLING_DISABLED" | "CONSUMER_INVALID" | "CONSUMER_SUSPENDED")
            if is_charged_elsewhere =>
        {
            of_quota_project(consumer, project::unusable(consumer))
        }
        Some(
            "BILLING_DISABLED"
            | "CONSUMER_INVALID"
            | "CONSUMER_SUSPENDED"
            | "RESOURCE_PROJECT_INVALID",
        ) => Meaning::misconfigured(
            "the key's project does not exist, has no billing account, or may not be used by the caller",
            "check the project in the key's name, and its billing account",
        )
        .because(FailureCause::Project)
        .of_project(consumer),
        _ => Meaning::new(Kind::PermissionDenied, "").with_remedy(missing_role(call)),
    }
}

/// A refusal because of the project that calls are charged to.
fn of_quota_project(consumer: Option<&str>, (detail, remedy): (String, String)) -> Meaning<'_> {
    Meaning::misconfigured(detail, remedy)
        .because(FailureCause::QuotaProject)
        .of_project(consumer)
}

fn missing_role(call: CallKind) -> &'static str {
    match call {
        CallKind::Encrypt => "grant the caller roles/cloudkms.cryptoKeyEncrypter",
        CallKind::Decrypt => "grant the caller roles/cloudkms.cryptoKeyDecrypter",
        CallKind::Sign => "grant the caller roles/cloudkms.signer and roles/cloudkms.viewer",
        CallKind::PublicKey => {
            "grant the caller roles/cloudkms.publicKeyViewer and roles/cloudkms.viewer"
        }
        CallKind::Describe => "grant the caller roles/cloudkms.viewer",
        CallKind::Administer => "grant the caller roles/cloudkms.admin",
    }
}

fn failed_precondition(status: &Status, call: CallKind) -> Meaning<'static> {
    let violation = status.details.iter().find_map(|detail| match detail {
        StatusDetails::PreconditionFailure(failure) => failure.violations.first(),
        _ => None,
    });
    match (violation.map(|violation| violation.r#type.as_str()), call) {
        (Some("KEY_DISABLED"), _) => Meaning::new(Kind::KeyDisabled, "the version is disabled"),
        (Some("KEY_DESTROYED"), CallKind::Decrypt) => Meaning::new(
            Kind::KeyVersionGone,
            "the version that encrypted it is destroyed, or will be",
        ),
        (Some("KEY_DESTROYED"), _) => {
            Meaning::new(Kind::KeyDisabled, "the version is destroyed, or will be")
                .with_remedy("restore it while that is possible, or rotate the key")
        }
        _ => Meaning::new(Kind::KeyDisabled, ""),
    }
}

fn of_transport(error: &GaxError) -> Meaning<'static> {
    if error.is_authentication() {
        return of_credentials(error);
    }
    if error.is_timeout() || error.is_exhausted() {
        return Meaning::new(Kind::DeadlineExceeded, "");
    }
    if error.is_binding() || error.is_serialization() {
        return Meaning::misconfigured(
            "the service has no such resource name",
            "correct the key's name",
        );
    }
    if error.is_deserialization() {
        return stranger(Kind::Integrity);
    }
    // The service answers every failure in its own JSON. An answer with a status but without this JSON comes from
    // another program.
    match error.http_status_code() {
        Some(429) => stranger(Kind::Throttled),
        Some(408 | 504) => stranger(Kind::DeadlineExceeded),
        Some(500..=599) => stranger(Kind::Unavailable),
        Some(_) => stranger(Kind::Integrity),
        None if error.is_connect() => {
            Meaning::new(Kind::Unavailable, "no connection").because(FailureCause::NoConnection)
        }
        None => Meaning::new(Kind::Unavailable, "the connection broke"),
    }
}

fn stranger(kind: Kind) -> Meaning<'static> {
    Meaning::new(
        kind,
        "the answer is not Google's: is there a proxy on the way?",
    )
    .with_remedy("check HTTPS_PROXY, NO_PROXY and the endpoint, and retry")
    .because(FailureCause::Proxy)
}

fn of_credentials(error: &GaxError) -> Meaning<'static> {
    let fault = sources(error).find_map(|source| source.downcast_ref::<CredentialsError>());
    // Without a configured file, the metadata server is asked. If it does not accept a connection, this machine is not
    // at Google Cloud.
    let no_metadata_server = sources(error)
        .filter_map(|source| source.downcast_ref::<GaxError>())
        .any(|inner| !inner.is_authentication() && (inner.is_io() || inner.is_connect()));
    match fault {
        Some(fault) if fault.is_transient() && !no_metadata_server => Meaning::new(
            Kind::Unavailable,
            "no token for the service could be fetched",
        ),
        _ => Meaning::misconfigured(
            "there are no usable Google Cloud credentials",
            "set GOOGLE_APPLICATION_CREDENTIALS, run `gcloud auth application-default login`, or give the machine a service \
             account",
        )
        .because(FailureCause::NoCredentials),
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

    fn uri() -> KeyUri {
        "gcp-kms://projects/my-project/locations/l/keyRings/r/cryptoKeys/k"
            .parse()
            .unwrap()
    }

    fn mapped(code: Code, message: &str, call: CallKind) -> ProviderError {
        let uri = uri();
        let status = Status::default().set_code(code).set_message(message);
        map(&GaxError::service(status), &uri, call)
    }

    #[test]
    fn every_status_has_a_kind() {
        for (code, call, kind) in [
            (
                Code::InvalidArgument,
                CallKind::Decrypt,
                Kind::InvalidCiphertext,
            ),
            (
                Code::InvalidArgument,
                CallKind::Encrypt,
                Kind::Misconfigured,
            ),
            (Code::NotFound, CallKind::Encrypt, Kind::KeyNotFound),
            (
                Code::PermissionDenied,
                CallKind::Decrypt,
                Kind::PermissionDenied,
            ),
            (
                Code::FailedPrecondition,
                CallKind::Encrypt,
                Kind::KeyDisabled,
            ),
            (Code::ResourceExhausted, CallKind::Encrypt, Kind::Throttled),
            (Code::Unavailable, CallKind::Encrypt, Kind::Unavailable),
            (Code::Internal, CallKind::Encrypt, Kind::Unavailable),
            (Code::Unknown, CallKind::Encrypt, Kind::Unavailable),
            (
                Code::DeadlineExceeded,
                CallKind::Encrypt,
                Kind::DeadlineExceeded,
            ),
            (
                Code::Unauthenticated,
                CallKind::Encrypt,
                Kind::Misconfigured,
            ),
            (Code::Unimplemented, CallKind::Administer, Kind::Unsupported),
        ] {
            let error = mapped(code, "answer: sk-secret", call);
            assert_eq!(error.kind(), kind, "{code:?}");
            assert!(!format!("{error} {error:?}").contains("sk-secret"));
        }
    }

    #[test]
    fn a_checksum_that_the_service_refuses_is_worth_a_retry() {
        let words =
            "The checksum in field ciphertext_crc32c did not match the data in field ciphertext.";
        for call in [CallKind::Decrypt, CallKind::Encrypt, CallKind::Sign] {
            let error = mapped(Code::InvalidArgument, words, call);
            assert_eq!(error.kind(), Kind::Integrity);
            assert!(error.is_transient());
        }
    }

    #[test]
    fn tells_what_to_put_right() {
        for (code, cause) in [
            (
                Code::Unauthenticated,
                Some(FailureCause::RefusedCredentials),
            ),
            (Code::PermissionDenied, None),
            (Code::NotFound, None),
            (Code::Unavailable, None),
        ] {
            assert_eq!(
                mapped(code, "", CallKind::Encrypt).cause(),
                cause,
                "{code:?}"
            );
        }
    }

    #[test]
    fn conflicts_are_told_from_outages() {
        assert!(is_conflict(&mapped(
            Code::Aborted,
            "",
            CallKind::Administer
        )));
        assert!(!is_conflict(&mapped(
            Code::Unavailable,
            "",
            CallKind::Administer
        )));
        assert!(already_exists(&mapped(
            Code::AlreadyExists,
            "",
            CallKind::Administer
        )));
    }

    /// Recorded answers of Google.
    fn refused(body: &str) -> ProviderError {
        map(&answered(body), &uri(), CallKind::Encrypt)
    }

    fn answered(body: &str) -> GaxError {
        let body = bytes::Bytes::copy_from_slice(body.as_bytes());
        GaxError::service(Status::try_from(&body).unwrap())
    }

    #[test]
    fn the_project_that_calls_are_charged_to_is_told_from_the_keys() {
        let disabled = refused(include_str!(
            "../tests/data/403-service-disabled-in-other-project.json"
        ));
        assert_eq!(disabled.cause(), Some(FailureCause::QuotaProject));
        assert_eq!(disabled.project(), Some("999999"));
        let text = disabled.to_string();
        for part in [
            "in project 999999",
            "--project=999999",
            "GOOGLE_CLOUD_QUOTA_PROJECT",
        ] {
            assert!(text.contains(part), "{text}");
        }

        let denied = refused(include_str!("../tests/data/403-user-project-denied.json"));
        assert_eq!(denied.cause(), Some(FailureCause::QuotaProject));
        assert_eq!(denied.project(), Some("other-billing-project"));
        let text = denied.to_string();
        for part in [
            "other-billing-project",
            "serviceUsageConsumer",
            "set-quota-project",
        ] {
            assert!(text.contains(part), "{text}");
        }
        for error in [&disabled, &denied] {
            assert_eq!(error.kind(), Kind::Misconfigured);
        }
    }

    #[test]
    fn a_perimeter_is_told_from_a_missing_role() {
        let error = refused(include_str!("../tests/data/403-vpc-service-controls.json"));
        assert_eq!(error.kind(), Kind::PermissionDenied);
        assert_eq!(error.cause(), Some(FailureCause::Perimeter));
        let text = error.to_string();
        assert!(text.contains("VPC Service Controls"), "{text}");
        assert!(!text.contains("roles/"), "{text}");
        assert!(!text.contains("prohibited by organization"), "{text}");
        let id = error.service_error().and_then(ServiceError::request_id);
        assert!(id.is_some_and(|id| id.starts_with("4cHmBXqY")), "{id:?}");
    }

    #[test]
    fn the_keys_own_project_is_named_as_such() {
        for metadata in [
            r#""consumer": "projects/my-project""#,
            r#""consumer": "<b>sEcReT""#,
        ] {
            let error = refused(&format!(
                r#"{{"error": {{"code": 403, "status": "PERMISSION_DENIED", "message": "sEcReT", "details":
                [{{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED",
                "domain": "googleapis.com", "metadata": {{{metadata}}}}}]}}}}"#
            ));
            assert_eq!(
                error.cause(),
                Some(FailureCause::ServiceDisabled),
                "{error}"
            );
            assert!(error.to_string().contains("the key's project"), "{error}");
            assert!(!error.to_string().contains("sEcReT"), "{error}");
        }
    }

    #[test]
    fn a_page_for_people_is_not_googles_word() {
        let page = include_str!("../tests/data/404.html");
        for (status, kind) in [
            (401, Kind::Integrity),
            (403, Kind::Integrity),
            (404, Kind::Integrity),
            (407, Kind::Integrity),
            (302, Kind::Integrity),
            (429, Kind::Throttled),
            (500, Kind::Unavailable),
            (502, Kind::Unavailable),
            (504, Kind::DeadlineExceeded),
        ] {
            let answer = GaxError::http(status, http::HeaderMap::new(), page.into());
            let error = map(&answer, &uri(), CallKind::Decrypt);
            assert_eq!(
                (error.kind(), error.cause()),
                (kind, Some(FailureCause::Proxy)),
                "{status}"
            );
            assert!(error.to_string().contains("is not Google's"), "{error}");
            assert!(!error.to_string().contains("Not Found"), "{error}");
        }
    }

    #[test]
    fn a_destroyed_version_is_told_from_an_altered_ciphertext() {
        let destroyed = r#"{"error": {"code": 400, "status": "FAILED_PRECONDITION", "message": "", "details":
            [{"@type": "type.googleapis.com/google.rpc.PreconditionFailure", "violations":
            [{"type": "KEY_DESTROYED", "subject": "", "description": ""}]}]}}"#;
        let destroyed = answered(destroyed);
        for (call, kind) in [
            (CallKind::Decrypt, Kind::KeyVersionGone),
            (CallKind::Encrypt, Kind::KeyDisabled),
            (CallKind::Sign, Kind::KeyDisabled),
        ] {
            assert_eq!(map(&destroyed, &uri(), call).kind(), kind, "{call:?}");
        }
        assert_eq!(
            mapped(Code::InvalidArgument, "", CallKind::Decrypt).kind(),
            Kind::InvalidCiphertext
        );
    }
}

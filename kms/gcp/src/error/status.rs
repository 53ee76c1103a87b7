//! What the service means by the failures that it answers.

use google_cloud_gax::error::rpc::{Code, Status, StatusDetails};
use temporal_kms::{FailureCause, KeyUri, ProviderErrorKind as Kind};

use super::{CallKind, PERIMETER, SIGNING_KEY, meaning::Meaning, project};

/// The meaning of a failure that the service answered.
pub(super) fn of_status<'a>(status: &'a Status, uri: &KeyUri, call: CallKind) -> Meaning<'a> {
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

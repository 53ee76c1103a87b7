//! Translates Google's errors. It distinguishes who answered, and whose project the error is about.

mod meaning;
mod project;
#[cfg(test)]
mod remedies;
mod status;
mod transport;

use google_cloud_gax::error::{
    Error as GaxError,
    rpc::{Code, StatusDetails},
};
use temporal_kms::{KeyUri, ProviderError, ProviderErrorKind as Kind, ServiceError};

use self::{status::of_status, transport::of_transport};

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

#[cfg(test)]
mod tests;

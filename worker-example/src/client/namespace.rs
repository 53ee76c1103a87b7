//! Recognizes that a namespace does not exist, in an error of any call to Temporal.

use std::error::Error;

use temporalio_client::tonic::Status;
use temporalio_common::protos::{
    temporal::api::errordetails::v1::NamespaceNotFoundFailure, utilities::decode_status_detail,
};

/// The namespace does not exist.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
#[error(
    "the namespace `{namespace}` does not exist in Temporal at {address}. Check --namespace (TEMPORAL_NAMESPACE) and \
     --address, or create it: temporal operator namespace create --namespace {namespace}"
)]
pub struct MissingNamespace {
    /// The namespace.
    pub namespace: String,
    /// The address of Temporal.
    pub address: String,
}

/// Whether Temporal answered that the namespace does not exist. It is known from the details of the answer, because
/// Temporal uses the same code for a missing task.
pub(super) fn is_missing(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(status) = error.downcast_ref::<Status>() {
            return decode_status_detail::<NamespaceNotFoundFailure>(status.details()).is_some();
        }
        cause = error.source();
    }
    false
}

//! Recognizes that a namespace does not exist, in an error of any call to Temporal.

use std::error::Error;

use prost::Message as _;
use temporalio_client::tonic::Status;
use temporalio_common::protos::google::rpc;

/// The type of the detail with which Temporal reports a missing namespace.
const NAMESPACE_NOT_FOUND: &str = "temporal.api.errordetails.v1.NamespaceNotFoundFailure";

/// Whether Temporal answered that the namespace does not exist. It is known from the details of the answer, because
/// Temporal uses the same code for a missing task.
pub(super) fn is_missing(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(status) = error.downcast_ref::<Status>() {
            return has_detail(status, NAMESPACE_NOT_FOUND);
        }
        cause = error.source();
    }
    false
}

fn has_detail(status: &Status, name: &str) -> bool {
    let details = rpc::Status::decode(status.details())
        .map(|status| status.details)
        .unwrap_or_default();
    details
        .iter()
        .any(|detail| detail.type_url.rsplit('/').next() == Some(name))
}

#[cfg(test)]
mod tests {
    use temporalio_client::tonic::Code;

    use super::*;

    fn status(name: &str) -> Status {
        let mut status = rpc::Status::default();
        status.details.resize_with(1, Default::default);
        status.details[0].type_url = format!("type.googleapis.com/{name}");
        Status::with_details(Code::NotFound, "", status.encode_to_vec().into())
    }

    #[test]
    fn a_missing_task_is_not_a_missing_namespace() {
        assert!(is_missing(&status(NAMESPACE_NOT_FOUND)));
        let task = "temporal.api.errordetails.v1.NotFoundFailure";
        assert!(!is_missing(&status(task)));
        assert!(!is_missing(&Status::not_found("no details")));
    }
}

//! A signal that Temporal has not accepted.

use temporalio_client::{
    errors::WorkflowInteractionError,
    tonic::{Code, Status},
};

use super::error::{ClientError, codec_error};

/// A signal that Temporal has not accepted.
#[derive(Debug)]
pub(crate) struct Undelivered {
    pub(crate) error: Box<ClientError>,
    /// Whether the same signal can arrive later.
    pub(crate) is_transient: bool,
}

/// Whether Temporal or the key service is unreachable. A refusal is for good.
pub(super) fn is_transient(error: &WorkflowInteractionError) -> bool {
    match error {
        WorkflowInteractionError::Rpc(status) => is_unavailable(status),
        error => codec_error(error).is_some_and(temporal_kms_codec::Error::is_transient),
    }
}

/// Whether an answer says that the server is unreachable or too busy, or that the connection was lost.
fn is_unavailable(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::Cancelled
            | Code::Internal
            | Code::Unknown
    )
}

#[cfg(test)]
mod tests {
    use temporal_kms_codec::PayloadError;

    use super::*;

    #[test]
    fn only_a_signal_that_was_not_refused_is_sent_again() {
        let of_code = |code| is_transient(&WorkflowInteractionError::Rpc(Status::new(code, "")));
        for code in [Code::Unavailable, Code::DeadlineExceeded, Code::Unknown] {
            assert!(of_code(code), "{code:?}");
        }
        for code in [
            Code::InvalidArgument,
            Code::PermissionDenied,
            Code::Unauthenticated,
            Code::Unimplemented,
        ] {
            assert!(!of_code(code), "{code:?}");
        }
        let refused = temporal_kms_codec::Error::from(PayloadError::NotAuthentic);
        assert!(!is_transient(&WorkflowInteractionError::Other(
            refused.into()
        )));
    }
}

//! A request that was answered.

use std::time::Duration;

use temporal_kms_codec::Namespace;

/// What a request that was answered says of itself.
#[derive(Clone, Debug, Default)]
pub struct EndedRequest<'a> {
    /// `encode`, `decode` or `download`; `None` where the path names no operation.
    pub operation: Option<&'static str>,
    /// The namespace that it was resolved to.
    pub namespace: Option<&'a Namespace>,
    /// The HTTP status of the answer.
    pub status: u16,
    /// The time from its head to the answer.
    pub took: Duration,
    /// Payloads in the answer.
    pub payloads: usize,
    /// How many of them are placeholders.
    pub placeholders: usize,
    /// How many of them are storage references that were returned unchecked.
    pub references: usize,
    /// Bytes of its body.
    pub body: usize,
    /// Bytes of the answer's body.
    pub answer: usize,
}

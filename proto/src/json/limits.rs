//! How much of a body is read.

/// Limits during parsing. They stop the parser before it spends memory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How many payloads one body may hold.
    pub max_payloads: usize,
}

impl Limits {
    /// Allows one body to hold this many payloads.
    #[must_use]
    pub const fn new(max_payloads: usize) -> Self {
        Self { max_payloads }
    }
}

/// How many metadata entries a payload may have. Temporal's SDKs write up to four. This codec adds two for each of up
/// to ten recipients.
pub(super) const MAX_METADATA: usize = 64;

//! The kinds of failures of key management services.

use crate::text_form::text_form;

/// How a key management service failed, in one vocabulary for all services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ProviderErrorKind {
    /// The caller may not use the key for this operation.
    PermissionDenied,
    /// The key, or the version of it that the caller named, does not exist.
    /// [`ProviderError::is_key_missing`](crate::ProviderError::is_key_missing) tells which.
    KeyNotFound,
    /// The key, or the version that encrypts, is disabled or destroyed.
    KeyDisabled,
    /// The version that encrypted is destroyed, or the key never had it. Services that can distinguish this from an
    /// altered ciphertext report it.
    KeyVersionGone,
    /// The ciphertext was not encrypted by this key, or was altered.
    InvalidCiphertext,
    /// The ciphertext was encrypted under another context.
    ContextMismatch,
    /// The service limits the rate of calls.
    Throttled,
    /// The service cannot be reached, or it failed.
    Unavailable,
    /// The service did not answer in time.
    DeadlineExceeded,
    /// The service's answer failed its integrity check.
    Integrity,
    /// The key or its credentials are set up wrongly.
    Misconfigured,
    /// A key of that name exists already.
    AlreadyExists,
    /// The service does not have this operation.
    Unsupported,
}

impl ProviderErrorKind {
    /// Whether the same call can succeed later, although nothing was changed.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(
            self,
            Self::Throttled | Self::Unavailable | Self::DeadlineExceeded | Self::Integrity
        )
    }

    /// The name in metrics, output and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PermissionDenied => "permission_denied",
            Self::KeyNotFound => "key_not_found",
            Self::KeyDisabled => "key_disabled",
            Self::KeyVersionGone => "key_version_gone",
            Self::InvalidCiphertext => "invalid_ciphertext",
            Self::ContextMismatch => "context_mismatch",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::Integrity => "integrity",
            Self::Misconfigured => "misconfigured",
            Self::AlreadyExists => "already_exists",
            Self::Unsupported => "unsupported",
        }
    }

    /// What happened.
    pub(super) const fn summary(self) -> &'static str {
        match self {
            Self::PermissionDenied => "permission denied",
            Self::KeyNotFound => "key not found",
            Self::KeyDisabled => "the key or its version is disabled or destroyed",
            Self::KeyVersionGone => "the key has no version that can decrypt this",
            Self::InvalidCiphertext => "the ciphertext was altered or is not of this key",
            Self::ContextMismatch => "the ciphertext was made under another encryption context",
            Self::Throttled => "the service limits the rate of calls",
            Self::Unavailable => "the service cannot be reached",
            Self::DeadlineExceeded => "the service did not answer in time",
            Self::Integrity => "the answer is damaged, or is not the service's",
            Self::Misconfigured => "its settings are wrong",
            Self::AlreadyExists => "it exists already",
            Self::Unsupported => "the key management service cannot do this",
        }
    }

    /// What to do when nothing more is known.
    pub(super) const fn advice(self) -> &'static str {
        match self {
            Self::PermissionDenied => "grant the caller the permission on the key",
            Self::KeyNotFound => "check its name, project and region, or create it",
            Self::KeyDisabled => "enable it again",
            Self::Throttled => "retry later or raise the quota",
            Self::Unavailable | Self::DeadlineExceeded => "retry later",
            Self::Integrity => "retry",
            Self::KeyVersionGone => "restore the version while that is possible",
            Self::InvalidCiphertext => "decrypt it with the key that encrypted it",
            Self::ContextMismatch => "decrypt it under the context that it was encrypted under",
            Self::Misconfigured => "run `codec-server doctor` to find the wrong setting",
            Self::AlreadyExists => "use it, or choose another name",
            Self::Unsupported => "use a key of another service",
        }
    }
}

text_form!(ProviderErrorKind);

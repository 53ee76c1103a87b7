use std::{borrow::Cow, error::Error as StdError, fmt, sync::Arc};

use crate::KeyUri;

/// How a key management service failed, in one vocabulary for all services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProviderErrorKind {
    /// The caller may not use the key for this.
    PermissionDenied,
    /// There is no such key.
    KeyNotFound,
    /// The key, or the version that is needed, is disabled or destroyed.
    KeyDisabled,
    /// What was to be decrypted was not encrypted by this key, or was altered.
    InvalidCiphertext,
    /// What was to be decrypted was encrypted under another context.
    ContextMismatch,
    /// The service limits the rate of calls.
    Throttled,
    /// The service cannot be reached or failed.
    Unavailable,
    /// The service did not answer in time.
    DeadlineExceeded,
    /// The service's answer failed its integrity check.
    Integrity,
    /// The key or its credentials are set up wrongly.
    Misconfigured,
    /// The service has no such operation.
    Unsupported,
}

impl ProviderErrorKind {
    /// Whether the same call can succeed later without anything being changed.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(
            self,
            Self::Throttled | Self::Unavailable | Self::DeadlineExceeded | Self::Integrity
        )
    }

    /// A short name for metrics and programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PermissionDenied => "permission_denied",
            Self::KeyNotFound => "key_not_found",
            Self::KeyDisabled => "key_disabled",
            Self::InvalidCiphertext => "invalid_ciphertext",
            Self::ContextMismatch => "context_mismatch",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::Integrity => "integrity",
            Self::Misconfigured => "misconfigured",
            Self::Unsupported => "unsupported",
        }
    }

    const fn summary(self) -> &'static str {
        match self {
            Self::PermissionDenied => {
                "permission denied; grant the caller encrypt or decrypt permission on the key"
            }
            Self::KeyNotFound => "key not found; check its name, project and region, or create it",
            Self::KeyDisabled => {
                "the key or the key version is disabled or destroyed; enable it again"
            }
            Self::InvalidCiphertext => "the ciphertext was altered or is not of this key",
            Self::ContextMismatch => "the ciphertext was made under another encryption context",
            Self::Throttled => {
                "the service limits the rate of calls; retry later or raise the quota"
            }
            Self::Unavailable => "the service cannot be reached; retry later",
            Self::DeadlineExceeded => "the service did not answer in time; retry later",
            Self::Integrity => "the service's answer was damaged on its way; retry",
            Self::Misconfigured => "the key is set up wrongly",
            Self::Unsupported => "the key management service has no such operation",
        }
    }
}

/// What has to be put right, where a failure tells more than its kind: for programs that give advice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// There are no credentials.
    NoCredentials,
    /// There are credentials, but they cannot be read or are none.
    UnusableCredentials,
    /// The service does not accept the credentials.
    RefusedCredentials,
    /// The service finds that this machine's clock is wrong.
    Clock,
    /// The key's project has not enabled the service.
    ServiceDisabled,
    /// The key's project does not exist, or cannot be used by the caller.
    Project,
    /// No connection to the service can be made.
    NoConnection,
    /// The vendor's library cannot be loaded.
    Module,
}

/// A failed call of a key management service: how, for which key, and what to do. The service's own words are kept as
/// [`source`](StdError::source) for a debugger; they are in neither `Display` nor `Debug`.
#[derive(Clone)]
pub struct ProviderError {
    kind: ProviderErrorKind,
    key: KeyUri,
    /// Shown in place of the kind's words.
    explanation: Option<Cow<'static, str>>,
    detail: Cow<'static, str>,
    cause: Option<Cause>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl ProviderError {
    /// A failure of `kind` for `key`.
    #[must_use]
    pub fn new(kind: ProviderErrorKind, key: &KeyUri) -> Self {
        Self {
            kind,
            key: key.clone(),
            explanation: None,
            detail: Cow::Borrowed(""),
            cause: None,
            source: None,
        }
    }

    /// Adds what is known beyond the kind. It is shown, so it must hold no secret and no word of the service's answer.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Replaces all of the words for the kind: `text` says what happened, to which key or file, and what to do. It is
    /// shown, so it must hold no secret and no word of the service's answer.
    #[must_use]
    pub fn with_explanation(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.explanation = Some(text.into());
        self
    }

    /// Adds what has to be put right.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<Option<Cause>>) -> Self {
        self.cause = cause.into();
        self
    }

    /// Keeps the underlying error.
    #[must_use]
    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// How it failed.
    #[must_use]
    pub fn kind(&self) -> ProviderErrorKind {
        self.kind
    }

    /// What has to be put right, where that is known beyond the kind.
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        self.cause
    }

    /// The key that the call was for.
    #[must_use]
    pub fn key(&self) -> &KeyUri {
        &self.key
    }

    /// Whether the same call can succeed later without anything being changed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.kind.is_transient()
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(explanation) = &self.explanation {
            return f.write_str(explanation);
        }
        write!(f, "{}: {}", self.key, self.kind.summary())?;
        if !self.detail.is_empty() {
            write!(f, " ({})", self.detail)?;
        }
        Ok(())
    }
}

impl fmt::Debug for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderError")
            .field("kind", &self.kind)
            .field("key", &self.key)
            .field("explanation", &self.explanation)
            .field("detail", &self.detail)
            .finish_non_exhaustive()
    }
}

impl StdError for ProviderError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_to_do_and_keeps_the_services_words_to_itself() {
        let key = "local://default".parse().unwrap();
        let error = ProviderError::new(ProviderErrorKind::KeyNotFound, &key)
            .with_detail("no file default.json")
            .with_source(std::io::Error::other("answer: sk-secret"));
        assert_eq!(
            error.to_string(),
            "local://default: key not found; check its name, project and region, or create it (no file default.json)"
        );
        assert!(!format!("{error} {error:?}").contains("sk-secret"));
        assert!(error.source().is_some());
    }
}

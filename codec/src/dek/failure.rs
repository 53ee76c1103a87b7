//! What the caller hears when no key opened a payload, and what is remembered of it.

use crate::{
    Error, PayloadError,
    kms::{KeyProvider, ProviderError, ProviderErrorKind},
};

/// Why none of several keys opened a payload. Where one key's service cannot be reached, or was not asked, the payload
/// may well be good: that is what the caller should hear.
#[derive(Default)]
pub(super) struct Failure(Option<Error>);

impl Failure {
    pub(super) fn note(&mut self, error: Error) {
        let tells = |error: &Error| match error {
            error if error.is_transient() => 2,
            Error::Payload(PayloadError::NotTried) => 1,
            _ => 0,
        };
        if self
            .0
            .as_ref()
            .is_none_or(|noted| tells(&error) >= tells(noted))
        {
            self.0 = Some(error);
        }
    }

    pub(super) fn into_error(self) -> Error {
        self.0.unwrap_or_else(|| PayloadError::NotAuthentic.into())
    }
}

/// What is remembered of a refusal. A KMS that finds a ciphertext altered, or under another context, says the same as a tag
/// that does not match. Where that is only presumed, it stays the key's refusal, which is remembered for a moment.
pub(super) fn refusal(error: ProviderError) -> Error {
    if error.is_presumed() {
        error.into()
    } else {
        as_told(error.into())
    }
}

/// What the caller hears: the same of every ciphertext that does not open.
pub(super) fn as_told(error: Error) -> Error {
    use ProviderErrorKind::{ContextMismatch, InvalidCiphertext};
    match error {
        Error::Provider(error) if matches!(error.kind(), InvalidCiphertext | ContextMismatch) => {
            PayloadError::NotAuthentic.into()
        }
        error => error,
    }
}

/// What the callers of a provider hear that panicked.
pub(super) fn panicked(provider: &dyn KeyProvider) -> Error {
    ProviderError::new(ProviderErrorKind::Unavailable, provider.uri())
        .with_detail("the key provider panicked")
        .with_remedy("report this defect to the author of the provider")
        .into()
}

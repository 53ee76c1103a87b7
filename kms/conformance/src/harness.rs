//! What the suite needs to know about a key service.

use std::sync::Arc;

use async_trait::async_trait;
use temporal_kms::{
    KeyAdmin, KeyProvider, KeySpec, KeyUri, ProviderError, ProviderErrorKind, Signer,
};

/// A key service under test, with its own account. The suite creates keys there.
#[async_trait]
pub trait Harness: Send + Sync {
    /// The URI of the key called `name`, which need not exist. Names are short and consist of ASCII letters.
    fn key_uri(&self, name: &str) -> KeyUri;

    /// Opens a key without retries, so that every call shows how the service answers.
    ///
    /// # Errors
    /// The provider refuses the key.
    async fn open(&self, key: &KeyUri) -> Result<Arc<dyn KeyProvider>, ProviderError>;

    /// Opens a signing key, for the group `signing`. The default answers that the service does not sign.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    async fn open_signer(&self, key: &KeyUri) -> Result<Arc<dyn Signer>, ProviderError> {
        Err(ProviderError::new(ProviderErrorKind::Unsupported, key))
    }

    /// Opens the service's key management, for the group `lifecycle`. The default answers that the provider does not
    /// manage keys.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    async fn open_admin(&self) -> Result<Arc<dyn KeyAdmin>, ProviderError> {
        let key = self.key_uri("any");
        Err(ProviderError::new(ProviderErrorKind::Unsupported, &key))
    }

    /// Creates a key. The default uses [`open_admin`](Self::open_admin). If your provider does not manage keys,
    /// implement this in the service's own way.
    ///
    /// # Errors
    /// The service refuses to create the key.
    async fn create(&self, key: &KeyUri, spec: &KeySpec) -> Result<(), ProviderError> {
        self.open_admin().await?.create(key, spec).await.map(drop)
    }

    /// What the service disables and destroys. Default: single versions of a key.
    fn unit(&self) -> Unit {
        Unit::Version
    }

    /// The kinds of errors with which the service refuses a ciphertext that was altered or belongs to another key or
    /// context. The default is strict. Allow more kinds only if the service cannot distinguish them.
    fn refusals(&self) -> &[ProviderErrorKind] {
        &[
            ProviderErrorKind::InvalidCiphertext,
            ProviderErrorKind::ContextMismatch,
            ProviderErrorKind::KeyVersionGone,
        ]
    }

    /// Makes the next `times` calls end in `fault`, and returns `true`. The default returns `false`, for a service that
    /// cannot produce the fault. The suite then injects the fault between the provider and its caller.
    fn inject(&self, _fault: Fault, _times: usize) -> bool {
        false
    }

    /// Ends every fault that was injected.
    fn recover(&self) {}
}

/// What a service disables and destroys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// Single versions of a key.
    Version,
    /// A key with all of its versions.
    Key,
}

/// The faults between a caller and a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The caller lacks the permission.
    PermissionDenied,
    /// The service limits the rate of calls.
    Throttled,
    /// The connection ends without an answer.
    ConnectionLost,
    /// No answer comes.
    NoAnswer,
    /// Another program answers instead of the service.
    Garbage,
    /// The answer was altered. Its checksum does not match, or it belongs to another key.
    Damaged,
}

impl Fault {
    /// The kind of error with which a call must fail.
    #[must_use]
    pub const fn kind(self) -> ProviderErrorKind {
        match self {
            Self::PermissionDenied => ProviderErrorKind::PermissionDenied,
            Self::Throttled => ProviderErrorKind::Throttled,
            Self::ConnectionLost => ProviderErrorKind::Unavailable,
            Self::NoAnswer => ProviderErrorKind::DeadlineExceeded,
            Self::Garbage | Self::Damaged => ProviderErrorKind::Integrity,
        }
    }
}

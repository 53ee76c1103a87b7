//! The operations of a key, as metrics and spans name them.

use crate::{KeyUri, text_form::text_form};

/// An operation of a key service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// A data key is wrapped, or generated and wrapped.
    Wrap,
    /// A data key is unwrapped.
    Unwrap,
    /// A payload is encrypted in direct mode.
    Encrypt,
    /// A payload is decrypted in direct mode.
    Decrypt,
    /// The key's state is fetched.
    Describe,
    /// Data is signed.
    Sign,
    /// A public key is fetched.
    PublicKey,
    /// A signature is verified by the service.
    Verify,
}

impl Operation {
    /// The name in metrics and spans.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wrap => "wrap",
            Self::Unwrap => "unwrap",
            Self::Encrypt => "encrypt",
            Self::Decrypt => "decrypt",
            Self::Describe => "describe",
            Self::Sign => "sign",
            Self::PublicKey => "public_key",
            Self::Verify => "verify",
        }
    }

    /// The name of a call's span in OpenTelemetry.
    pub(super) const fn span_name(self) -> &'static str {
        match self {
            Self::Wrap => "kms wrap",
            Self::Unwrap => "kms unwrap",
            Self::Encrypt => "kms encrypt",
            Self::Decrypt => "kms decrypt",
            Self::Describe => "kms describe",
            Self::Sign => "kms sign",
            Self::PublicKey => "kms public_key",
            Self::Verify => "kms verify",
        }
    }
}

text_form!(Operation);

/// One call in progress.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) operation: Operation,
    pub(super) key: &'a KeyUri,
}

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
    /// A signature is verified.
    Verify,
    /// A key is created.
    CreateKey,
    /// A key gets a new version.
    RotateKey,
    /// Another version of a key encrypts from now on.
    SetPrimary,
    /// The service's own schedule of rotation is set.
    SetRotation,
    /// A key or a version of it is disabled.
    DisableKey,
    /// A key or a version of it is enabled.
    EnableKey,
    /// The destruction of a key or a version of it is scheduled.
    DestroyKey,
    /// A key gets a replica in another region.
    ReplicateKey,
    /// An account is permitted to use a key.
    Grant,
    /// The permission of an account is taken back.
    Revoke,
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
            Self::CreateKey => "create_key",
            Self::RotateKey => "rotate_key",
            Self::SetPrimary => "set_primary",
            Self::SetRotation => "set_rotation",
            Self::DisableKey => "disable_key",
            Self::EnableKey => "enable_key",
            Self::DestroyKey => "destroy_key",
            Self::ReplicateKey => "replicate_key",
            Self::Grant => "grant",
            Self::Revoke => "revoke",
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
            Self::CreateKey => "kms create_key",
            Self::RotateKey => "kms rotate_key",
            Self::SetPrimary => "kms set_primary",
            Self::SetRotation => "kms set_rotation",
            Self::DisableKey => "kms disable_key",
            Self::EnableKey => "kms enable_key",
            Self::DestroyKey => "kms destroy_key",
            Self::ReplicateKey => "kms replicate_key",
            Self::Grant => "kms grant",
            Self::Revoke => "kms revoke",
        }
    }

    /// Whether it changes the key, and does not only use it.
    #[must_use]
    pub const fn changes_key(self) -> bool {
        matches!(
            self,
            Self::CreateKey
                | Self::RotateKey
                | Self::SetPrimary
                | Self::SetRotation
                | Self::DisableKey
                | Self::EnableKey
                | Self::DestroyKey
                | Self::ReplicateKey
                | Self::Grant
                | Self::Revoke
        )
    }
}

text_form!(Operation);

/// One call in progress.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) operation: Operation,
    pub(super) key: &'a KeyUri,
}

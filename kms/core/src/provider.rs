//! Keys that wrap data keys: the [`KeyProvider`] trait.

use std::fmt;

use async_trait::async_trait;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{ProviderError, ProviderErrorKind};
use crate::{Dek, EncryptionContext, KeyUri, WrappedDek, types::MAX_WRAPPED_LEN};

/// One key-encryption key at a key management service.
///
/// A provider wraps data keys; in direct mode it also encrypts whole payloads. Whatever it is given to unwrap or decrypt
/// comes from outside and may be hostile: an implementation authenticates it, answers anything else with
/// [`ProviderErrorKind::InvalidCiphertext`] or [`ContextMismatch`](ProviderErrorKind::ContextMismatch), and never
/// panics. It must bind the context's bytes, so that a key wrapped under one context unwraps under no other.
#[async_trait]
pub trait KeyProvider: Send + Sync + fmt::Debug {
    /// The key's name, as it is written into payloads.
    fn uri(&self) -> &KeyUri;

    /// Whether `key` names this key too: a replica of it in another region that is trusted as much. By default only its
    /// own name does.
    fn is_alias_of(&self, key: &KeyUri) -> bool {
        self.uri() == key
    }

    /// Wraps a data key, bound to `context`.
    ///
    /// # Errors
    /// When the service refuses or fails.
    async fn wrap(
        &self,
        dek: &Dek,
        context: &EncryptionContext,
    ) -> Result<WrappedDek, ProviderError>;

    /// Unwraps what [`wrap`](Self::wrap) made under the same context, with any version of the key.
    ///
    /// # Errors
    /// When `wrapped` is not of this key and context, or the service refuses or fails.
    async fn unwrap(
        &self,
        wrapped: &WrappedDek,
        context: &EncryptionContext,
    ) -> Result<Dek, ProviderError>;

    /// The most bytes that this key's service wraps a data key in. A longer wrapped key is refused without a call. The
    /// default is 16 KiB, the most that any payload may hold.
    fn max_wrapped(&self) -> usize {
        MAX_WRAPPED_LEN
    }

    /// Makes a data key and wraps it. The default takes it from the operating system's randomness; a service that
    /// generates data keys itself saves a call.
    ///
    /// # Errors
    /// As [`wrap`](Self::wrap).
    async fn generate_dek(
        &self,
        context: &EncryptionContext,
    ) -> Result<(Dek, WrappedDek), ProviderError> {
        let dek = Dek::generate().map_err(|_| {
            ProviderError::new(ProviderErrorKind::Unavailable, self.uri())
                .with_detail("the operating system gave no randomness")
        })?;
        let wrapped = self.wrap(&dek, context).await?;
        Ok((dek, wrapped))
    }

    /// The fewest bytes that [`encrypt`](Self::encrypt) takes.
    fn min_plaintext(&self) -> usize {
        0
    }

    /// The most bytes that [`encrypt`](Self::encrypt) takes.
    fn max_plaintext(&self) -> usize;

    /// Encrypts directly, without additional data.
    ///
    /// # Errors
    /// When `plaintext` is shorter than [`min_plaintext`](Self::min_plaintext) or longer than
    /// [`max_plaintext`](Self::max_plaintext), or the service refuses or fails.
    async fn encrypt(&self, plaintext: &[u8]) -> Result<Vec<u8>, ProviderError>;

    /// Decrypts what [`encrypt`](Self::encrypt) made, with any version of the key.
    ///
    /// # Errors
    /// When `ciphertext` is not of this key, or the service refuses or fails.
    async fn decrypt(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, ProviderError>;

    /// Asks the service for the key's state; it answers whether the key can be used now.
    ///
    /// # Errors
    /// When there is no such key, it cannot encrypt, or the service refuses or fails.
    async fn describe(&self) -> Result<KeyDescription, ProviderError>;
}

/// What a service says of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyDescription {
    /// The key's name.
    pub uri: KeyUri,
    /// The version that encrypts now, in the service's own numbering.
    pub primary_version: String,
    /// Where the key material is.
    pub protection: Protection,
}

impl KeyDescription {
    /// Describes a key that can be used.
    #[must_use]
    pub fn new(uri: KeyUri, primary_version: impl Into<String>, protection: Protection) -> Self {
        Self {
            uri,
            primary_version: primary_version.into(),
            protection,
        }
    }
}

/// Where key material is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Protection {
    /// In a file that the user of the process can read.
    File,
    /// In the service's software.
    Software,
    /// In a hardware security module.
    Hsm,
}

//! The [`KeyProvider`] trait: one key-encryption key.

use std::fmt;

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::{ProviderError, ProviderErrorKind};
use crate::{
    Dek, EncryptionContext, KeyUri, WrappedDek, text_form::text_form, types::MAX_WRAPPED_LEN,
};

/// One key-encryption key at a key management service.
///
/// A provider wraps data keys. In direct mode it also encrypts whole payloads. The bytes that it unwraps or decrypts
/// come from outside and may be hostile. An implementation authenticates them, refuses all others with
/// [`ProviderErrorKind::InvalidCiphertext`] or [`ContextMismatch`](ProviderErrorKind::ContextMismatch), and never
/// panics. It must bind the context's bytes, so that a key wrapped under one context does not unwrap under another.
#[async_trait]
pub trait KeyProvider: Send + Sync + fmt::Debug {
    /// The key's name, as payloads hold it.
    fn uri(&self) -> &KeyUri;

    /// Whether `key` is a name of this key: its own name, or the name of an equally trusted replica in another region.
    /// By default, only its own name counts.
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
    /// When `wrapped` was not wrapped by this key under this context, or the service refuses or fails.
    async fn unwrap(
        &self,
        wrapped: &WrappedDek,
        context: &EncryptionContext,
    ) -> Result<Dek, ProviderError>;

    /// The longest wrapped data key of this key's service, in bytes. A longer one is refused without a call. Default:
    /// 16 KiB, the most that a payload may hold.
    fn max_wrapped(&self) -> usize {
        MAX_WRAPPED_LEN
    }

    /// Creates a data key and wraps it. By default the key comes from the operating system's randomness. A service that
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

    /// The fewest bytes that [`encrypt`](Self::encrypt) accepts.
    fn min_plaintext(&self) -> usize {
        0
    }

    /// The most bytes that [`encrypt`](Self::encrypt) accepts. It may change as the provider learns more about its key.
    /// At Cloud KMS it depends on the key's protection level, which the first call tells.
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
    /// When `ciphertext` was not encrypted by this key, or the service refuses or fails.
    async fn decrypt(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, ProviderError>;

    /// Asks the service for the key's state, and whether the key can be used now.
    ///
    /// # Errors
    /// When the key does not exist or cannot encrypt, or the service refuses or fails.
    async fn describe(&self) -> Result<KeyDescription, ProviderError>;
}

/// What a service tells about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyDescription {
    /// The key's name.
    pub uri: KeyUri,
    /// The version that encrypts now, in the service's own numbering.
    pub primary_version: String,
    /// Where the key material is kept.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protection {
    /// In a file that the process's user can read.
    File,
    /// In the service's software.
    Software,
    /// In a hardware security module.
    Hsm,
}

impl Protection {
    /// The name in output and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Software => "software",
            Self::Hsm => "hsm",
        }
    }
}

text_form!(Protection);

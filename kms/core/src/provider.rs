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
/// A service implements four methods: [`uri`](Self::uri), [`seal`](Self::seal), [`open`](Self::open) and
/// [`check_usable`](Self::check_usable). It states its [`limits`](Self::limits) where they differ from the default.
///
/// Callers use the methods that are made of these: [`wrap`](Self::wrap) and [`unwrap`](Self::unwrap) for data keys, and
/// [`encrypt`](Self::encrypt) and [`decrypt`](Self::decrypt) for direct mode. They check lengths before any call.
///
/// A wrapper of another key passes on every method. `#[deny(clippy::missing_trait_methods)]` on the `impl` finds a method
/// that it forgets.
#[async_trait]
pub trait KeyProvider: Send + Sync + fmt::Debug {
    /// The key's name, as payloads hold it.
    fn uri(&self) -> &KeyUri;

    /// Encrypts up to [`max_plaintext`](KeyLimits::max_plaintext) bytes, bound to `context`, with the newest usable version
    /// of the key.
    ///
    /// # Errors
    /// When the service refuses or fails.
    async fn seal(
        &self,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Vec<u8>, ProviderError>;

    /// Decrypts what [`seal`](Self::seal) made under the same context, with any version of the key.
    ///
    /// `sealed` comes from outside and may be hostile. An implementation authenticates it together with the context. It
    /// answers anything else with [`InvalidCiphertext`](ProviderErrorKind::InvalidCiphertext) or
    /// [`ContextMismatch`](ProviderErrorKind::ContextMismatch), and never panics.
    ///
    /// # Errors
    /// When `sealed` is not of this key and context, or the service refuses or fails.
    async fn open(
        &self,
        sealed: &[u8],
        context: &EncryptionContext,
    ) -> Result<Zeroizing<Vec<u8>>, ProviderError>;

    /// Asks the service whether the key can be used now. Metrics and logs call this `describe`. Administrators see more of a
    /// key, and also keys that cannot be used, with [`KeyAdmin::details`](crate::KeyAdmin::details).
    ///
    /// # Errors
    /// When the key does not exist or cannot encrypt, or the service refuses or fails.
    async fn check_usable(&self) -> Result<UsableKey, ProviderError>;

    /// How many bytes the key accepts at once. The limits may change as the provider learns more about its key. At Cloud
    /// KMS they depend on the key's protection level, which the first call tells.
    fn limits(&self) -> KeyLimits {
        KeyLimits::default()
    }

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
    ) -> Result<WrappedDek, ProviderError> {
        let sealed = self.seal(dek.expose(), context).await?;
        Ok(WrappedDek::new(sealed))
    }

    /// Unwraps what [`wrap`](Self::wrap) made under the same context, with any version of the key.
    ///
    /// # Errors
    /// When `wrapped` was not wrapped by this key under this context, or the service refuses or fails.
    async fn unwrap(
        &self,
        wrapped: &WrappedDek,
        context: &EncryptionContext,
    ) -> Result<Dek, ProviderError> {
        let refused = || ProviderError::new(ProviderErrorKind::InvalidCiphertext, self.uri());
        let wrapped = wrapped.as_bytes();
        if !(1..=self.limits().max_wrapped).contains(&wrapped.len()) {
            return Err(refused());
        }
        let opened = self.open(wrapped, context).await?;
        Dek::from_slice(&opened).ok_or_else(refused)
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

    /// Encrypts directly, without additional data.
    ///
    /// # Errors
    /// When `plaintext` is not within the key's [`limits`](Self::limits), or the service refuses or fails.
    async fn encrypt(&self, plaintext: &[u8]) -> Result<Vec<u8>, ProviderError> {
        let KeyLimits {
            min_plaintext: least,
            max_plaintext: most,
            ..
        } = self.limits();
        if !(least..=most).contains(&plaintext.len()) {
            let kind = ProviderErrorKind::Misconfigured;
            return Err(ProviderError::new(kind, self.uri())
                .with_detail(format!("the key encrypts {least} to {most} bytes at once"))
                .with_remedy("use the format `envelope`"));
        }
        self.seal(plaintext, &EncryptionContext::empty()).await
    }

    /// Decrypts what [`encrypt`](Self::encrypt) made, with any version of the key.
    ///
    /// # Errors
    /// When `ciphertext` was not encrypted by this key, or the service refuses or fails.
    async fn decrypt(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        if !(1..=self.limits().max_ciphertext).contains(&ciphertext.len()) {
            let kind = ProviderErrorKind::InvalidCiphertext;
            return Err(ProviderError::new(kind, self.uri()));
        }
        self.open(ciphertext, &EncryptionContext::empty()).await
    }
}

/// How many bytes a key accepts at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyLimits {
    /// The fewest bytes that the key encrypts. Default: 0.
    pub min_plaintext: usize,
    /// The most bytes that the key encrypts. Default: 4 KiB, which every service takes.
    pub max_plaintext: usize,
    /// The most bytes of a wrapped data key. A longer one is refused without a call. Default: 16 KiB, the most that any
    /// payload may hold.
    pub max_wrapped: usize,
    /// The most bytes that the key decrypts in direct mode. More are refused without a call. Default: 20 KiB.
    pub max_ciphertext: usize,
}

impl Default for KeyLimits {
    fn default() -> Self {
        let max_plaintext = 4 * 1024;
        Self {
            min_plaintext: 0,
            max_plaintext,
            max_wrapped: MAX_WRAPPED_LEN,
            max_ciphertext: max_plaintext + MAX_WRAPPED_LEN,
        }
    }
}

impl KeyLimits {
    /// Sets the fewest bytes that the key encrypts.
    #[must_use]
    pub const fn with_min_plaintext(mut self, bytes: usize) -> Self {
        self.min_plaintext = bytes;
        self
    }

    /// Sets the most bytes that the key encrypts.
    #[must_use]
    pub const fn with_max_plaintext(mut self, bytes: usize) -> Self {
        self.max_plaintext = bytes;
        self
    }

    /// Sets the most bytes of a wrapped data key.
    #[must_use]
    pub const fn with_max_wrapped(mut self, bytes: usize) -> Self {
        self.max_wrapped = bytes;
        self
    }

    /// Sets the most bytes that the key decrypts in direct mode.
    #[must_use]
    pub const fn with_max_ciphertext(mut self, bytes: usize) -> Self {
        self.max_ciphertext = bytes;
        self
    }
}

/// What a service tells the users of a key that can be used now. [`KeyDetails`](crate::KeyDetails) has what
/// administrators see.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsableKey {
    /// The key's name.
    pub uri: KeyUri,
    /// The version that encrypts now, in the service's own numbering.
    pub primary_version: String,
    /// Where the key material is kept.
    pub protection: Protection,
}

impl UsableKey {
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

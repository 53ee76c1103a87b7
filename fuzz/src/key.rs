//! A key-encryption key that is always the same, so that seeds stay readable.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use temporal_kms::{
    EncryptionContext, KeyLimits, KeyProvider, KeyUri, Protection, ProviderError,
    ProviderErrorKind, UsableKey,
    support::{
        aead::{Aes256Gcm, NONCE_LEN},
        random,
    },
};
use zeroize::Zeroizing;

/// Seals with AES-256-GCM, and counts its calls.
#[derive(Debug)]
pub struct FixedKey {
    uri: KeyUri,
    calls: AtomicUsize,
}

impl FixedKey {
    /// The key `local://k`.
    ///
    /// # Panics
    /// Never: the name is valid.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            uri: "local://k".parse().expect("the name is valid"),
            calls: AtomicUsize::new(0),
        })
    }

    /// How often it was asked to open something.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls.load(Relaxed)
    }

    fn cipher() -> Aes256Gcm {
        Aes256Gcm::new(b"test-key-test-key-test-key-test!")
    }

    fn refused(&self) -> ProviderError {
        ProviderError::new(ProviderErrorKind::InvalidCiphertext, &self.uri)
    }
}

#[async_trait::async_trait]
impl KeyProvider for FixedKey {
    fn uri(&self) -> &KeyUri {
        &self.uri
    }

    async fn seal(
        &self,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Vec<u8>, ProviderError> {
        let mut nonce = [0; NONCE_LEN];
        random::fill(&mut nonce).map_err(|_| self.refused())?;
        let mut sealed = [nonce.as_slice(), plaintext].concat();
        Self::cipher()
            .seal(nonce, context.as_bytes(), &mut sealed, NONCE_LEN)
            .map_err(|_| self.refused())?;
        Ok(sealed)
    }

    async fn open(
        &self,
        sealed: &[u8],
        context: &EncryptionContext,
    ) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        self.calls.fetch_add(1, Relaxed);
        let (nonce, sealed) = sealed.split_first_chunk().ok_or_else(|| self.refused())?;
        let mut sealed = sealed.to_vec();
        let opened = Self::cipher()
            .open(*nonce, context.as_bytes(), &mut sealed)
            .map_err(|_| self.refused())?;
        Ok(Zeroizing::new(opened.to_vec()))
    }

    async fn check_usable(&self) -> Result<UsableKey, ProviderError> {
        let (uri, version) = (self.uri.clone(), "1");
        Ok(UsableKey::new(uri, version, Protection::Software))
    }

    fn limits(&self) -> KeyLimits {
        KeyLimits::default()
            .with_max_plaintext(64 << 10)
            .with_max_ciphertext(65 << 10)
    }
}

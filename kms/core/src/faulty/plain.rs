//! The default inner key of a [`FaultyKey`](super::FaultyKey). It does no cryptography.

use async_trait::async_trait;
use zeroize::Zeroizing;

use crate::{
    Dek, EncryptionContext, KeyDescription, KeyProvider, KeyUri, Protection, ProviderError,
    ProviderErrorKind, WrappedDek, types::MAX_WRAPPED_LEN,
};

/// A key whose ciphertexts are the plaintexts.
#[derive(Debug)]
pub(super) struct PlainKey {
    pub(super) uri: KeyUri,
    pub(super) max_wrapped: usize,
    pub(super) max_plaintext: usize,
}

impl PlainKey {
    pub(super) fn new(name: &str) -> Self {
        let uri = format!("local://{name}").parse();
        Self {
            uri: uri.unwrap_or_else(|error| panic!("local://{name}: {error}")),
            max_wrapped: MAX_WRAPPED_LEN,
            max_plaintext: 64 * 1024,
        }
    }
}

#[async_trait]
impl KeyProvider for PlainKey {
    fn uri(&self) -> &KeyUri {
        &self.uri
    }

    /// A key is also called `NAME-alias…`, for any continuation.
    fn is_alias_of(&self, key: &KeyUri) -> bool {
        let alias = format!("{}-alias", self.uri.resource());
        key == &self.uri || key.resource().starts_with(&alias)
    }

    fn max_wrapped(&self) -> usize {
        self.max_wrapped
    }

    async fn wrap(&self, dek: &Dek, _: &EncryptionContext) -> Result<WrappedDek, ProviderError> {
        Ok(WrappedDek::new(dek.expose().to_vec()))
    }

    async fn unwrap(
        &self,
        wrapped: &WrappedDek,
        _: &EncryptionContext,
    ) -> Result<Dek, ProviderError> {
        Dek::from_slice(wrapped.as_bytes())
            .ok_or_else(|| ProviderError::new(ProviderErrorKind::InvalidCiphertext, &self.uri))
    }

    fn max_plaintext(&self) -> usize {
        self.max_plaintext
    }

    async fn encrypt(&self, plaintext: &[u8]) -> Result<Vec<u8>, ProviderError> {
        Ok(plaintext.to_vec())
    }

    async fn decrypt(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        Ok(Zeroizing::new(ciphertext.to_vec()))
    }

    async fn describe(&self) -> Result<KeyDescription, ProviderError> {
        Ok(KeyDescription::new(
            self.uri.clone(),
            "1",
            Protection::Software,
        ))
    }
}

//! The default inner key of a [`FaultyKey`](super::FaultyKey). It does no cryptography.

use async_trait::async_trait;
use zeroize::Zeroizing;

use crate::{
    EncryptionContext, KeyLimits, KeyProvider, KeyUri, Protection, ProviderError, UsableKey,
};

/// A key whose ciphertexts are the plaintexts.
#[derive(Debug)]
pub(super) struct PlainKey {
    pub(super) uri: KeyUri,
    pub(super) limits: KeyLimits,
}

impl PlainKey {
    pub(super) fn new(name: &str) -> Self {
        let uri = format!("local://{name}").parse();
        Self {
            uri: uri.unwrap_or_else(|error| panic!("local://{name}: {error}")),
            limits: KeyLimits::default()
                .with_max_plaintext(64 * 1024)
                .with_max_ciphertext(usize::MAX),
        }
    }
}

#[async_trait]
impl KeyProvider for PlainKey {
    fn uri(&self) -> &KeyUri {
        &self.uri
    }

    async fn seal(
        &self,
        plaintext: &[u8],
        _: &EncryptionContext,
    ) -> Result<Vec<u8>, ProviderError> {
        Ok(plaintext.to_vec())
    }

    async fn open(
        &self,
        sealed: &[u8],
        _: &EncryptionContext,
    ) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        Ok(Zeroizing::new(sealed.to_vec()))
    }

    async fn check_usable(&self) -> Result<UsableKey, ProviderError> {
        Ok(UsableKey::new(self.uri.clone(), "1", Protection::Software))
    }

    fn limits(&self) -> KeyLimits {
        self.limits
    }

    /// A key has its own name, and any number of further ones: `NAME-alias…`.
    fn is_alias_of(&self, key: &KeyUri) -> bool {
        let alias = format!("{}-alias", self.uri.resource());
        key == &self.uri || key.resource().starts_with(&alias)
    }
}

//! A key that is only a name, for checks before any key is opened.

use async_trait::async_trait;
use temporal_kms_codec::{
    EncryptionContext, KeyUri,
    kms::{KeyLimits, KeyProvider, ProviderError, ProviderErrorKind, UsableKey},
};
use zeroize::Zeroizing;

/// Every operation fails.
#[derive(Debug)]
pub(super) struct Unopened(KeyUri);

impl Unopened {
    pub(super) fn new(key: KeyUri) -> Self {
        Self(key)
    }

    fn refuse<T>(&self) -> Result<T, ProviderError> {
        Err(ProviderError::new(ProviderErrorKind::Unsupported, &self.0))
    }
}

#[async_trait]
impl KeyProvider for Unopened {
    fn uri(&self) -> &KeyUri {
        &self.0
    }

    async fn seal(&self, _: &[u8], _: &EncryptionContext) -> Result<Vec<u8>, ProviderError> {
        self.refuse()
    }

    async fn open(
        &self,
        _: &[u8],
        _: &EncryptionContext,
    ) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        self.refuse()
    }

    async fn check_usable(&self) -> Result<UsableKey, ProviderError> {
        self.refuse()
    }

    fn limits(&self) -> KeyLimits {
        KeyLimits::default().with_max_plaintext(usize::MAX)
    }
}

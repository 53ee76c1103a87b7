//! Wrapping and encrypting with a keyset.

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::{
    keyset::{KeysetError, OpenError, named_key},
    watched::WatchedKeyset,
};
use temporal_kms::{
    EncryptionContext, KeyLimits, KeyProvider, KeyPurpose, KeyUri, Protection, ProviderError,
    ProviderErrorKind as Kind, UsableKey, support::used_version,
};

/// The same limit as at Cloud KMS, so that code that works in development works there.
const MAX_PLAINTEXT: usize = 64 * 1024;

/// A keyset that encrypts.
#[derive(Debug)]
pub(super) struct LocalKey(WatchedKeyset);

impl LocalKey {
    pub(super) fn new(keyset: WatchedKeyset) -> Result<Self, ProviderError> {
        match keyset.keyset()?.purpose() {
            Ok(KeyPurpose::Encrypt) => Ok(Self(keyset)),
            Ok(_) => Err(keyset.error(&KeysetError::WrongPurpose("they sign"))),
            Err(error) => Err(keyset.error(&error)),
        }
    }

    fn error(&self, kind: Kind) -> ProviderError {
        ProviderError::new(kind, self.0.uri())
    }
}

#[async_trait]
impl KeyProvider for LocalKey {
    fn uri(&self) -> &KeyUri {
        self.0.uri()
    }

    async fn seal(
        &self,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Vec<u8>, ProviderError> {
        let keyset = self.0.keyset()?;
        let sealed = keyset.seal(plaintext, context.as_bytes());
        let sealed = sealed.map_err(|error| self.0.error(&error))?;
        used_version(Some(&keyset.primary()), Some(true));
        Ok(sealed)
    }

    async fn open(
        &self,
        sealed: &[u8],
        context: &EncryptionContext,
    ) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        let keyset = self.0.keyset()?;
        let opened = keyset
            .open(sealed, context.as_bytes())
            .map_err(|error| match error {
                OpenError::Disabled(id) => self
                    .error(Kind::KeyDisabled)
                    .with_detail(format!("key {id} of the keyset")),
                OpenError::UnknownKey(id) => self
                    .error(Kind::KeyVersionGone)
                    .with_detail(format!(
                        "the keyset has no key {id}, which the ciphertext names: it may be destroyed"
                    ))
                    .with_remedy(
                        "add this version to the keyset from a backup, and keep the versions that it has now",
                    ),
                OpenError::NotAuthentic => self.error(Kind::InvalidCiphertext),
            })?;
        if let Some(id) = named_key(sealed) {
            used_version(Some(&id), Some(id == keyset.primary()));
        }
        Ok(opened)
    }

    /// Any Tink library may have encrypted more than this provider does.
    fn limits(&self) -> KeyLimits {
        KeyLimits::default()
            .with_max_plaintext(MAX_PLAINTEXT)
            .with_max_ciphertext(usize::MAX)
    }

    async fn check_usable(&self) -> Result<UsableKey, ProviderError> {
        let version = self.0.keyset()?.primary().to_string();
        Ok(UsableKey::new(
            self.0.uri().clone(),
            version,
            Protection::File,
        ))
    }
}

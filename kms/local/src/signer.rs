//! Signing with a keyset.

use async_trait::async_trait;

use super::{
    keyset::{KeysetError, NoPublicKey},
    watched::WatchedKeyset,
};
use temporal_kms::{
    KeyPurpose, KeyUri, ProviderError, ProviderErrorKind as Kind, PublicKey, Signature, Signer,
};

/// A keyset that signs.
#[derive(Debug)]
pub(super) struct LocalSigningKey(WatchedKeyset);

impl LocalSigningKey {
    pub(super) fn new(keyset: WatchedKeyset) -> Result<Self, ProviderError> {
        match keyset.keyset()?.purpose() {
            Ok(KeyPurpose::Encrypt) => {
                Err(keyset.error(&KeysetError::WrongPurpose("they encrypt")))
            }
            Ok(_) => Ok(Self(keyset)),
            Err(error) => Err(keyset.error(&error)),
        }
    }
}

#[async_trait]
impl Signer for LocalSigningKey {
    fn uri(&self) -> &KeyUri {
        self.0.uri()
    }

    async fn sign(&self, data: &[u8]) -> Result<Signature, ProviderError> {
        let (id, algorithm, bytes) = self
            .0
            .keyset()?
            .sign(data)
            .map_err(|error| self.0.error(&error))?;
        Ok(Signature::new(self.0.uri().clone(), algorithm, bytes)
            .with_version(Some(id.to_string())))
    }

    async fn public_key(&self, version: Option<&str>) -> Result<PublicKey, ProviderError> {
        let keyset = self.0.keyset()?;
        let id = version.map_or_else(|| keyset.primary().to_string(), str::to_owned);
        keyset.public_key(&id).map_err(|error| match error {
            NoPublicKey::Disabled => ProviderError::new(Kind::KeyDisabled, self.0.uri())
                .with_detail(format!("key {id:?} of the keyset")),
            NoPublicKey::Absent => self.0.error(&KeysetError::NoSuchKey(id)),
        })
    }
}

use async_trait::async_trait;

use super::{
    keyset::{KeysetError, NoPublicKey, TINK_PREFIX},
    watched::WatchedKeyset,
};
use crate::{
    KeyUri,
    kms::{
        KeyPurpose, ProviderError, ProviderErrorKind as Kind, PublicKey, Signature,
        SignatureAlgorithm, Signer,
    },
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
        Ok(Signature {
            key: self.0.uri().clone(),
            version: Some(id.to_string()),
            algorithm,
            bytes,
        })
    }

    async fn public_key(&self, version: Option<&str>) -> Result<PublicKey, ProviderError> {
        let keyset = self.0.keyset()?;
        let id = version.map_or_else(|| keyset.primary().to_string(), str::to_owned);
        keyset.public_key(&id).map_err(|error| {
            let kind = match error {
                NoPublicKey::Disabled => Kind::KeyDisabled,
                NoPublicKey::Absent => Kind::KeyNotFound,
            };
            ProviderError::new(kind, self.0.uri()).with_detail(format!("key {id:?} of the keyset"))
        })
    }
}

impl Signature {
    /// The signature as Tink writes it for a key with output prefix `TINK`: `0x01 ‖ key id(4, big endian) ‖ bytes`.
    /// `None` when the version is not a key id of a Tink keyset.
    #[must_use]
    pub fn to_tink(&self) -> Option<Vec<u8>> {
        let id: u32 = self.version.as_deref()?.parse().ok()?;
        let mut tink = Vec::with_capacity(5 + self.bytes.len());
        tink.push(TINK_PREFIX);
        tink.extend_from_slice(&id.to_be_bytes());
        tink.extend_from_slice(&self.bytes);
        Some(tink)
    }

    /// Reads what Tink signed with a key with output prefix `TINK`. Tink does not write the algorithm: it comes from
    /// the key. `None` when `tink` does not start as such a signature does.
    #[must_use]
    pub fn from_tink(key: KeyUri, algorithm: SignatureAlgorithm, tink: &[u8]) -> Option<Self> {
        let (&[prefix, ref id @ ..], bytes) = tink.split_first_chunk::<5>()?;
        (prefix == TINK_PREFIX).then(|| Self {
            key,
            version: Some(u32::from_be_bytes(*id).to_string()),
            algorithm,
            bytes: bytes.to_vec(),
        })
    }
}

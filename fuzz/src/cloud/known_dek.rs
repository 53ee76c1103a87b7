//! A data key that is known, and the payload that it seals.

use std::sync::Arc;

use temporal_kms::{
    Dek, EncryptionContext, KeyProvider, KeyUri, Protection, ProviderError, UsableKey, WrappedDek,
};
use temporal_kms_codec::{Codec, Payload};
use zeroize::Zeroizing;

use crate::{namespace, payload, wait_for};

/// Has the name of a key at a service. It answers each call with the same data key, and does not ask the service.
#[derive(Debug)]
pub struct KnownDek {
    uri: KeyUri,
    dek: Zeroizing<[u8; Dek::LEN]>,
}

impl KnownDek {
    /// The data key of the genuine payload. It is text, so that an error that shows it is found.
    pub const TRUE: [u8; Dek::LEN] = *b"<the true data key, 32 bytes ..>";
    /// The same data key in wrapped form.
    pub const WRAPPED: &'static [u8] = b"<the true data key, wrapped>";

    /// The text in the genuine payload. No error of ours has these words.
    pub const PLAINTEXT: &'static str = "<the true text>";

    /// The key `uri`, which unwraps everything to `dek`.
    #[must_use]
    pub fn new(uri: KeyUri, dek: [u8; Dek::LEN]) -> Arc<Self> {
        Arc::new(Self {
            uri,
            dek: Zeroizing::new(dek),
        })
    }

    /// The plaintext of the genuine payload.
    #[must_use]
    pub fn plain() -> Payload {
        payload("json/plain", format!("{:?}", Self::PLAINTEXT).into_bytes())
    }

    /// The genuine payload: it is sealed under [`TRUE`](Self::TRUE), and names the key `uri`.
    ///
    /// # Panics
    /// Never: the settings fit together.
    #[must_use]
    pub fn sealed(uri: &KeyUri) -> Payload {
        let codec = codec(Self::new(uri.clone(), Self::TRUE));
        let sealed = wait_for(codec.encode(vec![Self::plain()]));
        let mut sealed = sealed.expect("no service is asked");
        sealed.pop().expect("as many as were given")
    }
}

/// A codec with one key.
///
/// # Panics
/// Never: the settings fit together.
#[must_use]
pub fn codec(key: Arc<dyn KeyProvider>) -> Codec {
    let codec = Codec::builder(namespace()).encrypt_with(key).build();
    codec.expect("the settings fit together")
}

#[async_trait::async_trait]
impl KeyProvider for KnownDek {
    fn uri(&self) -> &KeyUri {
        &self.uri
    }

    async fn seal(&self, _: &[u8], _: &EncryptionContext) -> Result<Vec<u8>, ProviderError> {
        Ok(Self::WRAPPED.to_vec())
    }

    async fn open(
        &self,
        _: &[u8],
        _: &EncryptionContext,
    ) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        Ok(Zeroizing::new(self.dek.to_vec()))
    }

    async fn check_usable(&self) -> Result<UsableKey, ProviderError> {
        let uri = self.uri.clone();
        Ok(UsableKey::new(uri, "1", Protection::Software))
    }

    async fn generate_dek(
        &self,
        _: &EncryptionContext,
    ) -> Result<(Dek, WrappedDek), ProviderError> {
        let wrapped = WrappedDek::new(Self::WRAPPED.to_vec());
        Ok((Dek::new(*self.dek), wrapped))
    }
}

//! Wraps and encrypts under an AES key of a token.

use std::sync::Arc;

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::{
    cipher,
    error::Failure,
    object::{self, ObjectName},
    token::Token,
    wrapped::Wrapped,
};
use temporal_kms::{
    Dek, EncryptionContext, KeyLimits, KeyProvider, KeyPurpose, KeyUri, ProviderError,
    ProviderErrorKind as Kind, UsableKey, support::used_version,
};

/// The most that AWS `CloudHSM` accepts in one call.
const MAX_PLAINTEXT: usize = 16 * 1024;

/// An AES key of a token.
#[derive(Debug)]
pub(super) struct Pkcs11Key {
    uri: KeyUri,
    name: ObjectName,
    token: Arc<Token>,
}

impl Pkcs11Key {
    pub(super) fn new(uri: KeyUri, name: ObjectName, token: Arc<Token>) -> Self {
        Self { uri, name, token }
    }
}

#[async_trait]
impl KeyProvider for Pkcs11Key {
    fn uri(&self) -> &KeyUri {
        &self.uri
    }

    async fn seal(
        &self,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Vec<u8>, ProviderError> {
        let (plaintext, context) = (Zeroizing::new(plaintext.to_vec()), context.clone());
        let name = self.name.clone();
        let sealed = self.token.run(move |_, connection| {
            let key = name.newest(&connection.session, KeyPurpose::Encrypt)?;
            let sealed = cipher::seal(connection, &key, &plaintext, context.as_bytes())?;
            Ok((sealed, hex::encode(&key.id)))
        });
        let (sealed, version) = sealed.await.map_err(|failure| failure.for_key(&self.uri))?;
        used_version(Some(&version), Some(true));
        Ok(sealed)
    }

    async fn open(
        &self,
        sealed: &[u8],
        context: &EncryptionContext,
    ) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        // Check this before any call to the token.
        let parsed = Wrapped::parse(sealed).map_err(|failure| failure.for_key(&self.uri))?;
        let version = hex::encode(parsed.key_id);
        let (sealed, context) = (sealed.to_vec(), context.clone());
        let name = self.name.clone();
        let opened = self.token.run(move |token, connection| {
            let session = &connection.session;
            let Wrapped {
                method,
                key_id,
                body,
            } = Wrapped::parse(&sealed)?;
            let mut failure: Option<Failure> = None;
            for key in name.versions(session, KeyPurpose::Encrypt, key_id)? {
                match cipher::open(connection, token.probes(), &key, method, body, context.as_bytes()) {
                    // With two objects of one id, a presumed answer for one of them is not final.
                    Err(next) if next.kind() == Kind::InvalidCiphertext => {
                        failure = failure.filter(Failure::is_presumed).or(Some(next));
                    }
                    answer => return answer,
                }
            }
            if failure.is_none() && name.find(session, KeyPurpose::Encrypt)?.is_empty() {
                return Err(object::not_found(Some(KeyPurpose::Encrypt)));
            }
            Err(failure.unwrap_or_else(|| {
                Failure::new(
                    Kind::KeyVersionGone,
                    "no version of the key has the id that the ciphertext names: it may be destroyed",
                )
            }))
        });
        let opened = opened.await.map_err(|failure| failure.for_key(&self.uri))?;
        // Whether a newer version exists would take another call of the token.
        used_version(Some(&version), None);
        Ok(opened)
    }

    async fn check_usable(&self) -> Result<UsableKey, ProviderError> {
        let name = self.name.clone();
        let described = self.token.run(move |_, connection| {
            let key = name.newest(&connection.session, KeyPurpose::Encrypt)?;
            cipher::check(connection, &key)?;
            Ok((hex::encode(&key.id), connection.protection))
        });
        let (version, protection) = described
            .await
            .map_err(|failure| failure.for_key(&self.uri))?;
        Ok(UsableKey::new(self.uri.clone(), version, protection))
    }

    fn limits(&self) -> KeyLimits {
        KeyLimits::default()
            .with_max_plaintext(MAX_PLAINTEXT)
            .with_max_wrapped(Dek::LEN + cipher::MAX_OVERHEAD)
            .with_max_ciphertext(MAX_PLAINTEXT + cipher::MAX_OVERHEAD)
    }
}

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
    Dek, EncryptionContext, KeyDescription, KeyProvider, KeyPurpose, KeyUri, ProviderError,
    ProviderErrorKind as Kind, WrappedDek,
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

    async fn seal(
        &self,
        plaintext: Zeroizing<Vec<u8>>,
        additional: Vec<u8>,
    ) -> Result<Vec<u8>, ProviderError> {
        let name = self.name.clone();
        let sealed = self.token.run(move |_, connection| {
            let key = name.newest(&connection.session, KeyPurpose::Encrypt)?;
            cipher::seal(connection, &key, &plaintext, &additional)
        });
        sealed.await.map_err(|failure| failure.for_key(&self.uri))
    }

    async fn open(
        &self,
        sealed: Vec<u8>,
        additional: Vec<u8>,
    ) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        // Check this before any call to the token.
        Wrapped::parse(&sealed).map_err(|failure| failure.for_key(&self.uri))?;
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
                match cipher::open(connection, token.probes(), &key, method, body, &additional) {
                    // With two objects of one id, a presumed answer for one of them is not final.
                    Err(next) if next.kind() == Kind::InvalidCiphertext => {
                        failure = failure.filter(Failure::is_presumed).or(Some(next));
                    }
                    answer => return answer,
                }
            }
            if failure.is_none() && name.find(session, KeyPurpose::Encrypt)?.is_empty() {
                return Err(object::not_found(KeyPurpose::Encrypt));
            }
            Err(failure.unwrap_or_else(|| {
                Failure::new(
                    Kind::KeyVersionGone,
                    "no version of the key has the id that the ciphertext names; it may be destroyed",
                )
            }))
        });
        opened.await.map_err(|failure| failure.for_key(&self.uri))
    }

    fn error(&self, kind: Kind) -> ProviderError {
        ProviderError::new(kind, &self.uri)
    }
}

#[async_trait]
impl KeyProvider for Pkcs11Key {
    fn uri(&self) -> &KeyUri {
        &self.uri
    }

    async fn wrap(
        &self,
        dek: &Dek,
        context: &EncryptionContext,
    ) -> Result<WrappedDek, ProviderError> {
        let plaintext = Zeroizing::new(dek.expose().to_vec());
        self.seal(plaintext, context.as_bytes().to_vec())
            .await
            .map(WrappedDek::new)
    }

    async fn unwrap(
        &self,
        wrapped: &WrappedDek,
        context: &EncryptionContext,
    ) -> Result<Dek, ProviderError> {
        if wrapped.as_bytes().len() > Dek::LEN + cipher::MAX_OVERHEAD {
            return Err(self.error(Kind::InvalidCiphertext));
        }
        let plaintext = self
            .open(wrapped.as_bytes().to_vec(), context.as_bytes().to_vec())
            .await?;
        Dek::from_slice(&plaintext).ok_or_else(|| self.error(Kind::InvalidCiphertext))
    }

    fn max_plaintext(&self) -> usize {
        MAX_PLAINTEXT
    }

    async fn encrypt(&self, plaintext: &[u8]) -> Result<Vec<u8>, ProviderError> {
        if plaintext.len() > MAX_PLAINTEXT {
            return Err(self
                .error(Kind::Misconfigured)
                .with_detail("more than 16 KiB of plaintext; use the format `envelope`"));
        }
        self.seal(Zeroizing::new(plaintext.to_vec()), Vec::new())
            .await
    }

    async fn decrypt(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        if ciphertext.len() > MAX_PLAINTEXT + cipher::MAX_OVERHEAD {
            return Err(self.error(Kind::InvalidCiphertext));
        }
        self.open(ciphertext.to_vec(), Vec::new()).await
    }

    async fn describe(&self) -> Result<KeyDescription, ProviderError> {
        let name = self.name.clone();
        let described = self.token.run(move |_, connection| {
            let key = name.newest(&connection.session, KeyPurpose::Encrypt)?;
            cipher::check(connection, &key)?;
            Ok((hex::encode(&key.id), connection.protection))
        });
        let (version, protection) = described
            .await
            .map_err(|failure| failure.for_key(&self.uri))?;
        Ok(KeyDescription::new(self.uri.clone(), version, protection))
    }
}

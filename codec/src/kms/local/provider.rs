use std::{fmt, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use parking_lot::Mutex;
use zeroize::Zeroizing;

use super::{
    file,
    keyset::{Keyset, OpenError},
    keyset_error,
};
use crate::{
    Dek, EncryptionContext, KeyUri, WrappedDek,
    kms::{KeyDescription, KeyProvider, Protection, ProviderError, ProviderErrorKind as Kind},
};

/// As Cloud KMS has it, so that what works in development works there.
const MAX_PLAINTEXT: usize = 64 * 1024;

/// One keyset, read again whenever its file changes.
pub(super) struct LocalKey {
    uri: KeyUri,
    path: PathBuf,
    loaded: Mutex<Loaded>,
}

struct Loaded {
    keyset: Arc<Keyset>,
    stamp: file::Stamp,
}

impl LocalKey {
    pub(super) fn load(uri: KeyUri, path: PathBuf) -> Result<Self, ProviderError> {
        let (keyset, stamp) = super::load(&uri, &path)?;
        let loaded = Mutex::new(Loaded {
            keyset: Arc::new(keyset),
            stamp,
        });
        Ok(Self { uri, path, loaded })
    }

    fn keyset(&self) -> Result<Arc<Keyset>, ProviderError> {
        let now = file::stamp(&self.path)
            .map_err(|error| super::file_error(&self.uri, &self.path, error.into()))?;
        let mut loaded = self.loaded.lock();
        if loaded.stamp != now {
            let (keyset, stamp) = super::load(&self.uri, &self.path)?;
            *loaded = Loaded {
                keyset: Arc::new(keyset),
                stamp,
            };
        }
        Ok(loaded.keyset.clone())
    }

    fn seal(&self, plaintext: &[u8], additional: &[u8]) -> Result<Vec<u8>, ProviderError> {
        self.keyset()?
            .seal(plaintext, additional)
            .map_err(|error| keyset_error(&self.uri, &self.path, error))
    }

    fn open(&self, sealed: &[u8], additional: &[u8]) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        self.keyset()?
            .open(sealed, additional)
            .map_err(|error| match error {
                OpenError::Disabled(id) => self
                    .error(Kind::KeyDisabled)
                    .with_detail(format!("key {id} of the keyset")),
                OpenError::NotAuthentic => self.error(Kind::InvalidCiphertext),
            })
    }

    fn error(&self, kind: Kind) -> ProviderError {
        ProviderError::new(kind, &self.uri)
    }
}

#[async_trait]
impl KeyProvider for LocalKey {
    fn uri(&self) -> &KeyUri {
        &self.uri
    }

    async fn wrap(
        &self,
        dek: &Dek,
        context: &EncryptionContext,
    ) -> Result<WrappedDek, ProviderError> {
        self.seal(dek.expose(), context.as_bytes())
            .map(WrappedDek::new)
    }

    async fn unwrap(
        &self,
        wrapped: &WrappedDek,
        context: &EncryptionContext,
    ) -> Result<Dek, ProviderError> {
        let plaintext = self.open(wrapped.as_bytes(), context.as_bytes())?;
        Dek::from_slice(&plaintext).ok_or_else(|| self.error(Kind::InvalidCiphertext))
    }

    fn max_plaintext(&self) -> usize {
        MAX_PLAINTEXT
    }

    async fn encrypt(&self, plaintext: &[u8]) -> Result<Vec<u8>, ProviderError> {
        if plaintext.len() > MAX_PLAINTEXT {
            return Err(self
                .error(Kind::Misconfigured)
                .with_detail("more than 64 KiB of plaintext"));
        }
        self.seal(plaintext, &[])
    }

    async fn decrypt(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        self.open(ciphertext, &[])
    }

    async fn describe(&self) -> Result<KeyDescription, ProviderError> {
        let version = self.keyset()?.primary().to_string();
        Ok(KeyDescription::new(
            self.uri.clone(),
            version,
            Protection::File,
        ))
    }
}

impl fmt::Debug for LocalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey")
            .field("uri", &self.uri)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

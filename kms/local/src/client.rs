//! A folder of keysets, and the keys in it.

use std::{
    path::PathBuf,
    sync::{Arc, Once},
};

use temporal_kms::{
    KeyProvider, KeyPurpose, KeyUri, ProviderError, ProviderErrorKind as Kind, Scheme,
    SignatureAlgorithm, Signer,
};

use super::{
    error::{file_error, keyset_error},
    file,
    keyset::Keyset,
    provider::LocalKey,
    signer::LocalSigningKey,
    watched::WatchedKeyset,
};

/// A folder of Tink keysets.
#[derive(Clone, Debug)]
pub struct LocalKeyring {
    pub(super) folder: PathBuf,
}

impl LocalKeyring {
    /// The keyring in `folder`. This reads and writes nothing yet.
    #[must_use]
    pub fn open(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// The key `local://name`, which must exist.
    ///
    /// # Errors
    /// When the keyset is missing, readable by others, broken, of another purpose, or its primary key is disabled.
    pub fn key(&self, name: &str) -> Result<Arc<dyn KeyProvider>, ProviderError> {
        Ok(Arc::new(LocalKey::new(
            self.watch(name, KeyPurpose::Encrypt)?,
        )?))
    }

    /// The key `local://name`. If it does not exist, a keyset with one new key is created (mode 0600, folder 0700).
    /// Processes that do so at the same time get the same keyset.
    ///
    /// # Errors
    /// As [`key`](Self::key), and when the file cannot be created.
    pub fn key_or_create(&self, name: &str) -> Result<Arc<dyn KeyProvider>, ProviderError> {
        self.create_missing(name, KeyPurpose::Encrypt)?;
        self.key(name)
    }

    /// The signing key `local://name`, which must exist.
    ///
    /// # Errors
    /// As [`key`](Self::key).
    pub fn signing_key(&self, name: &str) -> Result<Arc<dyn Signer>, ProviderError> {
        // A missing key has no algorithm. The advice is to create the usual one.
        let keyset = self.watch(name, KeyPurpose::SignP256)?;
        Ok(Arc::new(LocalSigningKey::new(keyset)?))
    }

    /// The signing key `local://name`. If it does not exist, it is created as [`key_or_create`](Self::key_or_create)
    /// does. A key that exists already may sign with another algorithm than `algorithm`.
    ///
    /// # Errors
    /// As [`key_or_create`](Self::key_or_create).
    pub fn signing_key_or_create(
        &self,
        name: &str,
        algorithm: SignatureAlgorithm,
    ) -> Result<Arc<dyn Signer>, ProviderError> {
        let purpose = match algorithm {
            SignatureAlgorithm::EcdsaP256Sha256 => KeyPurpose::SignP256,
            SignatureAlgorithm::Ed25519 => KeyPurpose::SignEd25519,
            _ => {
                return Err(ProviderError::new(Kind::Unsupported, &named(name)?)
                    .with_detail("a keyset does not have this algorithm")
                    .with_remedy("use ECDSA on P-256 or Ed25519"));
            }
        };
        self.create_missing(name, purpose)?;
        self.signing_key(name)
    }

    /// Adds a new key to `local://name` and makes it the primary key. Data keys that older keys wrapped still unwrap,
    /// and their signatures still verify. Running processes notice the change. Returns the new key's id.
    ///
    /// # Errors
    /// As [`key`](Self::key), and when the file cannot be replaced.
    pub fn rotate(&self, name: &str) -> Result<u32, ProviderError> {
        self.change(&named(name)?, Keyset::rotate)
    }

    fn create_missing(&self, name: &str, purpose: KeyPurpose) -> Result<(), ProviderError> {
        let uri = named(name)?;
        let path = self.path(&uri)?;
        if path.exists() {
            return Ok(());
        }
        let keyset =
            Keyset::generate(purpose).map_err(|error| keyset_error(&uri, &path, &error))?;
        let created = file::create(&path, &keyset.to_json())
            .map_err(|error| file_error(&uri, &path, &error))?;
        if created {
            tracing::info!(key = %uri, file = %path.display(), "created a local key");
        }
        Ok(())
    }

    fn watch(&self, name: &str, purpose: KeyPurpose) -> Result<WatchedKeyset, ProviderError> {
        warn_once();
        let uri = named(name)?;
        let path = self.path(&uri)?;
        WatchedKeyset::load(uri, path, purpose)
    }

    pub(super) fn path(&self, uri: &KeyUri) -> Result<PathBuf, ProviderError> {
        match uri.scheme() {
            Scheme::LOCAL => Ok(self.folder.join(format!("{}.json", uri.resource()))),
            _ => Err(ProviderError::new(Kind::Misconfigured, uri)
                .with_detail("a local keyring holds local:// keys only")
                .with_remedy("name the key local://NAME")),
        }
    }
}

fn named(name: &str) -> Result<KeyUri, ProviderError> {
    KeyUri::new(Scheme::LOCAL, name).map_err(|error| {
        // An invalid name has no URI that the error could show.
        let unnamed = KeyUri::unnamed_local();
        ProviderError::new(Kind::Misconfigured, &unnamed)
            .with_detail(error.to_string())
            .with_remedy("correct the name")
    })
}

fn warn_once() {
    static WARNED: Once = Once::new();
    WARNED.call_once(|| {
        tracing::warn!("local:// keys are stored unencrypted: for development only");
    });
}

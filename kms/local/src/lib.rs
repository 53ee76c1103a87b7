//! Keys in Tink keysets on this machine's disk, for development and tests: `local://NAME` is `NAME.json` in a folder.
//!
//! A keyset is a cleartext JSON keyset of `AesGcmKey`s, or of `EcdsaPrivateKey`s (`NIST_P256`, `SHA256`, `DER`) and
//! `Ed25519PrivateKey`s, as every Tink library reads and writes it. Any Tink library opens what this provider wraps and
//! verifies what it signs ([`Signature::to_tink`](temporal_kms::Signature::to_tink)), and the other way round:
//!
//! ```text
//! 0x01 ‖ key id(4, big endian) ‖ iv(12) ‖ AES-256-GCM ciphertext ‖ tag(16)
//! 0x01 ‖ key id(4, big endian) ‖ signature
//! ```
//!
//! with the context's canonical bytes as additional data. A user who can read the file can decrypt and sign everything:
//! never use it in production. So these are refused, with the command that puts them right:
//!
//! - a keyset that is not a regular file (a link, a pipe, a device), is larger than 1 MiB, belongs to another user than
//!   this process's or root, or may be accessed by group or others;
//! - a folder that belongs to another user than this process's or root, or in which group or others may write. They may
//!   read it: the keysets in it are private. The folders above it are not checked.
//!
//! What is missing is created by [`KeyAdmin::create`](temporal_kms::KeyAdmin::create) and the methods that say so in their name,
//! with mode 0600 in a folder of mode 0700. A keyset is written whole, and is on the disk when the call returns.
//!
//! A [`LocalKeyring`] is its keys' [`KeyAdmin`](temporal_kms::KeyAdmin). The versions of a key are the keys of its keyset. The
//! primary one can be neither disabled nor destroyed, since Tink reads no keyset without one: rotate first. A destroyed
//! one is removed from the file.

mod admin;
mod diagnose;
mod file;
mod keyset;
mod provider;
mod service;
mod settings;
mod signer;
mod watched;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Once},
};

use self::{
    file::FileError,
    keyset::{Keyset, KeysetError},
    provider::LocalKey,
    signer::LocalSigningKey,
    watched::WatchedKeyset,
};
pub use self::{service::LocalKms, settings::LocalOptions};
use temporal_kms::{
    KeyProvider, KeyPurpose, ProviderError, ProviderErrorKind as Kind, SignatureAlgorithm, Signer,
};
use temporal_kms::{KeyUri, Scheme};

/// A folder of Tink keysets.
#[derive(Clone, Debug)]
pub struct LocalKeyring {
    folder: PathBuf,
}

impl LocalKeyring {
    /// The keyring in `folder`. Nothing is read or written yet.
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
        Ok(Arc::new(LocalKey::new(self.watch(name)?)?))
    }

    /// The key `local://name`; a keyset with one new key is made (mode 0600, folder 0700) when there is none. Processes
    /// that do so at the same time end up with the same keyset.
    ///
    /// # Errors
    /// As [`key`](Self::key), and when the file cannot be made.
    pub fn key_or_create(&self, name: &str) -> Result<Arc<dyn KeyProvider>, ProviderError> {
        self.create_missing(name, KeyPurpose::Encrypt)?;
        self.key(name)
    }

    /// The signing key `local://name`, which must exist.
    ///
    /// # Errors
    /// As [`key`](Self::key).
    pub fn signing_key(&self, name: &str) -> Result<Arc<dyn Signer>, ProviderError> {
        Ok(Arc::new(LocalSigningKey::new(self.watch(name)?)?))
    }

    /// The signing key `local://name`, made as [`key_or_create`](Self::key_or_create) does when there is none. One that
    /// exists may sign with another algorithm than `algorithm`.
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
                    .with_detail("a keyset has no such algorithm"));
            }
        };
        self.create_missing(name, purpose)?;
        self.signing_key(name)
    }

    /// Adds a new key to `local://name` and makes it the primary one. What older keys wrapped still opens, what they
    /// signed still verifies, and running processes notice the change by themselves. Returns the new key's id.
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

    fn watch(&self, name: &str) -> Result<WatchedKeyset, ProviderError> {
        warn_once();
        let uri = named(name)?;
        let path = self.path(&uri)?;
        WatchedKeyset::load(uri, path)
    }

    fn path(&self, uri: &KeyUri) -> Result<PathBuf, ProviderError> {
        match uri.scheme() {
            Scheme::LOCAL => Ok(self.folder.join(format!("{}.json", uri.resource()))),
            _ => Err(ProviderError::new(Kind::Misconfigured, uri)
                .with_detail("a local keyring holds local:// keys only")),
        }
    }
}

fn named(name: &str) -> Result<KeyUri, ProviderError> {
    KeyUri::new(Scheme::LOCAL, name).map_err(|error| {
        // The name itself cannot be shown as a key: it is not one.
        let unnamed = KeyUri::unnamed_local();
        ProviderError::new(Kind::Misconfigured, &unnamed).with_detail(error.to_string())
    })
}

fn load(uri: &KeyUri, path: &Path) -> Result<(Keyset, file::Stamp), ProviderError> {
    let (json, stamp) = file::read(path).map_err(|error| file_error(uri, path, &error))?;
    let keyset = Keyset::parse(&json).map_err(|error| keyset_error(uri, path, &error))?;
    Ok((keyset, stamp))
}

fn file_error(uri: &KeyUri, path: &Path, error: &FileError) -> ProviderError {
    let kind = match error {
        FileError::NoFolder(_) | FileError::NoFile(_) => Kind::KeyNotFound,
        FileError::Io { kind, .. } if *kind == io::ErrorKind::PermissionDenied => {
            Kind::PermissionDenied
        }
        _ => Kind::Misconfigured,
    };
    let folder = file::folder_of(path).display();
    let text = match error {
        FileError::NoFolder(_) => format!(
            "no keyring {folder}; create it with its key: codec-server keys create {uri} --keyring {folder}"
        ),
        FileError::NoFile(_) => format!(
            "no key {uri} in {folder}; create it: codec-server keys create {uri} --keyring {folder}"
        ),
        _ => error.to_string(),
    };
    ProviderError::new(kind, uri).with_explanation(text)
}

fn keyset_error(uri: &KeyUri, path: &Path, error: &KeysetError) -> ProviderError {
    let kind = match error {
        KeysetError::PrimaryNotEnabled { .. } | KeysetError::IsDestroyed(_) => Kind::KeyDisabled,
        KeysetError::NoSuchKey(_) => Kind::KeyNotFound,
        KeysetError::NoRandomness(_) => Kind::Unavailable,
        _ => Kind::Misconfigured,
    };
    ProviderError::new(kind, uri).with_explanation(format!("{}: {error}", path.display()))
}

fn warn_once() {
    static WARNED: Once = Once::new();
    WARNED.call_once(|| {
        tracing::warn!("local:// keys are stored unencrypted: for development only");
    });
}

#[cfg(test)]
mod tests;

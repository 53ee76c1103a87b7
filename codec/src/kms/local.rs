//! Keys in Tink keysets on this machine's disk, for development and tests: `local://NAME` is `NAME.json` in a folder.
//!
//! A keyset is a cleartext JSON keyset of `AesGcmKey`s as every Tink library reads and writes it. Wrapping is Tink's
//! AEAD, so any Tink library opens what this provider wraps and the other way round:
//!
//! ```text
//! 0x01 ‖ key id(4, big endian) ‖ iv(12) ‖ AES-256-GCM ciphertext ‖ tag(16)
//! ```
//!
//! with the context's canonical bytes as additional data. Who can read the file can decrypt everything: never use it in
//! production. The file must be readable by its owner alone, or it is refused.

mod file;
mod keyset;
mod provider;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Once},
};

use self::{
    file::FileError,
    keyset::{Keyset, KeysetError},
    provider::LocalKey,
};
use super::{KeyProvider, ProviderError, ProviderErrorKind as Kind};
use crate::{KeyUri, KmsKind};

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
    /// When the keyset is missing, readable by others, broken, or its primary key is disabled.
    pub fn key(&self, name: &str) -> Result<Arc<dyn KeyProvider>, ProviderError> {
        warn_once();
        let (uri, path) = self.locate(name)?;
        Ok(Arc::new(LocalKey::load(uri, path)?))
    }

    /// The key `local://name`; a keyset with one new key is made (mode 0600, folder 0700) when there is none. Processes
    /// that do so at the same time end up with the same keyset.
    ///
    /// # Errors
    /// As [`key`](Self::key), and when the file cannot be made.
    pub fn key_or_create(&self, name: &str) -> Result<Arc<dyn KeyProvider>, ProviderError> {
        let (uri, path) = self.locate(name)?;
        if !path.exists() {
            let keyset = Keyset::generate().map_err(|error| keyset_error(&uri, &path, error))?;
            let created = file::create(&path, &keyset.to_json())
                .map_err(|error| file_error(&uri, &path, error))?;
            if created {
                tracing::info!(key = %uri, file = %path.display(), "made a new local keyset");
            }
        }
        self.key(name)
    }

    /// Adds a new key to `local://name` and makes it the primary one. What older keys wrapped still opens, and running
    /// processes notice the change by themselves. Returns the new key's id.
    ///
    /// # Errors
    /// As [`key`](Self::key), and when the file cannot be replaced.
    pub fn rotate(&self, name: &str) -> Result<u32, ProviderError> {
        let (uri, path) = self.locate(name)?;
        let _lock = file::lock(&path).map_err(|error| file_error(&uri, &path, error))?;
        let mut keyset = load(&uri, &path)?.0;
        let id = keyset
            .rotate()
            .map_err(|error| keyset_error(&uri, &path, error))?;
        file::replace(&path, &keyset.to_json()).map_err(|error| file_error(&uri, &path, error))?;
        Ok(id)
    }

    fn locate(&self, name: &str) -> Result<(KeyUri, PathBuf), ProviderError> {
        let uri = KeyUri::new(KmsKind::Local, name).map_err(|error| {
            // The name itself cannot be shown as a key: it is not one.
            let unnamed = KeyUri::unnamed_local();
            ProviderError::new(Kind::Misconfigured, &unnamed).with_detail(error.to_string())
        })?;
        let path = self.folder.join(format!("{name}.json"));
        Ok((uri, path))
    }
}

fn load(uri: &KeyUri, path: &Path) -> Result<(Keyset, file::Stamp), ProviderError> {
    let (json, stamp) = file::read(path).map_err(|error| file_error(uri, path, error))?;
    let keyset = Keyset::parse(&json).map_err(|error| keyset_error(uri, path, error))?;
    Ok((keyset, stamp))
}

fn file_error(uri: &KeyUri, path: &Path, error: FileError) -> ProviderError {
    let kind = match &error {
        FileError::Io(io) if io.kind() == std::io::ErrorKind::NotFound => Kind::KeyNotFound,
        FileError::Io(io) if io.kind() == std::io::ErrorKind::PermissionDenied => {
            Kind::PermissionDenied
        }
        _ => Kind::Misconfigured,
    };
    ProviderError::new(kind, uri)
        .with_detail(format!("{}: {error}", path.display()))
        .with_source(error)
}

fn keyset_error(uri: &KeyUri, path: &Path, error: KeysetError) -> ProviderError {
    let kind = match &error {
        KeysetError::PrimaryNotEnabled { .. } => Kind::KeyDisabled,
        KeysetError::NoRandomness(_) => Kind::Unavailable,
        _ => Kind::Misconfigured,
    };
    ProviderError::new(kind, uri)
        .with_detail(format!("{}: {error}", path.display()))
        .with_source(error)
}

fn warn_once() {
    static WARNED: Once = Once::new();
    WARNED.call_once(|| {
        tracing::warn!(
            "local:// keys lie unprotected on this machine's disk: for development only, never for production"
        );
    });
}

#[cfg(test)]
mod tests;

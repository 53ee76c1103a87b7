//! A keyset that is read again when its file changes.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;

use super::{
    error::{file_error_of, keyset_error},
    file,
    keyset::{Keyset, KeysetError},
};
use temporal_kms::{KeyPurpose, KeyUri, ProviderError};

/// One keyset, read again whenever its file changes.
pub(super) struct WatchedKeyset {
    uri: KeyUri,
    path: PathBuf,
    /// What the caller uses it for. An error about a missing file says how such a key is created.
    purpose: KeyPurpose,
    loaded: Mutex<Loaded>,
}

struct Loaded {
    keyset: Arc<Keyset>,
    stamp: file::Stamp,
}

impl WatchedKeyset {
    pub(super) fn load(
        uri: KeyUri,
        path: PathBuf,
        purpose: KeyPurpose,
    ) -> Result<Self, ProviderError> {
        let (keyset, stamp) = load_for(purpose, &uri, &path)?;
        let loaded = Mutex::new(Loaded {
            keyset: Arc::new(keyset),
            stamp,
        });
        Ok(Self {
            uri,
            path,
            purpose,
            loaded,
        })
    }

    pub(super) fn uri(&self) -> &KeyUri {
        &self.uri
    }

    pub(super) fn keyset(&self) -> Result<Arc<Keyset>, ProviderError> {
        let now = file::stamp(&self.path)
            .map_err(|error| file_error_of(self.purpose, &self.uri, &self.path, &error))?;
        let mut loaded = self.loaded.lock();
        if loaded.stamp != now {
            let (keyset, stamp) = load_for(self.purpose, &self.uri, &self.path)?;
            *loaded = Loaded {
                keyset: Arc::new(keyset),
                stamp,
            };
        }
        Ok(loaded.keyset.clone())
    }

    pub(super) fn error(&self, error: &KeysetError) -> ProviderError {
        keyset_error(&self.uri, &self.path, error)
    }
}

impl fmt::Debug for WatchedKeyset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedKeyset")
            .field("uri", &self.uri)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Reads a keyset of any purpose.
pub(super) fn load(uri: &KeyUri, path: &Path) -> Result<(Keyset, file::Stamp), ProviderError> {
    load_for(KeyPurpose::Encrypt, uri, path)
}

/// Reads a keyset that is to be used for `purpose`.
fn load_for(
    purpose: KeyPurpose,
    uri: &KeyUri,
    path: &Path,
) -> Result<(Keyset, file::Stamp), ProviderError> {
    let read = file::read(path);
    let (json, stamp) = read.map_err(|error| file_error_of(purpose, uri, path, &error))?;
    let keyset = Keyset::parse(&json).map_err(|error| keyset_error(uri, path, &error))?;
    Ok((keyset, stamp))
}

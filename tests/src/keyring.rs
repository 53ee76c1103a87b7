use std::path::{Path, PathBuf};

use tempfile::TempDir;
use temporal_kms_codec::{Codec, CodecBuilder, Namespace, kms::local::LocalKeyring};

/// A folder of local keys with one key, `default`, as `codec-server dev` makes it.
#[derive(Debug)]
pub struct Keyring {
    folder: TempDir,
}

impl Keyring {
    /// A folder without any key.
    ///
    /// # Panics
    /// The system gives no folder.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            folder: TempDir::new().expect("a temporary folder"),
        }
    }

    /// A folder with the fresh key `default`.
    ///
    /// # Panics
    /// The key cannot be made.
    #[must_use]
    pub fn new() -> Self {
        let keyring = Self::empty();
        keyring
            .keys()
            .key_or_create("default")
            .expect("a fresh key");
        keyring
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The keyset file of the key `default`.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.folder().join("default.json")
    }

    /// The keys themselves.
    #[must_use]
    pub fn keys(&self) -> LocalKeyring {
        LocalKeyring::open(self.folder())
    }

    /// A codec for `namespace` with the key `default`, to be refined.
    ///
    /// # Panics
    /// The key cannot be read.
    pub fn builder(&self, namespace: &str) -> CodecBuilder {
        let namespace = Namespace::new(namespace).expect("a namespace");
        let key = self.keys().key("default").expect("the key");
        Codec::builder(namespace).encrypt_with(key)
    }

    /// A codec for `namespace` with the key `default` and nothing else.
    ///
    /// # Panics
    /// The key cannot be read.
    #[must_use]
    pub fn codec(&self, namespace: &str) -> Codec {
        self.builder(namespace).build().expect("a codec")
    }
}

impl Default for Keyring {
    fn default() -> Self {
        Self::new()
    }
}

//! The folder of the local keys.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Kms, KmsBuilder, local::LocalKms};

impl Kms {
    /// The folder of `local://` keys.
    #[must_use]
    pub fn local_keyring(&self) -> Option<&Path> {
        self.get::<LocalKms>()?.options().keyring.as_deref()
    }

    /// Replaces the folder of `local://` keys.
    pub fn set_local_keyring(&mut self, folder: impl Into<PathBuf>) {
        let known = self.get::<LocalKms>().map(LocalKms::options).cloned();
        let options = known.unwrap_or_default().with_keyring(folder);
        self.put(Arc::new(LocalKms::new(options)));
    }
}

impl KmsBuilder {
    /// The folder of `local://` keys.
    pub fn local_keyring(self, folder: impl Into<PathBuf>) -> Self {
        let mut kms = self.build();
        kms.set_local_keyring(folder);
        kms.to_builder()
    }
}

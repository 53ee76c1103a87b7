//! The keys that every data key is wrapped by.

use std::sync::Arc;

use crate::kms::KeyProvider;

/// The keys that every data key is wrapped by. There is always one.
#[derive(Clone)]
pub(crate) struct EncryptingKeys {
    pub(crate) first: Arc<dyn KeyProvider>,
    pub(crate) others: Vec<Arc<dyn KeyProvider>>,
}

impl EncryptingKeys {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<dyn KeyProvider>> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

//! The keys that every data key is wrapped by.

use std::sync::Arc;

use crate::{ConfigurationError, kms::KeyProvider, types::MAX_RECIPIENTS};

/// The keys that every data key is wrapped by: 1 to 10, each once.
#[derive(Clone)]
pub(crate) struct EncryptingKeys {
    pub(crate) first: Arc<dyn KeyProvider>,
    pub(crate) others: Vec<Arc<dyn KeyProvider>>,
}

impl EncryptingKeys {
    pub(crate) fn new(keys: Vec<Arc<dyn KeyProvider>>) -> Result<Self, ConfigurationError> {
        let invalid = |reason| Err(ConfigurationError::invalid("encrypting keys", reason));
        if keys.len() > MAX_RECIPIENTS {
            return invalid("there are more than 10; name at most 10".to_owned());
        }
        for (position, key) in keys.iter().enumerate() {
            let mut earlier = keys.iter().take(position);
            let names_it = |other: &&Arc<dyn KeyProvider>| {
                key.is_alias_of(other.uri()) || other.is_alias_of(key.uri())
            };
            if let Some(other) = earlier.find(names_it) {
                let (key, other) = (key.uri(), other.uri());
                return invalid(if key == other {
                    format!("{key} is named twice; name each key once")
                } else {
                    format!("{other} and {key} are one key; name each key once")
                });
            }
        }
        let mut keys = keys.into_iter();
        match keys.next() {
            Some(first) => Ok(Self {
                first,
                others: keys.collect(),
            }),
            None => invalid("no encrypting key is set; name one".to_owned()),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<dyn KeyProvider>> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

impl std::fmt::Debug for EncryptingKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|key| key.uri()))
            .finish()
    }
}

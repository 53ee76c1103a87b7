//! Keys of other codecs, which are known by their bytes: no KMS holds them.

mod source;

use std::{collections::BTreeMap, fmt, sync::Arc};

pub use self::source::StaticKeySource;
use crate::{Dek, dek::ExpandedDek};

/// Static keys by their ids, for [`Format::Static`](crate::Format::Static): the codecs of Temporal's samples have such keys.
///
/// They only open payloads. A clone shares the keys, which are erased when the last clone is dropped.
#[derive(Clone, Default)]
#[must_use]
pub struct StaticKeys(BTreeMap<String, Arc<ExpandedDek>>);

impl StaticKeys {
    /// No key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key. The id is what payloads name in `encryption-key-id`, and may be empty.
    pub fn with(mut self, id: impl Into<String>, key: Dek) -> Self {
        self.0.insert(id.into(), Arc::new(ExpandedDek::new(key)));
        self
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn get(&self, id: &str) -> Option<&ExpandedDek> {
        self.0.get(id).map(|key| &**key)
    }
}

/// The ids alone.
impl fmt::Debug for StaticKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_ids_and_no_key() {
        let keys = StaticKeys::new().with("test", Dek::new(*b"test-key-test-key-test-key-test!"));
        assert_eq!(format!("{keys:?}"), "{\"test\"}");
    }
}

//! Codecs that are made when a request names their namespace, all with the same settings and keys.

use std::{num::NonZeroUsize, sync::Arc};

use lru::LruCache;
use parking_lot::Mutex;
use temporal_kms_codec::{Codec, DataKeyState, Error, Namespace};

use super::{NamespaceConfig, keys::Keys};

/// Codecs that are kept. A codec that was dropped is made again, and asks for its data keys again.
const MOST: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);

/// The namespace, and the further namespace whose payloads are decoded.
type NamespacePair = (Namespace, Option<Namespace>);

/// A codec for each namespace that was asked for, and that is bound to this namespace. Clones share the codecs.
#[derive(Clone, Debug)]
pub(super) struct OnDemand {
    keys: Keys,
    made: Arc<Mutex<LruCache<NamespacePair, Codec>>>,
    /// Shows that the keys can be used. It is of no namespace that is served, and counts what all of the codecs do.
    trial: Codec,
}

impl OnDemand {
    /// `trial` is the namespace of the codec that shows whether the settings and the keys can be used.
    pub(super) fn new(
        config: &NamespaceConfig,
        keys: Keys,
        trial: &Namespace,
    ) -> Result<Self, Error> {
        Ok(Self {
            trial: keys.codec(config, trial, None)?,
            keys,
            made: Arc::new(Mutex::new(LruCache::new(MOST))),
        })
    }

    /// The same keys without any cached data key.
    pub(super) fn emptied(&self, config: &NamespaceConfig) -> Result<Self, Error> {
        Self::new(config, self.keys.clone(), self.trial.namespace())
    }

    /// The codec of `namespace`. `None` where its name cannot be used with these settings.
    pub(super) fn codec(
        &self,
        config: &NamespaceConfig,
        namespace: &Namespace,
        also_decode: Option<&Namespace>,
    ) -> Option<Codec> {
        let mut made = self.made.lock();
        let name = (namespace.clone(), also_decode.cloned());
        if let Some(codec) = made.get(&name) {
            return Some(codec.clone());
        }
        let builder = self.keys.builder(config, namespace, also_decode);
        match builder.count_with(&self.trial).build() {
            Ok(codec) => {
                made.put(name, codec.clone());
                Some(codec)
            }
            Err(error) => {
                tracing::warn!(%error, "cannot make the codec of a namespace");
                None
            }
        }
    }

    /// The data keys of all codecs that are kept: their number, and the greatest age of one that seals.
    pub(super) fn data_key_state(&self) -> DataKeyState {
        let mut all = self.trial.data_key_state();
        for (_, codec) in self.made.lock().iter() {
            let state = codec.data_key_state();
            all.cached += state.cached;
            all.sealing_age = all.sealing_age.max(state.sealing_age);
        }
        all
    }

    pub(super) fn trial(&self) -> &Codec {
        &self.trial
    }
}

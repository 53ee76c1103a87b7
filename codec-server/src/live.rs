//! The configuration that is served now.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::generation::Generation;

/// The generation that new requests begin with. Requests in flight finish with their own.
#[derive(Clone)]
pub(crate) struct Live(Arc<ArcSwap<Generation>>);

impl Live {
    pub(crate) fn new(generation: Generation) -> Self {
        generation.count();
        Self(Arc::new(ArcSwap::from_pointee(generation)))
    }

    /// The generation now.
    pub(crate) fn current(&self) -> Arc<Generation> {
        self.0.load_full()
    }

    /// Serves requests that begin from now on with another one.
    pub(crate) fn replace(&self, generation: Generation) {
        generation.count();
        self.0.store(Arc::new(generation));
    }
}

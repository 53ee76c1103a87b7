//! The configuration that is served now, and the routes that serve each request with it.

use std::{convert::Infallible, sync::Arc};

use arc_swap::ArcSwap;
use axum::{Router, extract::Request};
use tower::{ServiceExt as _, service_fn};

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

    /// Routes that take each request to the generation of its moment.
    pub(crate) fn router(&self) -> Router {
        let live = self.clone();
        Router::new().fallback_service(service_fn(move |request: Request| {
            let router = live.0.load().router.clone();
            async move { Ok::<_, Infallible>(router.oneshot(request).await.unwrap_or_else(never)) }
        }))
    }
}

fn never<T>(never: Infallible) -> T {
    match never {}
}

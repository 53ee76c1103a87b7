//! One configuration as it is served: the keys that it names are open, and its routes are ready.

use std::sync::Arc;

use axum::{Router, extract::Request, response::Response};
use temporal_kms_codec::{Error, kms::CallObserver};
use temporal_kms_codec_service::{
    auth::Authenticator,
    namespaces::{Namespaces, OpenError, Reuse},
};

use crate::{
    config::{LoadedConfig, Problems},
    error::ServerError,
    http::{self, App},
    namespaces::RequestNamespaces,
    shared::Shared,
};

/// Everything that requests are served with. A request keeps the generation that it began with.
pub(crate) struct Generation {
    pub(crate) loaded: LoadedConfig,
    pub(crate) namespaces: Arc<Namespaces>,
    pub(crate) authenticator: Authenticator,
    /// The routes for clients.
    pub(crate) router: Router,
    pub(crate) shared: Shared,
    pub(crate) app: Arc<App>,
}

impl Generation {
    /// Opens what the configuration names. What has not changed since `before` is kept, with the data keys and other
    /// things that are in memory.
    ///
    /// # Errors
    /// When a key or a file cannot be opened.
    pub(crate) async fn open(
        mut loaded: LoadedConfig,
        shared: Shared,
        before: Option<&Self>,
    ) -> Result<Self, ServerError> {
        let observer = shared
            .audit
            .clone()
            .map(|log| -> Arc<dyn CallObserver> { log });
        loaded.config.keys.set_observer(observer);
        let config = &loaded.config;
        config.validate()?;
        let authenticator = match before {
            Some(before) => before.authenticator.reopen(&config.auth),
            None => Authenticator::open(&config.auth),
        };
        let authenticator = authenticator.map_err(Problems::from_faults)?;
        let namespaces = match before {
            Some(before) => {
                let reuse = Reuse {
                    served: &before.namespaces,
                    clients: &before.loaded.clients,
                    new_clients: &loaded.clients,
                };
                Namespaces::reopen(&config.namespaces, &config.keys, reuse).await?
            }
            None => Namespaces::open(&config.namespaces, &config.keys).await?,
        };
        let app = before.map(|before| &*before.app);
        Self::new(loaded, Arc::new(namespaces), authenticator, shared, app)
    }

    /// The same without any data key in memory. No service is called.
    ///
    /// # Errors
    /// When a codec cannot be made again.
    pub(crate) fn emptied(&self) -> Result<Self, ServerError> {
        let namespaces = self.namespaces.emptied();
        Self::new(
            self.loaded.clone(),
            Arc::new(namespaces.map_err(OpenError::from)?),
            self.authenticator.clone(),
            self.shared.clone(),
            Some(&self.app),
        )
    }

    /// Has the metrics tell of this configuration. Call it when requests begin to be served with it.
    pub(crate) fn count(&self) {
        let (metrics, config) = (&self.shared.metrics, &self.loaded.config);
        metrics.configure(&config.namespaces, &config.keys);
        metrics.watch_namespaces(&self.namespaces);
        let is_open = self.authenticator.is_open();
        let is_insecure = is_open && config.server.listen.is_remote();
        metrics.security().set_insecure(is_insecure);
    }

    /// Answers a request.
    pub(crate) async fn answer(&self, request: Request) -> Response {
        http::answer(&self.app, &self.router, request).await
    }

    /// Answers a request without the short way of codec requests.
    pub(crate) async fn answer_by_routes(&self, request: Request) -> Response {
        http::answer_by_routes(&self.app, &self.router, request).await
    }

    /// Adds the last line of requests to the audit log.
    pub(crate) fn finish_audit(&self) {
        self.app.finish_audit();
    }

    fn new(
        loaded: LoadedConfig,
        namespaces: Arc<Namespaces>,
        authenticator: Authenticator,
        shared: Shared,
        before: Option<&App>,
    ) -> Result<Self, ServerError> {
        let config = &loaded.config;
        let prefixes = config.server.path_prefixes.clone();
        let requests = RequestNamespaces::new(Arc::clone(&namespaces), prefixes)
            .map_err(|error| OpenError::from(Error::from(error)))?;
        let app = App::new(config, requests, authenticator.clone(), &shared, before);
        let app = Arc::new(app);
        Ok(Self {
            router: http::router(Arc::clone(&app)),
            app,
            namespaces,
            authenticator,
            shared,
            loaded,
        })
    }
}

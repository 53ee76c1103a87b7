//! The state that all requests share.

use std::sync::Arc;

use http::{HeaderMap, Uri};
use temporal_kms_codec_service::{
    auth::Authenticator, namespaces::NamespacesConfig, telemetry::Metrics,
};

use super::{
    admission::Admission, audited, known_metadata::NamespacesMetadata, memory::Memory,
    origin::OriginPolicy, permit::Permits,
};
use crate::{
    config::{Config, Limits, LimitsConfig, Timeouts},
    namespaces::RequestNamespaces,
    shared::Shared,
};

/// The state that all requests share.
pub(crate) struct App {
    pub(super) authenticator: Authenticator,
    pub(super) namespaces: RequestNamespaces,
    pub(super) origins: OriginPolicy,
    /// Whether `GET /` answers the page for people.
    pub(super) page: bool,
    pub(super) limits: Limits,
    pub(super) timeouts: Timeouts,
    pub(super) admission: Arc<Admission>,
    pub(super) memory: Memory,
    pub(super) known_metadata: NamespacesMetadata,
    pub(super) audit: audited::Log,
    pub(super) permits: Arc<Permits>,
    pub(super) metrics: Arc<Metrics>,
    /// What the state shows beside the configuration.
    pub(super) shared: Shared,
    /// The settings of the namespaces, for those who manage them.
    pub(super) configured: NamespacesConfig,
    /// What `admission` was made with.
    shares: LimitsConfig,
}

impl App {
    /// Whether a request names no host that a web page could have pointed here.
    pub(crate) fn names_no_foreign_host(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        self.origins.names_no_foreign_host(uri, headers)
    }

    /// The state of a configuration. What counts the requests in flight is shared with the state `before`, where the limits
    /// are the same. Where a limit has changed, requests in flight count against the one before.
    pub(crate) fn new(
        config: &Config,
        namespaces: RequestNamespaces,
        authenticator: Authenticator,
        shared: &Shared,
        before: Option<&Self>,
    ) -> Self {
        let (server, limits) = (&config.server, &config.server.limits);
        let any_host = !authenticator.is_open() && !authenticator.trusts_connections();
        let known_metadata = NamespacesMetadata::new(namespaces.names());
        Self {
            authenticator,
            namespaces,
            origins: OriginPolicy::new(config.cors.clone(), server.allowed_hosts.clone(), any_host),
            admission: before
                .filter(|before| before.shares == config.limits)
                .map_or_else(
                    || Arc::new(Admission::new(&config.limits, limits.max_open())),
                    |before| Arc::clone(&before.admission),
                ),
            memory: before
                .filter(|before| before.limits.max_memory == limits.max_memory)
                .map_or_else(
                    || Memory::new(limits.max_memory),
                    |before| before.memory.clone(),
                ),
            permits: before
                .filter(|before| before.limits.max_requests == limits.max_requests)
                .map_or_else(
                    || Arc::new(Permits::new(limits.max_requests)),
                    |before| Arc::clone(&before.permits),
                ),
            known_metadata,
            audit: before.map_or_else(
                || audited::Log::new(shared.audit.clone()),
                |before| before.audit.clone(),
            ),
            metrics: Arc::clone(&shared.metrics),
            shared: shared.clone(),
            configured: config.namespaces.clone(),
            shares: config.limits.clone(),
            page: server.page,
            limits: limits.clone(),
            timeouts: server.timeouts.clone(),
        }
    }

    /// Adds the last line of requests to the audit log.
    pub(crate) fn finish_audit(&self) {
        self.audit.finish();
    }
}

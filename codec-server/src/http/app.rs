//! The state that all requests share.

use std::sync::Arc;

use temporal_kms_codec::audit::AuditLog;
use temporal_kms_codec_service::auth::Authenticator;

use super::{admission::Admission, audited, memory::Memory, origin::OriginPolicy, permit::Permits};
use crate::{
    config::{Config, Limits, Timeouts},
    namespaces::RequestNamespaces,
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
    pub(super) admission: Admission,
    pub(super) memory: Memory,
    pub(super) permits: Permits,
    pub(super) audit: audited::Log,
}

impl App {
    pub(crate) fn new(
        config: &Config,
        namespaces: RequestNamespaces,
        authenticator: Authenticator,
        audit: Option<Arc<AuditLog>>,
    ) -> Self {
        let (server, limits) = (&config.server, &config.server.limits);
        let any_host = !authenticator.is_open();
        Self {
            authenticator,
            audit,
            namespaces,
            origins: OriginPolicy::new(config.cors.clone(), server.allowed_hosts.clone(), any_host),
            admission: Admission::new(&config.limits, limits.max_connections),
            memory: Memory::new(limits.max_memory),
            permits: Permits::new(limits.max_requests),
            page: server.page,
            limits: limits.clone(),
            timeouts: server.timeouts.clone(),
        }
    }
}

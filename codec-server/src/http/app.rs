//! The state that all requests share.

use super::{memory::Memory, origin::OriginPolicy, permit::Permits};
use crate::{
    config::{CorsConfig, Limits, ServerConfig, Timeouts},
    namespaces::RequestNamespaces,
};

/// The state that all requests share.
pub(crate) struct App {
    pub(super) namespaces: RequestNamespaces,
    pub(super) origins: OriginPolicy,
    pub(super) limits: Limits,
    pub(super) timeouts: Timeouts,
    pub(super) memory: Memory,
    pub(super) permits: Permits,
}

impl App {
    pub(crate) fn new(
        namespaces: RequestNamespaces,
        server: &ServerConfig,
        cors: CorsConfig,
    ) -> Self {
        Self {
            namespaces,
            origins: OriginPolicy::new(cors, server.allowed_hosts.clone()),
            memory: Memory::new(server.limits.max_memory),
            permits: Permits::new(server.limits.max_requests),
            limits: server.limits.clone(),
            timeouts: server.timeouts.clone(),
        }
    }
}

//! What every task of a worker gets around it: a sandbox, and a proxy to the API.

use std::{io, path::Path};

use crate::{
    proxy::{Proxy, ProxyLimits, Upstream},
    sandbox::{Programs, Sandbox, Workspace},
    task::TaskRequest,
};

/// How the tasks of a worker are confined.
#[derive(Clone, Debug)]
pub(crate) struct Confinement {
    /// What confines programs.
    pub(crate) sandbox: Sandbox,
    /// The API that proxies call.
    pub(crate) upstream: Upstream,
    /// How much of the API a task may use.
    pub(crate) api_limits: ProxyLimits,
}

impl Confinement {
    /// Programs in the sandbox of a task. Keep them until its last program has ended.
    ///
    /// # Errors
    /// When the task's user or control group cannot be had.
    pub(crate) fn programs(&self, workspace: &Workspace) -> io::Result<Programs> {
        Programs::new(&self.sandbox, workspace)
    }

    /// The proxy of a session of Claude Code, with a socket below `workdir`. It ends when it is dropped.
    ///
    /// # Errors
    /// When the socket cannot be created, or the request has no credential that a header can hold.
    pub(crate) fn proxy(
        &self,
        request: &TaskRequest,
        programs: &Programs,
        workdir: &Path,
    ) -> io::Result<Proxy> {
        let credential = request.credential().ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "the request has no credential")
        })?;
        let limits = ProxyLimits {
            web: self.sandbox.has_network(),
            ..self.api_limits.clone()
        };
        Proxy::start(
            &self.upstream,
            &limits,
            credential,
            workdir,
            programs.user(),
        )
    }
}

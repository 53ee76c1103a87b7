//! What every task of a worker gets around it: a sandbox, a proxy to the API, and where the operator permits it, a proxy to
//! other servers.

use std::{io, path::Path, sync::Arc};

use crate::{
    proxy::{EgressPolicy, EgressProxy, Proxy, ProxyLimits, Upstream},
    sandbox::{Programs, Sandbox, Workspace},
    task::{TaskId, TaskRequest},
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
    /// Which servers tasks may reach.
    pub(crate) egress: Arc<EgressPolicy>,
}

impl Confinement {
    /// Programs in the sandbox of a task, and their way to other servers, with a socket below `workdir`. Keep both until its
    /// last program has ended.
    ///
    /// # Errors
    /// When the task's user or control group cannot be had, or the socket cannot be created.
    pub(crate) fn programs(
        &self,
        task: &TaskId,
        workspace: &Workspace,
        workdir: &Path,
    ) -> io::Result<(Programs, Option<EgressProxy>)> {
        let programs = Programs::new(&self.sandbox, workspace)?;
        if !self.sandbox.needs_egress_proxy() {
            return Ok((programs, None));
        }
        let proxy = EgressProxy::start(&self.egress, task, workdir, programs.user())?;
        Ok((programs.with_egress(proxy.socket()), Some(proxy)))
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

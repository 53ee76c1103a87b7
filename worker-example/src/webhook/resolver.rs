//! Name resolution for webhooks, repositories and tasks. Connections go only to addresses that were found here and that the policy permits.
//! A name that resolves differently a moment later therefore changes nothing.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;

use super::address::AddressPolicy;

/// The most addresses of one name that are tried.
const MAX_ADDRESSES: usize = 16;

/// Looks names up.
pub(crate) trait Lookup: Send + Sync {
    /// The addresses of a name.
    fn lookup(
        &self,
        host: String,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + '_>>;
}

/// Looks names up as the system does.
pub(crate) struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(
        &self,
        host: String,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + '_>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// A name cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum HostError {
    /// The policy does not permit one of its addresses.
    #[error("the address is not public")]
    Refused,
    /// It cannot be resolved.
    #[error("the name cannot be resolved")]
    Lookup(#[source] io::Error),
}

/// The addresses of a host, looked up as the system does, if the policy permits all of them. `None` if the operator permits
/// the name, whose addresses do not matter.
///
/// # Errors
/// When it has no address, or one that the policy does not permit.
pub(crate) async fn permitted_addresses(
    policy: &AddressPolicy,
    host: &str,
) -> Result<Option<Vec<IpAddr>>, HostError> {
    if policy.permits_host(host) {
        return Ok(None);
    }
    let found = looked_up(policy, &SystemLookup, host).await?;
    Ok(Some(found))
}

/// The addresses of a host, if the operator permits the name, or the policy permits all of them.
///
/// # Errors
/// When it has no address, or one that the policy does not permit.
pub(crate) async fn looked_up(
    policy: &AddressPolicy,
    lookup: &dyn Lookup,
    host: &str,
) -> Result<Vec<IpAddr>, HostError> {
    let found = lookup.lookup(host.to_owned()).await;
    let mut found = found.map_err(HostError::Lookup)?;
    found.truncate(MAX_ADDRESSES);
    // One address that is not permitted refuses the name: a name with public and private addresses is an attack, or a
    // network that the operator has to name.
    if !policy.permits_host(host) && !found.iter().all(|ip| policy.permits(*ip)) {
        return Err(HostError::Refused);
    }
    if found.is_empty() {
        let none = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        return Err(HostError::Lookup(none));
    }
    Ok(found)
}

/// A resolver that returns permitted addresses only.
pub(super) struct CheckedResolver {
    policy: Arc<AddressPolicy>,
    lookup: Arc<dyn Lookup>,
}

impl CheckedResolver {
    pub(super) fn new(policy: Arc<AddressPolicy>, lookup: Arc<dyn Lookup>) -> Self {
        Self { policy, lookup }
    }
}

impl fmt::Debug for CheckedResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckedResolver").finish_non_exhaustive()
    }
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (policy, lookup) = (Arc::clone(&self.policy), Arc::clone(&self.lookup));
        Box::pin(async move {
            let found = looked_up(&policy, lookup.as_ref(), name.as_str()).await?;
            let addresses = found.into_iter().map(|ip| SocketAddr::new(ip, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

//! Which servers tasks may reach.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    pin::Pin,
    sync::Arc,
};

use tokio::sync::Semaphore;

use super::{closed::ClosedPlace, refusal::Refusal, target::Target};
use crate::webhook::{AddressPolicy, HostError, Lookup, SystemLookup, answering, looked_up};

/// The ports of the Web.
const PORTS: [u16; 2] = [80, 443];
/// How many names are looked up for a task at the same time. Each takes a thread of the worker.
const LOOKUPS: usize = 8;

/// What the operator and the worker's settings say about the network of tasks.
#[derive(Clone, Debug, Default)]
pub(crate) struct EgressSettings {
    /// The addresses that tasks may reach.
    pub(crate) addresses: AddressPolicy,
    /// The ports that tasks may reach beside those of the Web.
    pub(crate) ports: Vec<u16>,
    /// What tasks must not reach, at any address and port that is permitted.
    pub(crate) closed: Vec<ClosedPlace>,
}

/// Decides which servers the tasks of a worker may reach.
pub(crate) struct EgressPolicy {
    settings: EgressSettings,
    lookup: Arc<dyn Lookup>,
}

impl EgressPolicy {
    /// A policy that looks names up as the system does.
    #[must_use]
    pub(crate) fn new(settings: EgressSettings) -> Self {
        Self::with_lookup(settings, Arc::new(SystemLookup))
    }

    pub(super) fn with_lookup(settings: EgressSettings, lookup: Arc<dyn Lookup>) -> Self {
        Self { settings, lookup }
    }

    /// What looks names up for one task.
    pub(super) fn lookup_of_task(&self) -> BoundedLookup {
        BoundedLookup {
            lookup: Arc::clone(&self.lookup),
            places: Arc::new(Semaphore::new(LOOKUPS)),
        }
    }

    /// The addresses of a server, if tasks may reach all of them.
    ///
    /// # Errors
    /// Why tasks may not reach it.
    pub(super) async fn permitted(
        &self,
        target: &Target,
        lookup: &dyn Lookup,
    ) -> Result<Vec<SocketAddr>, Refusal> {
        let host = || target.host.clone();
        let closed = || Refusal::Closed {
            host: host(),
            port: target.port,
        };
        self.check_port(target.port)?;
        let places = self.settings.closed.iter();
        let places: Vec<_> = places.filter(|place| place.has_port(target.port)).collect();
        if places.iter().any(|place| place.is_host(&target.host)) {
            return Err(closed());
        }
        let addresses = &self.settings.addresses;
        let found = looked_up(addresses, lookup, &target.host).await;
        let found = found.map_err(|error| match error {
            HostError::Refused => Refusal::NotPublic { host: host() },
            HostError::Lookup(_) => Refusal::Name { host: host() },
        })?;
        for place in places {
            if is_at(place, &found, lookup)
                .await
                .map_err(|_| Refusal::Unchecked { host: host() })?
            {
                return Err(closed());
            }
        }
        let is_named = addresses.permits_host(&target.host);
        let is_foreign = |address: &IpAddr| {
            is_named || addresses.permits_explicitly(*address) || !is_of_this_machine(*address)
        };
        if !found.iter().all(is_foreign) {
            return Err(Refusal::OfMachine { host: host() });
        }
        let found = found.into_iter();
        Ok(found
            .map(|address| SocketAddr::new(address, target.port))
            .collect())
    }

    fn check_port(&self, port: u16) -> Result<(), Refusal> {
        let mut permitted = [&PORTS[..], &self.settings.ports].concat();
        if permitted.contains(&port) {
            return Ok(());
        }
        permitted.sort_unstable();
        permitted.dedup();
        let permitted: Vec<_> = permitted.iter().map(u16::to_string).collect();
        Err(Refusal::Port {
            port,
            permitted: permitted.join(", "),
        })
    }
}

impl fmt::Debug for EgressPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EgressPolicy")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Whether one of these addresses is one of the place. A service of this machine can listen at all its addresses, so all of
/// them count as the service's.
///
/// # Errors
/// When the name of the place cannot be looked up.
async fn is_at(place: &ClosedPlace, found: &[IpAddr], lookup: &dyn Lookup) -> io::Result<bool> {
    let own = match place.host() {
        Some(name) => lookup.lookup(name.to_owned()).await?,
        None => place.address().into_iter().collect(),
    };
    let is_own = |address: IpAddr| {
        place.contains(address) || own.iter().any(|own| answering(*own) == address)
    };
    let is_here = own.iter().any(|own| is_of_this_machine(*own));
    // The form of a translator is another address of the same server, and a place can name both.
    let is_closed = |address: &IpAddr| {
        let server = answering(*address);
        is_own(*address) || is_own(server) || (is_here && is_of_this_machine(server))
    };
    Ok(found.iter().any(is_closed))
}

/// Whether a connection to this address stays on this machine, by the kernel's routes. Nothing is sent.
fn is_of_this_machine(address: IpAddr) -> bool {
    let address = answering(address);
    if address.is_loopback() || address.is_unspecified() {
        return true;
    }
    let any = match address {
        IpAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
    };
    // The kernel chooses the source of a connection, and that of a connection to itself is one of its own.
    let source = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((address, 9))?;
        socket.local_addr()
    });
    source.is_ok_and(|source| source.ip() == address || source.ip().is_loopback())
}

/// Looks names up, a few at the same time.
pub(super) struct BoundedLookup {
    lookup: Arc<dyn Lookup>,
    places: Arc<Semaphore>,
}

impl Lookup for BoundedLookup {
    fn lookup(
        &self,
        host: String,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + '_>> {
        Box::pin(async move {
            let place = Arc::clone(&self.places).acquire_owned().await;
            let place = place.map_err(io::Error::other)?;
            let lookup = Arc::clone(&self.lookup);
            // A lookup goes on when its caller gives up, and keeps its place.
            let found = tokio::spawn(async move {
                let found = lookup.lookup(host).await;
                drop(place);
                found
            });
            found.await.map_err(io::Error::from)?
        })
    }
}

impl fmt::Debug for BoundedLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedLookup").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_addresses_of_this_machine_in_each_form() {
        for own in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "::1",
            "::",
            "::ffff:127.0.0.1",
            "64:ff9b::127.0.0.1",
        ] {
            assert!(is_of_this_machine(own.parse().unwrap()), "{own}");
        }
        for other in ["1.1.1.1", "64:ff9b::1.1.1.1", "2606:4700::1111"] {
            assert!(!is_of_this_machine(other.parse().unwrap()), "{other}");
        }
    }
}

//! The host that a request names. With DNS rebinding, a web page's own name points to this machine.

use std::net::IpAddr;

use http::{HeaderMap, Uri, header, uri::Authority};
use temporal_kms_codec::endpoint::is_loopback;

/// Whether a request names no host that a web page could have pointed here. It may name an address, because DNS rebinding
/// takes a name, or a name that is ours. Browsers always name a host, and some health checks do not.
pub fn names_no_foreign_host(
    uri: &Uri,
    headers: &HeaderMap,
    is_ours: impl Fn(&str) -> bool,
) -> bool {
    let in_headers = headers.get_all(header::HOST).iter();
    let in_headers = in_headers.map(|host| Authority::try_from(host.as_bytes()).ok());
    let mut hosts = in_headers.chain(uri.authority().cloned().map(Some));
    hosts.all(|host| {
        host.is_some_and(|host| {
            let name = host.host();
            is_address(name) || is_loopback(name) || is_ours(name)
        })
    })
}

fn is_address(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    address.parse::<IpAddr>().is_ok()
}

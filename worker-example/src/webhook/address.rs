//! Which addresses webhooks may go to, repositories may be at, and tasks may reach.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// IPv4 networks that are not the public Internet, from the IANA registry of special-purpose addresses, and the address of
/// Azure's metadata and agent service, which looks public.
const NOT_PUBLIC_V4: [Ipv4Net; 17] = [
    v4([0, 0, 0, 0], 8),
    v4([10, 0, 0, 0], 8),
    v4([100, 64, 0, 0], 10),
    v4([127, 0, 0, 0], 8),
    v4([168, 63, 129, 16], 32),
    v4([169, 254, 0, 0], 16),
    v4([172, 16, 0, 0], 12),
    v4([192, 0, 0, 0], 24),
    v4([192, 0, 2, 0], 24),
    v4([192, 31, 196, 0], 24),
    v4([192, 88, 99, 0], 24),
    v4([192, 168, 0, 0], 16),
    v4([198, 18, 0, 0], 15),
    v4([198, 51, 100, 0], 24),
    v4([203, 0, 113, 0], 24),
    v4([224, 0, 0, 0], 4),
    v4([240, 0, 0, 0], 4),
];

/// The public part of IPv6.
const GLOBAL_UNICAST: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);
/// Networks in it that are not public, or lead to IPv4 addresses through tunnels: protocol assignments with Teredo,
/// documentation, 6to4.
const NOT_PUBLIC_V6: [Ipv6Net; 4] = [
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23),
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32),
    v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16),
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20),
];
/// The last four bytes of such an address are the IPv4 address that a translator connects to (RFC 6052).
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);

const fn v4(address: [u8; 4], prefix: u8) -> Ipv4Net {
    let [a, b, c, d] = address;
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

#[expect(
    clippy::many_single_char_names,
    reason = "the eight parts of an address have no other names"
)]
const fn v6(address: [u16; 8], prefix: u8) -> Ipv6Net {
    let [a, b, c, d, e, f, g, h] = address;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix)
}

/// The longest host name of DNS.
const MAX_HOST: usize = 253;

/// An address that the operator permits although it is not public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AllowedAddress {
    /// A network or one address.
    Network(IpNet),
    /// A host name, which may have any address.
    Host(String),
}

impl FromStr for AllowedAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Ok(network) = text.parse::<IpNet>() {
            return Ok(Self::Network(network.trunc()));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Network(address.into()));
        }
        let name = text.trim_end_matches('.').to_ascii_lowercase();
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        let is_number = name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        if name.is_empty() || is_number || name.len() > MAX_HOST || !name.bytes().all(good) {
            return Err(
                "expected a network such as 10.0.0.0/8, an address, or a host name without port"
                    .to_owned(),
            );
        }
        Ok(Self::Host(name))
    }
}

impl AllowedAddress {
    /// Whether it is this host name.
    pub(crate) fn is_host(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.');
        matches!(self, Self::Host(name) if name.eq_ignore_ascii_case(host))
    }

    /// Whether it is a network or an address with this address in it.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        matches!(self, Self::Network(network) if network.contains(&address.to_canonical()))
    }
}

impl fmt::Display for AllowedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => network.fmt(f),
            Self::Host(host) => f.write_str(host),
        }
    }
}

/// Which addresses connections may go to: public ones, and those that the operator permits.
#[derive(Clone, Debug, Default)]
pub(crate) struct AddressPolicy {
    allowed: Vec<AllowedAddress>,
}

impl AddressPolicy {
    /// Public addresses and these.
    pub(crate) fn new(allowed: Vec<AllowedAddress>) -> Self {
        Self { allowed }
    }

    /// Whether the host may have any address.
    pub(crate) fn permits_host(&self, host: &str) -> bool {
        self.allowed.iter().any(|allowed| allowed.is_host(host))
    }

    /// Whether connections may go to this address.
    pub(crate) fn permits(&self, address: IpAddr) -> bool {
        is_public(address.to_canonical()) || self.permits_explicitly(address)
    }

    /// Whether the operator permits this address, public or not.
    pub(crate) fn permits_explicitly(&self, address: IpAddr) -> bool {
        self.allowed.iter().any(|allowed| allowed.contains(address))
    }
}

/// Whether the address belongs to the public Internet. `address` is not an IPv4 address in IPv6 form.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !NOT_PUBLIC_V4.iter().any(|net| net.contains(&address)),
        IpAddr::V6(address) if NAT64.contains(&address) => {
            let [.., a, b, c, d] = address.octets();
            is_public(Ipv4Addr::new(a, b, c, d).into())
        }
        IpAddr::V6(address) => {
            GLOBAL_UNICAST.contains(&address)
                && !NOT_PUBLIC_V6.iter().any(|net| net.contains(&address))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_internet_is_permitted() {
        let policy = AddressPolicy::default();
        for good in [
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "169.253.0.1",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
        ] {
            assert!(policy.permits(good.parse().unwrap()), "{good}");
        }
        for bad in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
        ] {
            assert!(!policy.permits(bad.parse().unwrap()), "{bad}");
        }
    }

    #[test]
    fn the_operator_can_permit_more() {
        let allowed = ["10.1.0.0/16", "127.0.0.1", "fd00::/8", "Hooks.Internal."];
        let policy = AddressPolicy::new(allowed.map(|a| a.parse().unwrap()).to_vec());
        for good in ["10.1.9.9", "127.0.0.1", "::ffff:127.0.0.1", "fd12::1"] {
            assert!(policy.permits(good.parse().unwrap()), "{good}");
        }
        for bad in ["10.2.0.1", "127.0.0.2", "169.254.169.254"] {
            assert!(!policy.permits(bad.parse().unwrap()), "{bad}");
        }
        assert!(policy.permits_host("hooks.internal") && policy.permits_host("HOOKS.internal."));
        assert!(!policy.permits_host("x.hooks.internal"));
    }

    #[test]
    fn an_entry_is_a_network_an_address_or_a_name() {
        for bad in [
            "",
            "10.0.0.0/33",
            "http://x",
            "x:80",
            "a b",
            "*",
            "10.0.0",
            "1/8",
        ] {
            assert!(bad.parse::<AllowedAddress>().is_err(), "{bad}");
        }
        let network: AllowedAddress = "10.9.9.9/8".parse().unwrap();
        assert_eq!(network.to_string(), "10.0.0.0/8");
    }
}

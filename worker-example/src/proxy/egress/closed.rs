//! Places that tasks must not reach although their addresses may be permitted: Temporal, the API, the codec server.

use std::{net::IpAddr, str::FromStr};

use url::Url;

use crate::webhook::AllowedAddress;

/// Networks, addresses or hosts, with one port or with all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClosedPlace {
    place: AllowedAddress,
    port: Option<u16>,
}

impl ClosedPlace {
    /// The server of a URL. `None` for a URL without a host or without a port.
    pub(crate) fn of_url(url: &Url) -> Option<Self> {
        let host = url.host_str()?.trim_matches(['[', ']']);
        let place = match host.parse::<IpAddr>() {
            Ok(address) => AllowedAddress::Network(address.into()),
            Err(_) => AllowedAddress::Host(host.trim_end_matches('.').to_ascii_lowercase()),
        };
        Some(Self {
            place,
            port: Some(url.port_or_known_default()?),
        })
    }

    /// Whether it has this port.
    pub(super) fn has_port(&self, port: u16) -> bool {
        self.port.is_none_or(|own| own == port)
    }

    /// The name, whose addresses have to be looked up.
    pub(super) fn host(&self) -> Option<&str> {
        match &self.place {
            AllowedAddress::Host(name) => Some(name),
            AllowedAddress::Network(_) => None,
        }
    }

    /// Whether it is this host name.
    pub(super) fn is_host(&self, host: &str) -> bool {
        self.place.is_host(host)
    }

    /// Whether it is a network or an address with this address in it.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        self.place.contains(address)
    }

    /// Its address. `None` for a name and for a network of several addresses.
    pub(super) fn address(&self) -> Option<IpAddr> {
        match &self.place {
            AllowedAddress::Network(network)
                if network.prefix_len() == network.max_prefix_len() =>
            {
                Some(network.addr())
            }
            AllowedAddress::Network(_) | AllowedAddress::Host(_) => None,
        }
    }
}

impl FromStr for ClosedPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Ok(place) = text.parse() {
            return Ok(Self { place, port: None });
        }
        let wrong =
            "expected a network such as 203.0.113.0/24, an address, a host name, or HOST:PORT";
        let (host, port) = text.rsplit_once(':').ok_or(wrong)?;
        let place = host.trim_matches(['[', ']']).parse();
        Ok(Self {
            place: place.map_err(|_| wrong)?,
            port: Some(port.parse().map_err(|_| wrong)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_network_an_address_a_name_or_one_port_of_it() {
        let place = |text: &str| text.parse::<ClosedPlace>().unwrap();
        assert!(place("Codec.Example.").is_host("codec.example."));
        assert!(place("codec.example").has_port(1) && place("codec.example").has_port(443));
        let one_port = place("codec.example:8443");
        assert!(one_port.has_port(8443) && !one_port.has_port(443));
        assert!(place("203.0.113.0/24").contains("203.0.113.9".parse().unwrap()));
        let address = place("[2001:db8::1]:443");
        assert!(address.contains("2001:db8::1".parse().unwrap()) && !address.has_port(80));
        assert!(place("2001:db8::1").has_port(80));
        for bad in [
            "",
            "a b",
            "codec.example:x",
            "codec.example:70000",
            ":80",
            "http://x",
        ] {
            assert!(bad.parse::<ClosedPlace>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_url_names_its_server() {
        let place = |text: &str| ClosedPlace::of_url(&text.parse().unwrap()).unwrap();
        assert_eq!(
            place("http://127.0.0.1:7233"),
            "127.0.0.1:7233".parse().unwrap()
        );
        assert_eq!(place("https://[::1]:7233"), "[::1]:7233".parse().unwrap());
        assert_eq!(
            place("https://API.example./v1"),
            "api.example:443".parse().unwrap()
        );
        assert_eq!(
            place("http://api.example:80"),
            "api.example:80".parse().unwrap()
        );
        assert_eq!(ClosedPlace::of_url(&"unix:/run/api".parse().unwrap()), None);
    }
}

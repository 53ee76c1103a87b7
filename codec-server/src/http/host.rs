//! The name in a `Host` header of the usual form.

use http::HeaderValue;

/// The name in a header such as `codec.example.com:8443`. `None` for every other form, such as an IPv6 address: the parser of
/// authorities reads those.
pub(super) fn usual_name(host: &HeaderValue) -> Option<&str> {
    let host = host.to_str().ok()?;
    let name = match host.split_once(':') {
        Some((name, port)) if is_port(port) => name,
        Some(_) => return None,
        None => host,
    };
    let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
    (!name.is_empty() && name.bytes().all(is_usual)).then_some(name)
}

fn is_port(port: &str) -> bool {
    (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use http::uri::Authority;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn usual_hosts_are_names_and_addresses_with_or_without_a_port() {
        let name = |host: &str| usual_name(&host.parse().unwrap()).map(str::to_owned);
        for (host, expected) in [
            ("localhost", Some("localhost")),
            ("127.0.0.1:8081", Some("127.0.0.1")),
            ("Codec.example.com:443", Some("Codec.example.com")),
            ("[::1]:8081", None),
            ("", None),
            (":80", None),
            ("a:", None),
            ("a:b", None),
            ("a:1:2", None),
            ("user@a", None),
            ("a, b", None),
        ] {
            assert_eq!(name(host).as_deref(), expected, "{host}");
        }
    }

    proptest! {
        /// The name is the one that the parser of authorities finds.
        #[test]
        fn a_usual_name_is_the_name_of_the_authority(
            host in "[a-zA-Z0-9.-]{0,12}(:[0-9]{0,6})?|[ -~]{0,12}"
        ) {
            if let Some(name) = host.parse().ok().as_ref().and_then(usual_name) {
                let authority: Authority = host.parse().unwrap();
                prop_assert_eq!(name, authority.host());
            }
        }
    }
}

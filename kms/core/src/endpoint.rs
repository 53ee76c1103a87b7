//! Where secrets may be sent: over TLS to any host, in the clear only to this machine.

use std::net::IpAddr;

use http::Uri;

/// Checks a URL without path and query, such as the one that replaces a key service's own: `https` to any host, `http`
/// to this machine only.
///
/// # Errors
/// A text for people that says what is wrong with the URL. The text does not repeat the URL, and does not say what to
/// do: the caller knows whether the URL can be left out.
pub fn check(url: &str) -> Result<(), &'static str> {
    let Ok(uri) = url.parse::<Uri>() else {
        return Err("it is not a URL");
    };
    let (Some(scheme), Some(authority), Some(host)) =
        (uri.scheme_str(), uri.authority(), uri.host())
    else {
        return Err("its form is https://HOST or https://HOST:PORT");
    };
    if authority.as_str().contains('@') {
        return Err("it must hold no user name and no password");
    }
    if uri.path() != "/" || uri.query().is_some() {
        return Err("it must have neither a path nor a query");
    }
    match scheme {
        "https" => Ok(()),
        "http" if is_loopback(host) => Ok(()),
        "http" => Err("http:// is for this machine only (localhost, 127.0.0.1, [::1])"),
        _ => Err("it must begin with https://"),
    }
}

/// Whether the text of a host name or address means this machine: `localhost`, `127.0.0.0/8`, `::1`, and IPv4 loopback
/// addresses mapped to IPv6. Names are not looked up, so that DNS cannot decide.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_spoken_to_in_the_clear() {
        for good in [
            "https://kms.eu-west-1.amazonaws.com",
            "https://vpce-1.kms.example:8443/",
            "http://127.0.0.1:4566",
            "http://localhost:4566",
            "http://[::1]:4566",
            "http://127.1.2.3",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "kms.example",
            "/path",
            "ftp://127.0.0.1",
            "http://10.0.0.1",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example",
            "http://127.0.0.1@evil.example",
            "https://user:secret@kms.example",
            "https://kms.example/path",
            "https://kms.example/?q",
        ] {
            let reason = check(bad).unwrap_err();
            assert!(!reason.contains(": ") && !reason.contains("; "), "{reason}");
        }
    }
}

//! URLs of issuers: over TLS to anywhere, in the clear to this machine only.

use temporal_kms_codec::endpoint::is_loopback;
use url::Url;

/// Reads a URL that tokens or keys may come from.
///
/// # Errors
/// What is wrong with it, for the user. The text does not repeat it.
pub(super) fn parse(text: &str) -> Result<Url, &'static str> {
    let url: Url = text
        .parse()
        .map_err(|_| "expected a URL, such as https://login.example.com")?;
    let Some(host) = url.host_str() else {
        return Err("expected a URL with a host, such as https://login.example.com");
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it must hold no user name and no password; remove them");
    }
    if url.fragment().is_some() {
        return Err("it must have no fragment; remove the # and what follows");
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(host) => Ok(url),
        "http" => Err(
            "it must begin with https://, because only servers on this machine may be asked over http://",
        ),
        _ => Err("it must begin with https://"),
    }
}

/// Whether an answer from `issuer` may send this server to `url`: an issuer elsewhere must not send it to a server on
/// this machine.
pub(super) fn may_follow(issuer: &Url, url: &Url) -> bool {
    url.scheme() == "https" || is_local(issuer)
}

fn is_local(url: &Url) -> bool {
    url.scheme() == "http" && url.host_str().is_some_and(is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_asked_in_the_clear() {
        for good in [
            "https://a.example/x",
            "http://127.0.0.1:80",
            "http://localhost/realm?x",
        ] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a.example",
            "http://a.example",
            "ftp://127.0.0.1",
            "https://u:p@a.example",
            "https://a.example/#x",
            "http://localhost.a.example",
            "file:///etc/passwd",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_issuer_elsewhere_cannot_send_us_to_this_machine() {
        let url = |text: &str| Url::parse(text).unwrap();
        let (far, near) = (url("https://a.example"), url("http://127.0.0.1:1"));
        assert!(may_follow(&far, &url("https://keys.a.example/jwks")));
        assert!(!may_follow(&far, &near));
        assert!(may_follow(&near, &near));
        assert!(may_follow(&near, &far));
    }
}

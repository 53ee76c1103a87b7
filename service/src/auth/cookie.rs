//! Cookies of a browser: reading ours, and setting them so that only this server gets them.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};

use super::refused::Refused;

/// The session. The prefix makes browsers refuse it unless this very host set it over TLS for all of its paths
/// (RFC 6265bis, section 4.1.3.2).
pub(super) const SESSION: &str = "__Host-codec-session";
/// A login that has begun.
pub(super) const LOGIN: &str = "__Host-codec-login";

/// To which requests of other sites a browser adds a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SameSite {
    /// All: the Web UI is another site, and its calls need the session.
    None,
    /// Links and redirects only, such as that of the issuer.
    Lax,
}

/// The value of the cookie `name`. HTTP/2 may split cookies into several headers (RFC 9113, section 8.2.3).
///
/// # Errors
/// When there are several of that name: another page below the same domain may have set one of them.
pub(super) fn find<'r>(headers: &'r HeaderMap, name: &str) -> Result<Option<&'r str>, Refused> {
    let mut found = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter_map(|(key, value)| (key == name).then_some(value));
    match (found.next(), found.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(Refused::repeated("the session's cookie")),
    }
}

/// A `Set-Cookie` header. `None` when `value` cannot be in one.
pub(super) fn set(
    name: &str,
    value: &str,
    same_site: SameSite,
    max_age: Duration,
) -> Option<HeaderValue> {
    let same_site = match same_site {
        SameSite::None => "None",
        SameSite::Lax => "Lax",
    };
    let seconds = max_age.as_secs();
    let text = format!(
        "{name}={value}; Path=/; Secure; HttpOnly; SameSite={same_site}; Max-Age={seconds}"
    );
    let mut header = HeaderValue::from_str(&text).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// A `Set-Cookie` header that removes a cookie.
pub(super) fn remove(name: &str, same_site: SameSite) -> Option<HeaderValue> {
    set(name, "", same_site, Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&'static str]) -> HeaderMap {
        let value = |text: &&'static str| (header::COOKIE, HeaderValue::from_static(text));
        values.iter().map(value).collect()
    }

    #[test]
    fn one_cookie_of_a_name_is_found_in_any_header() {
        let one = headers(&["a=1; __Host-codec-session=x=y; b=2", "c=3"]);
        assert_eq!(find(&one, SESSION).unwrap(), Some("x=y"));
        assert_eq!(find(&one, "c").unwrap(), Some("3"));
        assert_eq!(find(&one, "codec-session").unwrap(), None);
        assert_eq!(find(&HeaderMap::new(), SESSION).unwrap(), None);
        let two = headers(&["__Host-codec-session=x", "__Host-codec-session=y"]);
        assert!(find(&two, SESSION).is_err());
    }

    #[test]
    fn attributes_keep_a_cookie_on_this_host() {
        let set = set(SESSION, "v", SameSite::None, Duration::from_mins(1)).unwrap();
        assert_eq!(
            set.to_str().unwrap(),
            "__Host-codec-session=v; Path=/; Secure; HttpOnly; SameSite=None; Max-Age=60"
        );
        assert!(set.is_sensitive());
        let removed = remove(LOGIN, SameSite::Lax).unwrap();
        assert!(
            removed
                .to_str()
                .unwrap()
                .ends_with("SameSite=Lax; Max-Age=0")
        );
        assert!(super::set(SESSION, "a\nb", SameSite::None, Duration::ZERO).is_none());
    }
}

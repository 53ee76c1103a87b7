//! The part of a refused text that may be shown: of a key URI, of a web address, or of what was meant as one.

use super::query::split;

/// Attributes of a key's name whose values are not secret.
const SHOWN: [&str; 13] = [
    "token",
    "manufacturer",
    "model",
    "serial",
    "object",
    "type",
    "id",
    "slot-id",
    "slot-description",
    "slot-manufacturer",
    "library-manufacturer",
    "library-description",
    "library-version",
];

const SCHEMES: [&str; 8] = [
    "local://",
    "gcp-kms://",
    "gcpkms://",
    "aws-kms://",
    "awskms://",
    "pkcs11:",
    "https://",
    "http://",
];

const MAX_SHOWN: usize = 256;

/// The text without what may be a secret: see [`KeyUri::redact`](crate::KeyUri::redact).
pub(super) fn redact(text: &str) -> String {
    let scheme = SCHEMES.iter().find(|scheme| text.starts_with(**scheme));
    let Some((scheme, rest)) =
        scheme.and_then(|scheme| Some((*scheme, text.strip_prefix(scheme)?)))
    else {
        return "…".to_owned();
    };
    let (name, query) = split(rest);
    let mut shown = scheme.to_owned();
    shown.push_str(&match scheme {
        "pkcs11:" => attributes(name),
        _ => resource(name),
    });
    if let Some(query) = query {
        shown.push('?');
        shown.push_str(&parameters(query));
    }
    if shown.len() > MAX_SHOWN {
        shown = shown.chars().take(MAX_SHOWN).collect();
        shown.push('…');
    }
    shown
}

/// Whether a value is nothing but itself: no further attribute, encoded or not, hides in it.
fn is_plain(value: &str) -> bool {
    let upper = value.to_ascii_uppercase();
    value
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte))
        && !["%3D", "%3B", "%26", "%3F"]
            .iter()
            .any(|separator| upper.contains(separator))
}

fn attributes(path: &str) -> String {
    let shown = |attribute: &str| match attribute.split_once('=') {
        Some((name, value)) if SHOWN.contains(&name) && is_plain(value) => attribute.to_owned(),
        Some((name, _)) if is_name(name) => format!("{name}=…"),
        _ => "…".to_owned(),
    };
    let shown: Vec<_> = path.split(';').map(shown).collect();
    shown.join(";")
}

fn parameters(query: &str) -> String {
    let shown = |parameter: &str| match parameter.split_once('=') {
        Some(("region", value)) if is_plain(value) => parameter.to_owned(),
        Some((name, _)) if is_name(name) => format!("{name}=…"),
        _ => "…".to_owned(),
    };
    let shown: Vec<_> = query.split('&').map(shown).collect();
    shown.join("&")
}

/// A name with slashes and colons. A user name and password before `@`, and everything behind other separators, is cut.
fn resource(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~:/".contains(c);
    let (userinfo, name) = match name.rsplit_once('@') {
        Some((_, name)) => ("…@", name),
        None => ("", name),
    };
    let end = name.find(|c| !allowed(c)).unwrap_or(name.len());
    let (kept, cut) = name.split_at(end);
    let more = if cut.is_empty() { "" } else { "…" };
    format!("{userinfo}{kept}{more}")
}

fn is_name(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic() || b"_-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_uri_is_shown_as_it_is() {
        for uri in [
            "local://default",
            "gcp-kms://projects/p/locations/global/keyRings/r/cryptoKeys/k",
            "aws-kms://arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab",
            "awskms://alias/workflows?region=eu-west-1",
            "pkcs11:token=The%20token;object=temporal;slot-id=7",
            "http://10.0.0.1:4566/path",
        ] {
            assert_eq!(redact(uri), uri);
        }
    }

    #[test]
    fn no_secret_is_shown_however_it_is_written() {
        for (text, shown) in [
            (
                "pkcs11:token=t;object=o?pin-value=1234",
                "pkcs11:token=t;object=o?pin-value=…",
            ),
            (
                "pkcs11:token=t;object=o;pin-value=1234",
                "pkcs11:token=t;object=o;pin-value=…",
            ),
            (
                "pkcs11:token=t;object=o&pin-value=1234",
                "pkcs11:token=t;object=…",
            ),
            (
                "pkcs11:token=t;object=o%26pin-value%3D1234",
                "pkcs11:token=t;object=…",
            ),
            ("pkcs11:token=t;object=o;1234", "pkcs11:token=t;object=o;…"),
            (
                "pkcs11:token=t?pin-value=12&34",
                "pkcs11:token=t?pin-value=…&…",
            ),
            (
                "pkcs11:token=t?pin-value=1;token=1234",
                "pkcs11:token=t?pin-value=…",
            ),
            ("pkcs11:token=t?pin%2dvalue=1234", "pkcs11:token=t?…"),
            ("PKCS11:pin-value=1234", "…"),
            ("aws-kms://AKIA:1234@alias/a", "aws-kms://…@alias/a"),
            (
                "aws-kms://alias/a?secret=1234&region=eu-west-1",
                "aws-kms://alias/a?secret=…&region=eu-west-1",
            ),
            ("gcp-kms://projects/p#token=1234", "gcp-kms://projects/p…"),
            ("local://default&password=1234", "local://default…"),
            ("https://user:1234@example.com", "https://…@example.com"),
            (
                "https://a.example/?token=1234",
                "https://a.example/?token=…",
            ),
            ("https://a.example/#1234", "https://a.example/…"),
            ("postgres://user:1234@a.example", "…"),
            ("1234", "…"),
            ("", "…"),
        ] {
            assert_eq!(redact(text), shown, "{text}");
            assert!(!redact(text).contains("1234"), "{text}");
        }
    }

    #[test]
    fn what_is_shown_is_short_and_of_one_line() {
        let shown = redact(&format!("local://{}", "a".repeat(10_000)));
        assert!(shown.chars().count() <= MAX_SHOWN + 1);
        assert_eq!(redact("local://a\u{1b}[2Jb"), "local://a…");
        assert_eq!(redact("pkcs11:token=a\nb"), "pkcs11:token=…");
    }
}

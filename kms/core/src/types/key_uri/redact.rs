//! The part of a refused text that may be shown, for key URIs and web addresses, also with mistakes in them.

use super::query::split;
use crate::Scheme;

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

/// Beside the schemes of the known services: those of Go CDK, and of web addresses.
const OTHER_SCHEMES: [&str; 4] = ["gcpkms://", "awskms://", "https://", "http://"];

const MAX_SHOWN: usize = 256;

/// The text without its possible secrets: see [`KeyUri::redact`](crate::KeyUri::redact).
pub(super) fn redact(text: &str) -> String {
    let known = Scheme::KNOWN.map(|scheme| format!("{scheme}{}", scheme.separator()));
    let others = OTHER_SCHEMES.map(str::to_owned);
    let mut schemes = known.iter().chain(&others);
    let Some(scheme) = schemes.find(|scheme| text.starts_with(scheme.as_str())) else {
        return "…".to_owned();
    };
    let (name, query) = split(text.get(scheme.len()..).unwrap_or_default());
    let mut shown = scheme.clone();
    shown.push_str(&if scheme.ends_with("://") {
        resource(name)
    } else {
        attributes(name)
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

/// Whether a value hides no further attribute, encoded or not.
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

/// A name with slashes and colons. A user name and password before `@` are cut, and so is everything after other
/// separators.
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
mod tests;

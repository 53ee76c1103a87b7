//! The claims of a token whose signature is valid.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use crate::auth::refused::TokenFault;

/// No subject, e-mail address or audience is longer.
const MOST_TEXT: usize = 1024;

/// What a token must say.
pub(super) struct Expected<'e> {
    pub(super) issuer: &'e str,
    /// One of them must be in the token.
    pub(super) audience: &'e [String],
    pub(super) clock_skew: Duration,
    pub(super) now: SystemTime,
}

/// Checks the claims that every token must have.
pub(super) fn check(
    claims: &Map<String, Value>,
    expected: &Expected<'_>,
) -> Result<(), TokenFault> {
    if issuer(claims)? != expected.issuer {
        return Err(TokenFault::Issuer);
    }
    if !audiences(claims)?
        .iter()
        .any(|audience| expected.audience.iter().any(|one| one == audience))
    {
        return Err(TokenFault::Audience);
    }
    let now = expected
        .now
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64();
    let skew = expected.clock_skew.as_secs_f64();
    let expires = time(claims, "exp")?.ok_or(TokenFault::Claim("exp"))?;
    if now >= expires + skew {
        return Err(TokenFault::Expired);
    }
    for name in ["nbf", "iat"] {
        if time(claims, name)?.is_some_and(|from| now + skew < from) {
            return Err(TokenFault::NotYetValid);
        }
    }
    Ok(())
}

/// The issuer, before anything is checked.
pub(super) fn issuer(claims: &Map<String, Value>) -> Result<&str, TokenFault> {
    text(claims, "iss")?.ok_or(TokenFault::Claim("iss"))
}

/// The subject, which is unique within the issuer.
pub(super) fn subject(claims: &Map<String, Value>) -> Result<&str, TokenFault> {
    text(claims, "sub")?.ok_or(TokenFault::Claim("sub"))
}

/// A claim that is a short text, if it is there.
pub(super) fn text<'c>(
    claims: &'c Map<String, Value>,
    name: &'static str,
) -> Result<Option<&'c str>, TokenFault> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if (1..=MOST_TEXT).contains(&text.len()) => Ok(Some(text)),
        Some(_) => Err(TokenFault::Claim(name)),
    }
}

/// The value of a claim that the configuration names: by its name, or by a path such as `/realm_access/roles`
/// (RFC 6901).
pub(super) fn find<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c Value> {
    let Some(path) = name.strip_prefix('/') else {
        return claims.get(name);
    };
    let (first, rest) = match path.split_once('/') {
        Some((first, rest)) => (first, Some(rest)),
        None => (path, None),
    };
    let first = first.replace("~1", "/").replace("~0", "~");
    let value = claims.get(&first)?;
    match rest {
        Some(rest) => value.pointer(&format!("/{rest}")),
        None => Some(value),
    }
}

/// The texts in a list, or one text. Other values are left out.
pub(super) fn texts(value: Option<&Value>) -> impl Iterator<Item = &str> {
    let (one, many) = match value {
        Some(Value::Array(items)) => (None, items.as_slice()),
        Some(Value::String(text)) => (Some(text.as_str()), Default::default()),
        _ => (None, Default::default()),
    };
    one.into_iter().chain(many.iter().filter_map(Value::as_str))
}

fn audiences(claims: &Map<String, Value>) -> Result<Vec<&str>, TokenFault> {
    const FAULT: TokenFault = TokenFault::Claim("aud");
    match claims.get("aud") {
        Some(Value::String(one)) => Ok(vec![one]),
        Some(Value::Array(items)) if !items.is_empty() => items
            .iter()
            .map(|item| item.as_str().ok_or(FAULT))
            .collect(),
        _ => Err(FAULT),
    }
}

/// A time in seconds since 1970, which may have a fraction.
fn time(claims: &Map<String, Value>, name: &'static str) -> Result<Option<f64>, TokenFault> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::Number(number)) => {
            let seconds = number.as_f64().filter(|seconds| seconds.is_finite());
            seconds.map(Some).ok_or(TokenFault::Claim(name))
        }
        Some(_) => Err(TokenFault::Claim(name)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn fault(more: &Value) -> Option<TokenFault> {
        let mut claims =
            json!({ "iss": "https://i", "sub": "s", "aud": "codec", "exp": NOW + 600 });
        let claims = claims.as_object_mut().unwrap();
        for (name, value) in more.as_object().unwrap() {
            if *value == json!("missing") {
                claims.remove(name);
            } else {
                claims.insert(name.clone(), value.clone());
            }
        }
        let expected = Expected {
            issuer: "https://i",
            audience: &["other".to_owned(), "codec".to_owned()],
            clock_skew: Duration::from_mins(1),
            now: UNIX_EPOCH + Duration::from_secs(NOW),
        };
        check(claims, &expected).err()
    }

    #[test]
    fn valid_claims_pass() {
        for more in [
            json!({}),
            json!({ "aud": ["x", "codec"] }),
            json!({ "exp": NOW - 59, "nbf": NOW + 60, "iat": NOW + 60 }),
            json!({ "exp": 1_800_000_000.5 }),
            json!({ "nbf": 0 }),
        ] {
            assert_eq!(fault(&more), None, "{more}");
        }
    }

    #[test]
    fn wrong_claims_are_refused() {
        for (more, expected) in [
            (json!({ "aud": "missing" }), TokenFault::Claim("aud")),
            (json!({ "aud": [] }), TokenFault::Claim("aud")),
            (json!({ "aud": ["codec", 1] }), TokenFault::Claim("aud")),
            (json!({ "aud": { "codec": 1 } }), TokenFault::Claim("aud")),
            (json!({ "aud": "Codec" }), TokenFault::Audience),
            (json!({ "aud": ["codecs", ""] }), TokenFault::Audience),
            (json!({ "iss": "missing" }), TokenFault::Claim("iss")),
            (json!({ "iss": ["https://i"] }), TokenFault::Claim("iss")),
            (json!({ "iss": "https://i/" }), TokenFault::Issuer),
            (json!({ "exp": "missing" }), TokenFault::Claim("exp")),
            (json!({ "exp": null }), TokenFault::Claim("exp")),
            (json!({ "exp": "1900000000" }), TokenFault::Claim("exp")),
            (json!({ "exp": NOW - 60 }), TokenFault::Expired),
            (json!({ "exp": -1 }), TokenFault::Expired),
            (json!({ "nbf": NOW + 61 }), TokenFault::NotYetValid),
            (json!({ "iat": NOW + 61 }), TokenFault::NotYetValid),
            (json!({ "nbf": "0" }), TokenFault::Claim("nbf")),
            (
                json!({ "exp": 1e300, "nbf": 1e300 }),
                TokenFault::NotYetValid,
            ),
        ] {
            assert_eq!(fault(&more), Some(expected), "{more}");
        }
    }

    #[test]
    fn claims_are_found_by_name_or_by_path() {
        let claims = json!({ "https://x/roles": ["a"], "realm_access": { "roles": ["b"], "x/y": "c" }, "one": "d", "odd": [1, "e", null] });
        let claims = claims.as_object().unwrap();
        let found = |name: &str| -> Vec<&str> { texts(find(claims, name)).collect() };
        assert_eq!(found("https://x/roles"), ["a"]);
        assert_eq!(found("/realm_access/roles"), ["b"]);
        assert_eq!(found("/realm_access/x~1y"), ["c"]);
        assert_eq!(found("/one"), ["d"]);
        assert_eq!(found("odd"), ["e"]);
        for nothing in ["roles", "/realm_access", "/one/two", "/", ""] {
            assert!(found(nothing).is_empty(), "{nothing}");
        }
    }
}

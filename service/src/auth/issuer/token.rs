//! A signed JWT (RFC 7519) as it arrives: split, decoded, and not yet believed.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::{
    algorithm::Algorithm,
    json::{NotUnique, UniqueObject},
};
use crate::auth::refused::TokenFault;

/// Types of tokens that may be presented. Tokens of other types are made for other purposes, such as a logout
/// (RFC 8725, section 3.11).
const TYPES: [&str; 2] = ["jwt", "at+jwt"];

/// A token whose signature and claims are not checked yet.
pub(in crate::auth) struct Unverified<'t> {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
    pub(super) claims: Map<String, Value>,
    /// What is signed.
    pub(super) message: &'t [u8],
    pub(super) signature: Vec<u8>,
}

/// Whether a text has the form of a signed JWT: three parts, the first of which is the base64 of `{` and of `"` or white
/// space.
pub(in crate::auth) fn looks_like_jwt(token: &str) -> bool {
    (token.starts_with("ey") || token.starts_with("ew")) && token.split('.').count() == 3
}

impl<'t> Unverified<'t> {
    /// Reads a token. Header parameters that name keys (`jku`, `jwk`, `x5u`, `x5c`) are ignored.
    pub(super) fn read(token: &'t str) -> Result<Self, TokenFault> {
        let (message, signature) = token.rsplit_once('.').ok_or(TokenFault::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(TokenFault::Malformed)?;
        let header = object(header)?;
        if header.contains_key("crit") {
            return Err(TokenFault::Critical);
        }
        let algorithm = header
            .get("alg")
            .and_then(Value::as_str)
            .and_then(Algorithm::named)
            .ok_or(TokenFault::Algorithm)?;
        let key_id = text(&header, "kid")?.map(str::to_owned);
        if let Some(kind) = text(&header, "typ")? {
            let kind = kind.to_ascii_lowercase();
            let kind = kind.strip_prefix("application/").unwrap_or(&kind);
            if !TYPES.contains(&kind) {
                return Err(TokenFault::Malformed);
            }
        }
        Ok(Self {
            algorithm,
            key_id,
            claims: object(claims)?,
            message: message.as_bytes(),
            signature: decode(signature)?,
        })
    }
}

fn text<'h>(header: &'h Map<String, Value>, name: &str) -> Result<Option<&'h str>, TokenFault> {
    match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(TokenFault::Malformed),
    }
}

fn object(part: &str) -> Result<Map<String, Value>, TokenFault> {
    match UniqueObject::read(&decode(part)?) {
        Ok(UniqueObject(object)) => Ok(object),
        Err(NotUnique::Malformed) => Err(TokenFault::Malformed),
        Err(NotUnique::Duplicate) => Err(TokenFault::Duplicate),
    }
}

fn decode(part: &str) -> Result<Vec<u8>, TokenFault> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| TokenFault::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, claims: &str) -> String {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{}", encode(header), encode(claims), encode("s"))
    }

    fn fault(header: &str, claims: &str) -> Option<TokenFault> {
        Unverified::read(&token(header, claims)).err()
    }

    #[test]
    fn headers_that_name_keys_are_ignored() {
        let header = r#"{"alg":"RS256","kid":"k","typ":"JWT","jku":"https://evil.example","x5u":"https://evil.example","x5c":["AA=="],"jwk":{"kty":"oct"},"n":1}"#;
        let text = token(header, r#"{"iss":"i"}"#);
        let read = Unverified::read(&text).unwrap();
        assert_eq!(read.key_id.as_deref(), Some("k"));
        assert_eq!(read.algorithm, Algorithm::Rs256);
        assert!(looks_like_jwt(&text));
    }

    #[test]
    fn odd_headers_are_refused() {
        for (header, expected) in [
            (r#"{"alg":"none"}"#, TokenFault::Algorithm),
            (r#"{"alg":"HS256"}"#, TokenFault::Algorithm),
            (r#"{"alg":["RS256"]}"#, TokenFault::Algorithm),
            ("{}", TokenFault::Algorithm),
            (r#"{"alg":"RS256","crit":["exp"]}"#, TokenFault::Critical),
            (r#"{"alg":"RS256","crit":[]}"#, TokenFault::Critical),
            (r#"{"alg":"RS256","alg":"RS256"}"#, TokenFault::Duplicate),
            (r#"{"alg":"RS256","kid":1}"#, TokenFault::Malformed),
            (
                r#"{"alg":"RS256","typ":"logout+jwt"}"#,
                TokenFault::Malformed,
            ),
            (r#"{"alg":"RS256","typ":1}"#, TokenFault::Malformed),
            ("[]", TokenFault::Malformed),
        ] {
            assert_eq!(fault(header, "{}"), Some(expected), "{header}");
        }
        let duplicate = r#"{"sub":"a","sub":"b"}"#;
        assert_eq!(
            fault(r#"{"alg":"RS256"}"#, duplicate),
            Some(TokenFault::Duplicate)
        );
        assert_eq!(
            fault(r#"{"alg":"RS256","typ":"application/at+JWT"}"#, "{}"),
            None
        );
    }

    #[test]
    fn other_numbers_of_parts_and_odd_base64_are_refused() {
        let whole = token(r#"{"alg":"RS256"}"#, "{}");
        for text in [
            "",
            ".",
            "..",
            "a.b",
            "ey.ey.ey.ey.ey",
            &format!("{whole}."),
            &format!(".{whole}"),
            &format!("{whole}="),
            &format!(" {whole}"),
            &whole.replace('.', ".."),
        ] {
            assert!(Unverified::read(text).is_err(), "{text}");
        }
    }
}

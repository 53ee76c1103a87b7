//! Tokens of any content.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::{Key, key::jwk_with};

/// The claims of a token that is valid for ten minutes.
#[must_use]
pub fn claims(issuer: &str, subject: &str, audience: &str) -> Value {
    let now = now();
    json!({ "iss": issuer, "sub": subject, "aud": audience, "iat": now, "exp": now + 600 })
}

pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("the clock is after 1970").as_secs()
}

/// A token that `key` signs. `header` adds to `alg`, `kid` and `typ`, or replaces them.
#[must_use]
pub fn sign(key: &Key, algorithm: &str, header: &Value, claims: &Value) -> String {
    let own = json!({ "alg": algorithm, "kid": key.id(), "typ": "JWT" });
    let message = message(&jwk_with(own, header).to_string(), &claims.to_string());
    let signature = key.sign(algorithm, message.as_bytes());
    join(&message, &signature)
}

/// A token without a signature: `alg` is `none`, or as `header` says.
#[must_use]
pub fn unsigned(header: &Value, claims: &Value) -> String {
    let own = json!({ "alg": "none", "typ": "JWT" });
    let message = message(&jwk_with(own, header).to_string(), &claims.to_string());
    join(&message, &[])
}

/// A token by HS256 whose key is the text or bytes of a public key, for servers that mistake one for the other.
#[must_use]
pub fn hmac_with_public_key(public: &[u8], id: &str, claims: &Value) -> String {
    let header = json!({ "alg": "HS256", "kid": id, "typ": "JWT" });
    let message = message(&header.to_string(), &claims.to_string());
    let key = hmac::Key::new(hmac::HMAC_SHA256, public);
    join(&message, hmac::sign(&key, message.as_bytes()).as_ref())
}

/// What is signed.
pub(crate) fn message(header: &str, claims: &str) -> String {
    format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    )
}

pub(crate) fn join(message: &str, signature: &[u8]) -> String {
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

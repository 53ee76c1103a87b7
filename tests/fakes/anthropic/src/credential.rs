//! Which credential a request carried, as a hash.

use axum::http::{HeaderMap, header};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// How the credential was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialKind {
    /// An API key, in `x-api-key`.
    ApiKey,
    /// An OAuth token, as `Authorization: Bearer`.
    OauthToken,
}

/// The credential of one request, as a hash. The credential itself is not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// How it was sent.
    pub kind: CredentialKind,
    /// SHA-256 of its bytes, in lower-case hexadecimal.
    pub sha256: String,
}

impl Credential {
    /// The credential in these headers, if there is one.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        if let Some(key) = headers.get("x-api-key") {
            return Some(Self {
                kind: CredentialKind::ApiKey,
                sha256: sha256_hex(key.as_bytes()),
            });
        }
        let token = headers
            .get(header::AUTHORIZATION)?
            .as_bytes()
            .strip_prefix(b"Bearer ")?;
        Some(Self {
            kind: CredentialKind::OauthToken,
            sha256: sha256_hex(token),
        })
    }
}

/// SHA-256 in lower-case hexadecimal.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_hash_of_either_kind_only() {
        let mut headers = HeaderMap::new();
        assert_eq!(Credential::of(&headers), None);
        headers.insert(header::AUTHORIZATION, "Bearer abc".parse().unwrap());
        let credential = Credential::of(&headers).unwrap();
        assert_eq!(credential.kind, CredentialKind::OauthToken);
        assert_eq!(
            credential.sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        headers.insert("x-api-key", "abc".parse().unwrap());
        assert_eq!(
            Credential::of(&headers).unwrap().kind,
            CredentialKind::ApiKey
        );
    }
}

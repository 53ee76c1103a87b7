//! `[auth.tokens.NAME]`: tokens for programs. The configuration has their hashes.

use std::{fmt, time::SystemTime};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};
use temporal_kms::support::random;
use zeroize::Zeroizing;

use super::{
    identity::{Identity, Method},
    permissions::{Permission, Permissions},
    refused::{Refused, TokenFault},
};
use crate::settings::Section;

/// How a token begins, so that scanners for leaked secrets can find it.
const PREFIX: &str = "tkc_";
const SECRET_BYTES: usize = 32;
/// The base64 of the secret.
const SECRET_CHARACTERS: usize = 43;

type Hash = [u8; 32];

/// A new token, and what the configuration needs of it.
pub struct NewToken {
    /// The token, for the program that calls. It is erased when it is dropped.
    pub token: Zeroizing<String>,
    /// Its SHA-256 in hexadecimal, for `sha256` of `[auth.tokens.NAME]`.
    pub sha256: String,
}

impl NewToken {
    /// Makes a token from 256 random bits.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn generate() -> Result<Self, random::NoRandomness> {
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        random::fill_from_system(secret.as_mut_slice()).map_err(|_| random::NoRandomness)?;
        let mut token = Zeroizing::new(String::with_capacity(PREFIX.len() + SECRET_CHARACTERS + 1));
        token.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(secret.as_slice(), &mut token);
        let sha256 = hex::encode(hash(&token));
        Ok(Self { token, sha256 })
    }
}

impl fmt::Debug for NewToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewToken")
            .field("token", &"[redacted]")
            .field("sha256", &self.sha256)
            .finish()
    }
}

/// A caller with a token of the configuration.
#[derive(Clone, Debug)]
pub(super) struct TokenConfig {
    /// `sha256`: the hashes of its tokens. Several are for the time of a rotation.
    pub(super) hashes: Vec<Hash>,
    /// `permissions`.
    permissions: Vec<Permission>,
    /// `expires`. Default: never.
    expires: Option<SystemTime>,
}

impl TokenConfig {
    /// `None` when it has mistakes, which are reported.
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let hashes = section.list("sha256", read_hash);
        let permissions = section.list("permissions", |text| Ok(Permission::parse(text)?));
        let expires = section.text("expires", |text| {
            let expected = "expected a time in UTC in quotes, such as \"2027-01-31T00:00:00Z\"";
            humantime::parse_rfc3339(text).map_err(|_| expected.to_owned())
        });
        if !section.holds("sha256") || hashes.as_ref().is_some_and(Vec::is_empty) {
            section.report(
                "`sha256` has no hash; run `codec-server token` to make a token and its hash",
            );
        }
        if !section.holds("permissions") || permissions.as_ref().is_some_and(Vec::is_empty) {
            section.report("`permissions` is empty; add what the token may do, such as permissions = [\"payments:read\"]");
        }
        section.finish();
        Some(Self {
            hashes: hashes?,
            permissions: permissions?,
            expires,
        })
    }
}

fn read_hash(text: &str) -> Result<Hash, String> {
    let expected = "expected the SHA-256 of a token, 64 hexadecimal digits; run `codec-server token` to make both";
    if text.starts_with(PREFIX) {
        return Err(format!(
            "this is a token and not its hash, so it is not secret any more. Make another one; {expected}"
        ));
    }
    let mut hash = Hash::default();
    match hex::decode_to_slice(text, &mut hash) {
        Ok(()) => Ok(hash),
        Err(_) => Err(expected.to_owned()),
    }
}

/// All tokens of the configuration.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    entries: Vec<(Hash, usize)>,
    callers: Vec<(Identity, Option<SystemTime>)>,
}

impl Tokens {
    pub(super) fn new<'c>(
        configs: impl IntoIterator<Item = (&'c String, &'c TokenConfig)>,
    ) -> Self {
        let mut tokens = Self::default();
        for (name, config) in configs {
            let permissions: Permissions = config.permissions.iter().collect();
            let caller = tokens.callers.len();
            let entries = config.hashes.iter().map(|hash| (*hash, caller));
            tokens.entries.extend(entries);
            let identity = Identity::new(name, Method::StaticToken, permissions);
            tokens.callers.push((identity, config.expires));
        }
        tokens
    }

    /// Whether a text has the form of a token of ours. It says nothing about whether the configuration has it.
    pub(super) fn is_token(text: &str) -> bool {
        text.strip_prefix(PREFIX).is_some_and(|secret| {
            let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            secret.len() == SECRET_CHARACTERS && secret.bytes().all(is_base64)
        })
    }

    /// The caller that has a token. All hashes are compared, in a time that does not depend on them.
    pub(super) fn find(&self, token: &str, now: SystemTime) -> Result<Identity, Refused> {
        let presented = hash(token);
        let mut found = u64::MAX;
        for (hash, caller) in &self.entries {
            let is_it: Choice = hash.ct_eq(&presented);
            found = u64::conditional_select(&found, &(*caller as u64), is_it);
        }
        let caller = usize::try_from(found).ok();
        let (identity, expires) = caller
            .and_then(|caller| self.callers.get(caller))
            .ok_or(TokenFault::Unknown)?;
        if expires.is_some_and(|expires| now >= expires) {
            return Err(TokenFault::Expired.into());
        }
        Ok(identity.clone())
    }
}

fn hash(token: &str) -> Hash {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_new_token_is_found_by_its_hash_only() {
        let (one, other) = (NewToken::generate().unwrap(), NewToken::generate().unwrap());
        assert_ne!(*one.token, *other.token);
        assert!(Tokens::is_token(&one.token), "{}", one.token.len());
        let now = SystemTime::now();
        let config = |expires| TokenConfig {
            hashes: vec![[7; 32], read_hash(&one.sha256).unwrap()],
            permissions: vec![Permission::parse("a:read").unwrap()],
            expires,
        };
        let name = "worker".to_owned();
        let find = |expires, token: &str| Tokens::new([(&name, &config(expires))]).find(token, now);
        let identity = find(None, &one.token).unwrap();
        assert_eq!(identity.subject(), "worker");
        assert_eq!(identity.method(), Method::StaticToken);
        assert_eq!(
            find(None, &other.token).unwrap_err(),
            TokenFault::Unknown.into()
        );
        assert!(find(Some(now + Duration::from_secs(1)), &one.token).is_ok());
        assert_eq!(
            find(Some(now), &one.token).unwrap_err(),
            TokenFault::Expired.into()
        );
        assert!(Tokens::default().find(&one.token, now).is_err());
        let shown = format!("{one:?}");
        assert!(!shown.contains(one.token.as_str()), "{shown}");
    }

    #[test]
    fn short_and_odd_texts_are_not_tokens() {
        let token = NewToken::generate().unwrap().token;
        for text in [
            "",
            "tkc_",
            "tkc_password",
            &token[1..],
            &format!("{}a", *token),
            &token.replace('_', "/"),
        ] {
            assert!(!Tokens::is_token(text), "{text}");
        }
    }

    #[test]
    fn a_token_in_the_configuration_is_not_repeated() {
        let token = NewToken::generate().unwrap().token;
        let error = read_hash(&token).unwrap_err();
        assert!(error.contains("Make another one") && !error.contains(token.as_str()));
        assert!(read_hash(&"a".repeat(63)).is_err());
    }
}

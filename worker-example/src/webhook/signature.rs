//! The signature of a webhook: HMAC-SHA256 over the timestamp, a full stop, and the body.

use std::{env, fmt};

use aws_lc_rs::hmac::{self, HMAC_SHA256, Key};
use thiserror::Error;
use zeroize::Zeroizing;

/// The header with the time of sending, in seconds since 1970.
pub(crate) const TIMESTAMP_HEADER: &str = "X-Webhook-Timestamp";
/// The header with the signature: `sha256=` and hexadecimal digits.
pub(crate) const SIGNATURE_HEADER: &str = "X-Webhook-Signature";
/// The variable with the secret that signs.
///
/// | variable | meaning |
/// |---|---|
/// | `CLOUDRUN_CALLBACK_SECRET`, `CLOUDRUN_CALLBACK_SECRET_PREVIOUS` | the secret that signs webhooks, and the one before it |
pub(crate) const SECRET: &str = "CLOUDRUN_CALLBACK_SECRET";
/// The variable with the secret of before, while receivers change to the new one.
pub(crate) const PREVIOUS_SECRET: &str = "CLOUDRUN_CALLBACK_SECRET_PREVIOUS";

const SCHEME: &str = "sha256=";
/// A shorter secret can be found by trying, from one webhook.
const SHORT_SECRET: usize = 16;

/// A signing secret.
#[derive(Clone)]
pub(crate) struct CallbackSecret(Key);

/// The secrets that sign and verify webhooks: the current one, and during a rotation the previous one.
#[derive(Clone, Debug)]
pub(crate) struct CallbackSecrets {
    current: CallbackSecret,
    previous: Option<CallbackSecret>,
}

/// The variables hold no usable secret.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum SecretError {
    /// A variable is not text.
    #[error("{0} is not UTF-8 text; set it to the secret that the receivers of webhooks have")]
    NotText(&'static str),
    /// Only the previous secret is set.
    #[error("{PREVIOUS_SECRET} is set and {SECRET} is not; set {SECRET} to the new secret")]
    OnlyPrevious,
}

impl CallbackSecret {
    /// A secret. Line breaks at its end are not part of it, because tools that write secrets to files add one.
    pub(crate) fn new(text: &str) -> Self {
        Self(Key::new(
            HMAC_SHA256,
            text.trim_end_matches(['\r', '\n']).as_bytes(),
        ))
    }

    pub(super) fn key(&self) -> &Key {
        &self.0
    }
}

/// Shows nothing.
impl fmt::Debug for CallbackSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallbackSecret(…)")
    }
}

impl CallbackSecrets {
    /// Secrets from texts.
    pub(crate) fn new(current: &str, previous: Option<&str>) -> Self {
        Self {
            current: CallbackSecret::new(current),
            previous: previous.map(CallbackSecret::new),
        }
    }

    /// The secrets of the environment. `None` if it has no secrets. An empty variable counts as not set.
    ///
    /// # Errors
    /// When a variable is not text, or only the previous secret is set.
    pub(crate) fn from_env() -> Result<Option<Self>, SecretError> {
        let current = variable(SECRET)?;
        let previous = variable(PREVIOUS_SECRET)?;
        let Some(current) = current else {
            return if previous.is_some() {
                Err(SecretError::OnlyPrevious)
            } else {
                Ok(None)
            };
        };
        if current.len() < SHORT_SECRET {
            tracing::warn!(
                "{SECRET} has fewer than {SHORT_SECRET} bytes and can be guessed; make one with `openssl rand -hex 32`"
            );
        }
        Ok(Some(Self::new(
            &current,
            previous.as_ref().map(|p| p.as_str()),
        )))
    }

    /// The secret that signs first.
    pub(super) fn current(&self) -> &CallbackSecret {
        &self.current
    }

    /// The secret that signs first, and the one for receivers that do not have it yet.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = &CallbackSecret> {
        std::iter::once(&self.current).chain(&self.previous)
    }

    /// Whether one of the secrets made the signature. The comparison takes the same time for every wrong signature.
    pub(crate) fn verify(&self, timestamp: &str, body: &[u8], signature: &[u8]) -> bool {
        let signed = signed_bytes(timestamp, body);
        self.in_order()
            .any(|secret| hmac::verify(&secret.0, &signed, signature).is_ok())
    }
}

fn variable(name: &'static str) -> Result<Option<Zeroizing<String>>, SecretError> {
    match env::var(name) {
        Ok(text) if text.trim().is_empty() => Ok(None),
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(SecretError::NotText(name)),
    }
}

/// The value of the signature's header for a body that is sent at this time.
pub(crate) fn sign(secret: &CallbackSecret, timestamp: &str, body: &[u8]) -> String {
    let tag = hmac::sign(&secret.0, &signed_bytes(timestamp, body));
    format!("{SCHEME}{}", hex::encode(tag))
}

/// The bytes of a signature's header. `None` if it is not one.
pub(super) fn parse(header: &str) -> Option<Vec<u8>> {
    hex::decode(header.trim().strip_prefix(SCHEME)?).ok()
}

fn signed_bytes(timestamp: &str, body: &[u8]) -> Vec<u8> {
    [timestamp.as_bytes(), b".", body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_as_openssl_does() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac secret
        let secret = CallbackSecret::new("secret\n");
        assert_eq!(
            sign(&secret, "1700000000", br#"{"a":1}"#),
            "sha256=49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686"
        );
        assert!(!format!("{secret:?}").contains("secret\""));
    }

    #[test]
    fn either_secret_of_a_rotation_verifies() {
        let secrets = CallbackSecrets::new("new", Some("old"));
        for (secret, good) in [("new", true), ("old", true), ("other", false), ("", false)] {
            let header = sign(&CallbackSecret::new(secret), "5", b"body");
            let signature = parse(&header).unwrap();
            assert_eq!(secrets.verify("5", b"body", &signature), good, "{secret}");
            assert!(!secrets.verify("6", b"body", &signature));
            assert!(!secrets.verify("5", b"Body", &signature));
            assert!(!secrets.verify("5", b"body", &signature[..31]));
        }
    }

    #[test]
    fn only_the_scheme_of_the_contract_is_a_signature() {
        for bad in ["", "sha256=", "sha1=00", "sha256=0", "sha256=zz", "00"] {
            let parsed = parse(bad).filter(|bytes| !bytes.is_empty());
            assert_eq!(parsed, None, "{bad}");
        }
        assert_eq!(parse(" sha256=0aFF "), Some(vec![10, 255]));
    }
}

//! Removes the task's secrets from what the CLI prints: a tool that prints its environment would
//! otherwise put the credential into the log.

use crate::{request::TaskRequest, secret::Secret};
use std::{borrow::Cow, fmt};
use zeroize::Zeroizing;

/// What stands in a secret's place.
const MARK: &str = "[redacted]";
/// A shorter value would be found by chance in text that has nothing to do with it.
const SHORTEST: usize = 8;

/// Knows the secrets of one task. It finds them as they are and as JSON strings hold them; an
/// encoding of another kind (base64, reversed) it cannot know.
pub(super) struct Redactor {
    needles: Vec<Zeroizing<String>>,
}

impl Redactor {
    /// The credential and the environment's secrets of a request.
    #[must_use]
    pub(super) fn of(request: &TaskRequest) -> Self {
        let credential = request
            .credential()
            .map(super::super::request::Credential::secret);
        Self::new(
            credential
                .into_iter()
                .chain(request.environment_secrets.values()),
        )
    }

    /// These secrets; the very short ones are left alone.
    pub(super) fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut needles = Vec::new();
        for secret in secrets {
            let plain = secret.to_zeroizing();
            if plain.len() < SHORTEST {
                continue;
            }
            let quoted = Zeroizing::new(serde_json::to_string(plain.as_str()).unwrap_or_default());
            let escaped = quoted
                .get(1..quoted.len().saturating_sub(1))
                .unwrap_or_default();
            if !escaped.is_empty() && escaped != plain.as_str() {
                needles.push(Zeroizing::new(escaped.to_owned()));
            }
            needles.push(plain);
        }
        // A secret that contains another one must go first, or its rest would stay.
        needles.sort_by_key(|needle| std::cmp::Reverse(needle.len()));
        Self { needles }
    }

    /// The text without the secrets.
    #[must_use]
    pub(super) fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for needle in &self.needles {
            if text.contains(needle.as_str()) {
                text = Cow::Owned(text.replace(needle.as_str(), MARK));
            }
        }
        text
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor")
            .field("secrets", &self.needles.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor(secrets: &[&str]) -> Redactor {
        let secrets: Vec<_> = secrets
            .iter()
            .map(|s| Secret::new((*s).to_owned()))
            .collect();
        Redactor::new(&secrets)
    }

    #[test]
    fn replaces_plain_and_escaped_forms() {
        let redactor = redactor(&["sk-ant-12345", "two\nlines \"quoted\""]);
        assert_eq!(
            redactor.redact("a sk-ant-12345sk-ant-12345 b"),
            "a [redacted][redacted] b"
        );
        assert_eq!(
            redactor.redact(r#"{"t":"two\nlines \"quoted\""}"#),
            r#"{"t":"[redacted]"}"#
        );
        assert_eq!(redactor.redact("two\nlines \"quoted\"!"), "[redacted]!");
        assert!(matches!(redactor.redact("nothing"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_longer_secret_goes_first_and_short_ones_stay() {
        let redactor = redactor(&["abcdefgh", "abcdefgh-ijkl", "abc"]);
        assert_eq!(redactor.redact("abcdefgh-ijkl abc"), "[redacted] abc");
        assert!(!format!("{redactor:?}").contains("abc"));
    }
}

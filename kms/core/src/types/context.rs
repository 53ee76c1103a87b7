//! Pairs that are authenticated with a payload, and their canonical form.

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::{configuration_error::ConfigurationError, namespace::Namespace};

/// The name of the pair that every context of a codec holds.
pub const NAMESPACE: &str = "namespace";

/// AWS KMS allows 8,192 characters of encryption context; the other services allow more.
const MAX_BYTES: usize = 8192;
const MAX_PAIRS: usize = 32;

/// Why bytes are not an encryption context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContextError {
    /// They are longer than any context.
    #[error("the encryption context is longer than {MAX_BYTES} bytes; use fewer or shorter pairs")]
    TooLong,
    /// They are not the canonical form of a context.
    #[error("{0}; check the program that wrote it")]
    Malformed(&'static str),
}

impl ContextError {
    /// The most bytes of a context in canonical form.
    pub const MAX_BYTES: usize = MAX_BYTES;
}

/// Name–value pairs that are authenticated with a payload, but not encrypted. A payload that was sealed under one
/// context does not open under another.
///
/// Its bytes are the RFC 8785 (JCS) form of a JSON object with string values. A context without pairs has no bytes. A
/// context is stored in the clear, so it must not hold secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct EncryptionContext {
    pairs: Arc<BTreeMap<String, String>>,
    canonical: Arc<[u8]>,
}

impl EncryptionContext {
    /// The context without any pair.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            pairs: Arc::default(),
            canonical: Arc::default(),
        }
    }

    /// A context with these pairs.
    ///
    /// # Errors
    /// With more than 32 pairs, an empty name, or more than 8,192 bytes in canonical form.
    pub fn new(pairs: BTreeMap<String, String>) -> Result<Self, ConfigurationError> {
        let invalid = |reason| Err(ConfigurationError::invalid("encryption context", reason));
        if pairs.len() > MAX_PAIRS {
            return invalid("it holds more than 32 pairs; remove some");
        }
        if pairs.contains_key("") {
            return invalid("it holds a pair without a name; name it");
        }
        let canonical = canonical_json(&pairs);
        if canonical.len() > MAX_BYTES {
            return invalid("it is longer than 8,192 bytes; use fewer or shorter pairs");
        }
        Ok(Self {
            pairs: Arc::new(pairs),
            canonical: canonical.into(),
        })
    }

    /// Reads the context of a payload. Only the canonical form is accepted, so that the pairs that code checks are
    /// exactly the bytes that are authenticated.
    ///
    /// # Errors
    /// [`ContextError::Malformed`] when `bytes` are not the canonical form of a context.
    pub fn parse(bytes: &[u8]) -> Result<Self, ContextError> {
        if bytes.is_empty() {
            return Ok(Self::empty());
        }
        if bytes.len() > MAX_BYTES {
            return Err(ContextError::TooLong);
        }
        let pairs: BTreeMap<String, String> = serde_json::from_slice(bytes).map_err(|_| {
            ContextError::Malformed("the encryption context is not a JSON object of strings")
        })?;
        let context = Self::new(pairs).map_err(|_| {
            ContextError::Malformed("the encryption context has too many or unnamed pairs")
        })?;
        if context.as_bytes() != bytes {
            return Err(ContextError::Malformed(
                "the encryption context is not in canonical form",
            ));
        }
        Ok(context)
    }

    /// The canonical form, which is stored and authenticated.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.canonical
    }

    /// The pairs, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of one pair.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.get(name).map(String::as_str)
    }

    /// Whether the context has no pair.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The context of one namespace's payloads: `namespace` and the configured pairs.
    ///
    /// # Errors
    /// As [`new`](Self::new), and when a pair is called `namespace`.
    pub fn for_namespace(
        namespace: &Namespace,
        mut pairs: BTreeMap<String, String>,
    ) -> Result<Self, ConfigurationError> {
        match pairs.insert(NAMESPACE.to_owned(), namespace.to_string()) {
            Some(_) => Err(ConfigurationError::invalid(
                "encryption context",
                "the pair `namespace` is set by the codec itself; remove it",
            )),
            None => Self::new(pairs),
        }
    }
}

impl fmt::Debug for EncryptionContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// RFC 8785 for an object of strings: names ordered by their UTF-16 code units (section 3.2.3), and the escapes of
/// section 3.2.2.2, which are those that `serde_json` writes.
fn canonical_json(pairs: &BTreeMap<String, String>) -> Vec<u8> {
    if pairs.is_empty() {
        return Vec::new();
    }
    let mut ordered: Vec<_> = pairs.iter().collect();
    ordered.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));

    let mut json = String::from("{");
    for (index, (name, value)) in ordered.into_iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        json.push_str(&quoted(name));
        json.push(':');
        json.push_str(&quoted(value));
    }
    json.push('}');
    json.into_bytes()
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
        let pairs = pairs
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect();
        EncryptionContext::new(pairs).unwrap()
    }

    #[test]
    fn an_empty_context_has_no_bytes() {
        assert!(EncryptionContext::empty().as_bytes().is_empty());
        assert_eq!(
            EncryptionContext::parse(b"").unwrap(),
            EncryptionContext::empty()
        );
        assert!(
            EncryptionContext::parse(b"{}").is_err(),
            "two forms of one context"
        );
    }

    #[test]
    fn escapes_as_rfc_8785_does() {
        let json = context(&[("q", "\u{8}\t\n\u{c}\r\u{1f}\u{7f}\"\\/€")]);
        assert_eq!(
            std::str::from_utf8(json.as_bytes()).unwrap(),
            "{\"q\":\"\\b\\t\\n\\f\\r\\u001f\u{7f}\\\"\\\\/€\"}"
        );
    }

    /// The example of RFC 8785, section 3.2.3, with names that UTF-8 and UTF-16 order differently.
    #[test]
    fn orders_names_by_utf16_code_units() {
        let json = context(&[
            ("\u{20ac}", "Euro Sign"),
            ("\r", "Carriage Return"),
            ("\u{fb33}", "Hebrew Letter Dalet With Dagesh"),
            ("1", "One"),
            ("\u{1f600}", "Emoji: Grinning Face"),
            ("\u{80}", "Control"),
            ("\u{f6}", "Latin Small Letter O With Diaeresis"),
        ]);
        let values: Vec<String> =
            serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(json.as_bytes())
                .map(|_| {
                    let text = std::str::from_utf8(json.as_bytes()).unwrap();
                    text.split("\":\"")
                        .skip(1)
                        .map(|v| v.split('"').next().unwrap().to_owned())
                        .collect()
                })
                .unwrap();
        assert_eq!(
            values,
            [
                "Carriage Return",
                "One",
                "Control",
                "Latin Small Letter O With Diaeresis",
                "Euro Sign",
                "Emoji: Grinning Face",
                "Hebrew Letter Dalet With Dagesh"
            ]
        );
    }

    #[test]
    fn refuses_every_other_form_of_the_same_pairs() {
        for other in [
            r#"{ "namespace":"default"}"#,
            r#"{"namespace":"default"} "#,
            r#"{"namespace":"d\u0065fault"}"#,
            r#"{"namespace":"other","namespace":"default"}"#,
            r#"{"namespace":"default","a":"b"}"#,
            r#"{"namespace":1}"#,
            r#"{"namespace":"\ud800"}"#,
            r#"{"\udc00":"default"}"#,
            r#"["namespace"]"#,
            r#"{"":"x"}"#,
            "\"namespace\"",
        ] {
            let parsed = EncryptionContext::parse(other.as_bytes());
            assert!(
                matches!(parsed, Err(ContextError::Malformed(_))),
                "{other}: {parsed:?}"
            );
        }
    }

    #[test]
    fn every_error_names_the_context_and_says_what_to_do() {
        let malformed = EncryptionContext::parse(b"[]").unwrap_err();
        for (error, remedy) in [
            (ContextError::TooLong, "use fewer or shorter pairs"),
            (malformed, "check the program that wrote it"),
        ] {
            // A new variant does not compile until it is here.
            match error {
                ContextError::TooLong | ContextError::Malformed(_) => {}
            }
            let text = error.to_string();
            assert!(text.starts_with("the encryption context "), "{text}");
            assert!(text.ends_with(remedy), "{text}");
        }
    }

    #[test]
    fn limits_size_and_count() {
        let many = (0..33).map(|n| (n.to_string(), String::new())).collect();
        assert!(EncryptionContext::new(many).is_err());
        let long = [("k".to_owned(), "v".repeat(MAX_BYTES))].into();
        assert!(EncryptionContext::new(long).is_err());
        assert!(matches!(
            EncryptionContext::parse(&vec![b' '; MAX_BYTES + 1]),
            Err(ContextError::TooLong)
        ));
    }

    proptest! {
        #[test]
        fn canonical_bytes_round_trip(pairs in prop::collection::btree_map(".{1,12}", ".{0,12}", 0..8)) {
            let context = EncryptionContext::new(pairs).unwrap();
            prop_assert_eq!(EncryptionContext::parse(context.as_bytes()).unwrap(), context);
        }

        #[test]
        fn parsing_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = EncryptionContext::parse(&bytes);
        }
    }
}

//! The values of labels. They come from the configuration only, so that no caller can invent one.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry::{StringValue, Value};
use parking_lot::RwLock;
use temporal_kms_codec::{KeyUri, Namespace};

use crate::namespaces::Pattern;

/// The value for everything that is not configured.
const OTHER: &str = "other";
/// The value where a request named nothing, or was refused before it was read.
const NONE: &str = "none";

/// The most namespaces that have a value of their own.
const MOST_NAMESPACES: usize = 500;
/// The most keys that have a value of their own.
const MOST_KEYS: usize = 100;
/// The most issuers that have a value of their own.
const MOST_ISSUERS: usize = 50;
/// The most versions of one key that have a value of their own.
const MOST_VERSIONS: usize = 20;
/// The longest version of a key. The longest that is known is a SHA-256 in hexadecimal digits.
const LONGEST_VERSION: usize = 64;

/// The names that the configuration has.
#[derive(Debug, Default)]
pub(super) struct Labels {
    known: RwLock<Known>,
    versions: RwLock<BTreeMap<KeyUri, BTreeSet<String>>>,
}

#[derive(Debug, Default)]
struct Known {
    namespaces: BTreeMap<Namespace, StringValue>,
    patterns: Vec<(Pattern, StringValue)>,
    keys: BTreeMap<KeyUri, StringValue>,
    issuers: BTreeMap<String, StringValue>,
}

impl Labels {
    pub(super) fn set_namespaces(&self, namespaces: impl IntoIterator<Item = Namespace>) {
        let named = namespaces.into_iter().take(MOST_NAMESPACES);
        let named = named.map(|name| (name.clone(), value(name.as_str())));
        self.known.write().namespaces = named.collect();
    }

    /// Gives the namespaces of a pattern one value, which is the pattern.
    pub(super) fn set_patterns(&self, patterns: impl IntoIterator<Item = Pattern>) {
        let named = patterns.into_iter().take(MOST_NAMESPACES);
        let named = named.map(|pattern| (pattern.clone(), value(pattern.as_str())));
        self.known.write().patterns = named.collect();
    }

    pub(super) fn set_keys(&self, keys: impl IntoIterator<Item = KeyUri>) {
        let named = keys.into_iter().take(MOST_KEYS);
        let named = named.map(|key| (key.clone(), value(&key.to_string())));
        self.known.write().keys = named.collect();
    }

    /// Gives an issuer a value of its own. Only an issuer of the configuration can authenticate a caller.
    pub(super) fn learn_issuer(&self, issuer: &str) {
        if self.known.read().issuers.contains_key(issuer) {
            return;
        }
        let issuers = &mut self.known.write().issuers;
        if issuers.len() < MOST_ISSUERS {
            issuers.insert(issuer.to_owned(), value(issuer));
        }
    }

    pub(super) fn namespace(&self, namespace: Option<&Namespace>) -> Value {
        let Some(namespace) = namespace else {
            return NONE.into();
        };
        let known = self.known.read();
        let by_pattern = || {
            let mut patterns = known.patterns.iter();
            let found = patterns.find(|(pattern, _)| pattern.matches(namespace.as_str()));
            found.map(|(_, value)| value)
        };
        known
            .namespaces
            .get(namespace)
            .or_else(by_pattern)
            .map_or_else(|| OTHER.into(), |value| value.clone().into())
    }

    pub(super) fn key(&self, key: &KeyUri) -> Value {
        let known = self.known.read();
        known
            .keys
            .get(key)
            .map_or_else(|| OTHER.into(), |value| value.clone().into())
    }

    pub(super) fn issuer(&self, issuer: Option<&str>) -> Value {
        let Some(issuer) = issuer else {
            return NONE.into();
        };
        let known = self.known.read();
        known
            .issuers
            .get(issuer)
            .map_or_else(|| OTHER.into(), |value| value.clone().into())
    }

    /// The version of a key as the service named it. Only the first versions of a configured key have their own value.
    pub(super) fn version(&self, key: &KeyUri, version: Option<&str>) -> Value {
        let Some(version) = version else {
            return "unknown".into();
        };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if version.len() > LONGEST_VERSION
            || !version.bytes().all(is_plain)
            || !self.known.read().keys.contains_key(key)
        {
            return OTHER.into();
        }
        let is_known = |versions: &BTreeSet<String>| versions.contains(version);
        if self.versions.read().get(key).is_some_and(is_known) {
            return version.to_owned().into();
        }
        let mut versions = self.versions.write();
        let versions = versions.entry(key.clone()).or_default();
        if versions.len() >= MOST_VERSIONS && !versions.contains(version) {
            return OTHER.into();
        }
        versions.insert(version.to_owned());
        version.to_owned().into()
    }

    /// The namespaces that have a value of their own.
    pub(super) fn namespaces(&self) -> Vec<Value> {
        let known = self.known.read();
        known
            .namespaces
            .values()
            .map(|value| value.clone().into())
            .collect()
    }

    /// The keys that have a value of their own.
    pub(super) fn keys(&self) -> Vec<Value> {
        let known = self.known.read();
        known
            .keys
            .values()
            .map(|value| value.clone().into())
            .collect()
    }
}

fn value(text: &str) -> StringValue {
    std::sync::Arc::<str>::from(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespace(name: &str) -> Namespace {
        Namespace::new(name).unwrap()
    }

    #[test]
    fn only_configured_names_have_a_value() {
        let labels = Labels::default();
        labels.set_namespaces([namespace("prod")]);
        assert_eq!(labels.namespace(Some(&namespace("prod"))), "prod".into());
        assert_eq!(labels.namespace(Some(&namespace("evil"))), OTHER.into());
        assert_eq!(labels.namespace(None), NONE.into());
        labels.set_patterns([Pattern::new("team-*").unwrap()]);
        for name in ["team-a", "team-b"] {
            assert_eq!(labels.namespace(Some(&namespace(name))), "team-*".into());
        }
        labels.set_namespaces((0..10_000).map(|n| namespace(&format!("n{n}"))));
        assert_eq!(labels.namespaces().len(), MOST_NAMESPACES);
    }

    #[test]
    fn versions_of_a_key_are_bounded() {
        let labels = Labels::default();
        let key: KeyUri = "local://k".parse().unwrap();
        assert_eq!(labels.version(&key, Some("1")), OTHER.into());
        labels.set_keys([key.clone()]);
        let values: BTreeSet<String> = (0..10_000)
            .map(|n| labels.version(&key, Some(&n.to_string())).to_string())
            .collect();
        assert_eq!(values.len(), MOST_VERSIONS + 1);
        assert!(values.contains(OTHER));
        assert_eq!(labels.version(&key, Some("a\"b")), OTHER.into());
        assert_eq!(labels.version(&key, None), "unknown".into());
    }
}

//! The namespaces that are configured by their names. To find one takes as long with 10,000 of them as with ten.

use std::collections::{BTreeMap, HashSet};

use temporal_kms_codec::Namespace;

/// A value for each name.
#[derive(Debug)]
pub(super) struct Exact<T> {
    values: BTreeMap<Namespace, T>,
    /// The names in lower case, for readers that ignore case.
    lower: HashSet<String>,
}

impl<T> FromIterator<(Namespace, T)> for Exact<T> {
    fn from_iter<I: IntoIterator<Item = (Namespace, T)>>(values: I) -> Self {
        let values: BTreeMap<Namespace, T> = values.into_iter().collect();
        let lower = values.keys().map(|name| name.as_str().to_ascii_lowercase());
        Self {
            lower: lower.collect(),
            values,
        }
    }
}

impl<T> Exact<T> {
    pub(super) fn get(&self, name: &str) -> Option<&T> {
        self.values.get(name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    pub(super) fn has_ignoring_case(&self, name: &str) -> bool {
        self.lower.contains(&name.to_ascii_lowercase())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Namespace> {
        self.values.keys()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.values.values()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Namespace, &T)> {
        self.values.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_with_and_without_their_case() {
        let namespace = |name| Namespace::new(name).unwrap();
        let exact = Exact::from_iter([(namespace("Team-Ä"), 1), (namespace("other"), 2)]);
        assert_eq!(exact.get("Team-Ä"), Some(&1));
        assert_eq!(exact.get("team-Ä"), None);
        assert!(exact.has("other") && !exact.has("Other") && !exact.has(""));
        assert!(exact.has_ignoring_case("TEAM-Ä") && exact.has_ignoring_case("OTHER"));
        // Only ASCII letters have two cases here, as in the names of hosts and paths.
        assert!(!exact.has_ignoring_case("team-ä") && !exact.has_ignoring_case("oth"));
    }
}

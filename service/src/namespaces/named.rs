//! Which namespaces a server serves, and with what settings.

use std::collections::BTreeMap;

use temporal_kms_codec::Namespace;

use super::{
    NamespaceConfig,
    pattern::{Pattern, Patterns},
};

/// The namespaces that a server serves.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a server has one value of this type"
)]
pub enum NamespacesConfig {
    /// The namespaces of the file, each with its own settings. Without a file, it is the namespace of the library's variables.
    Named(NamedNamespaces),
    /// Any namespace that a request names, all with the same settings: for development.
    Any(NamespaceConfig),
}

/// Namespaces by their names, and by patterns of names.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct NamedNamespaces {
    /// The settings of single namespaces.
    pub exact: BTreeMap<Namespace, NamespaceConfig>,
    /// The settings of all other namespaces whose names have a form.
    pub patterns: Patterns<NamespaceConfig>,
}

impl NamedNamespaces {
    /// Namespaces by their names and by patterns.
    #[must_use]
    pub fn new(
        exact: BTreeMap<Namespace, NamespaceConfig>,
        patterns: Patterns<NamespaceConfig>,
    ) -> Self {
        Self { exact, patterns }
    }

    /// The settings of a namespace: those of its name, else those of the pattern that describes the name most closely.
    #[must_use]
    pub fn get(&self, namespace: &Namespace) -> Option<&NamespaceConfig> {
        let exact = self.exact.get(namespace);
        exact.or_else(|| Some(&self.patterns.get(namespace.as_str())?.1))
    }

    /// All settings, each with the name of its section.
    pub fn sections(&self) -> impl Iterator<Item = (&str, &NamespaceConfig)> {
        let exact = self.exact.iter();
        let exact = exact.map(|(name, config)| (name.as_str(), config));
        let patterns = self.patterns.iter();
        exact.chain(patterns.map(|(pattern, config): &(Pattern, _)| (pattern.as_str(), config)))
    }
}

impl<const N: usize> From<[(Namespace, NamespaceConfig); N]> for NamedNamespaces {
    fn from(exact: [(Namespace, NamespaceConfig); N]) -> Self {
        Self::new(exact.into(), Patterns::default())
    }
}

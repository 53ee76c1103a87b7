//! Which namespaces a server serves, and with what settings.

use std::collections::{BTreeMap, BTreeSet};

use temporal_kms_codec::{KeyUri, Namespace};

use super::{
    DEFAULT_NAMESPACE, NamespaceConfig,
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

impl NamespacesConfig {
    /// The namespaces that are known before the first request. Where any namespace is served, it is `default`.
    #[must_use]
    pub fn names(&self) -> Vec<Namespace> {
        match self {
            Self::Named(named) => named.exact.keys().cloned().collect(),
            Self::Any(_) => Namespace::new(DEFAULT_NAMESPACE).into_iter().collect(),
        }
    }

    /// The patterns of further namespaces.
    #[must_use]
    pub fn patterns(&self) -> Vec<Pattern> {
        match self {
            Self::Named(named) => named
                .patterns
                .iter()
                .map(|(pattern, _)| pattern.clone())
                .collect(),
            Self::Any(_) => Vec::new(),
        }
    }

    /// Every key that a namespace encrypts or decrypts with, once.
    #[must_use]
    pub fn keys(&self) -> BTreeSet<KeyUri> {
        let configs = self.configs().into_iter();
        let keys = configs.flat_map(|config| config.encrypt.iter().chain(&config.decrypt));
        keys.cloned().collect()
    }

    /// Every key that a namespace encrypts with, once.
    #[must_use]
    pub fn encrypting_keys(&self) -> BTreeSet<KeyUri> {
        let configs = self.configs().into_iter();
        configs
            .flat_map(|config| &config.encrypt)
            .cloned()
            .collect()
    }

    fn configs(&self) -> Vec<&NamespaceConfig> {
        match self {
            Self::Named(named) => named.sections().map(|(_, config)| config).collect(),
            Self::Any(config) => vec![config],
        }
    }
}

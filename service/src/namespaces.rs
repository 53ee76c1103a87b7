//! The namespaces that a server serves: their settings, and a codec for each.

mod check;
mod config;
mod registry;
mod sections;
mod unopened;

use std::collections::{BTreeMap, BTreeSet};

use temporal_kms_codec::{KeyUri, Namespace};

pub use check::{faults, missing_files};
pub use config::{NamespaceConfig, OnUndecodable};
pub use registry::{Keys, NamespaceCodec, Namespaces, OpenError, UnknownNamespace};
pub use sections::read;

/// The namespace of a request that does not name one.
pub const DEFAULT_NAMESPACE: &str = "default";

/// The namespaces that a server serves.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a server has one value of this type"
)]
pub enum NamespacesConfig {
    /// The namespaces of the file, each with its own settings. Without a file, it is the namespace of the library's variables.
    Named(BTreeMap<Namespace, NamespaceConfig>),
    /// Any namespace that a request names, all with the same settings: for development.
    Any(NamespaceConfig),
}

impl NamespacesConfig {
    /// The namespaces that are known before the first request. Where any namespace is served, it is `default`.
    #[must_use]
    pub fn names(&self) -> Vec<Namespace> {
        match self {
            Self::Named(named) => named.keys().cloned().collect(),
            Self::Any(_) => Namespace::new(DEFAULT_NAMESPACE).into_iter().collect(),
        }
    }

    /// Every key that a namespace encrypts or decrypts with, once.
    #[must_use]
    pub fn keys(&self) -> BTreeSet<KeyUri> {
        self.configs()
            .flat_map(|config| config.encrypt.iter().chain(&config.decrypt))
            .cloned()
            .collect()
    }

    /// Every key that a namespace encrypts with, once.
    #[must_use]
    pub fn encrypting_keys(&self) -> BTreeSet<KeyUri> {
        let configs = self.configs();
        configs
            .flat_map(|config| &config.encrypt)
            .cloned()
            .collect()
    }

    fn configs(&self) -> impl Iterator<Item = &NamespaceConfig> {
        let (named, any) = match self {
            Self::Named(named) => (Some(named.values()), None),
            Self::Any(config) => (None, Some(config)),
        };
        named.into_iter().flatten().chain(any)
    }
}

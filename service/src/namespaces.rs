//! The namespaces that a server serves: their settings, and a codec for each.

mod check;
mod config;
mod registry;
mod sections;
mod unopened;

use std::collections::BTreeMap;

use temporal_kms_codec::Namespace;

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

//! The namespaces that a server serves: their settings, and a codec for each.

mod check;
mod config;
mod exact;
mod keys;
mod limits;
mod named;
mod on_demand;
mod opening;
mod pattern;
mod registry;
mod sections;
mod unopened;

pub use check::{faults, missing_files};
pub use config::{NamespaceConfig, OnUndecodable};
pub use keys::Keys;
pub use limits::NamespaceLimits;
pub use named::{NamedNamespaces, NamespacesConfig};
pub use opening::{OpenError, Reuse};
pub use pattern::{Pattern, Patterns};
pub use registry::{NamespaceCodec, Namespaces, UnknownNamespace};
pub use sections::read;

/// The namespace of a request that does not name one.
pub const DEFAULT_NAMESPACE: &str = "default";

//! The configuration: one TOML file, environment variables over it, and every mistake in them reported at once.
//!
//! | section | keys |
//! |---|---|
//! | `[server]` | `listen`, `admin_listen`, `allowed_hosts`, the limits and timeouts of [`ServerConfig`] |
//! | `[cors]` | `allowed_origins`, `allow_local_origins`, `allow_credentials`, `max_age` |
//! | `[cache]` | `data_keys`, `ttl`: unwrapped data keys that are kept for decoding |
//! | `[keys]` | how key management services are reached: `local_keyring`, `gcp_…`, `aws_…`, `pkcs11_…`, `[keys.calls]` |
//! | `[namespaces.NAME]` | the settings of [`NamespaceConfig`] |
//!
//! The environment variable of a key outside of `[namespaces]` is `CODEC_`, the section and the key in capitals:
//! `CODEC_SERVER_LISTEN`, `CODEC_CORS_ALLOWED_ORIGINS` (commas between the items of a list),
//! `CODEC_KEYS_LOCAL_KEYRING`. What `[keys]` leaves open is taken from the services' own variables
//! ([`KmsOptions::from_env`]). Without a file the namespace is the one of the library's variables
//! ([`CodecSettings::from_env`](temporal_kms_codec::CodecSettings::from_env)).

mod cache;
mod check;
mod cors;
mod keys;
mod load;
mod namespace;
mod problem;
mod section;
mod server;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeMap;

use temporal_kms_codec::{Namespace, kms::KmsOptions};

pub use cors::CorsConfig;
pub use namespace::{NamespaceConfig, OnUndecodable};
pub use problem::{Place, Problem, Problems};
pub(crate) use server::{DEFAULT_LISTEN, address, loopback};
pub use server::{Limits, ServerConfig, Timeouts};
pub(crate) use values::bytes;

/// Everything that `serve` needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Listeners, limits and timeouts.
    pub server: ServerConfig,
    /// Which web pages may call.
    pub cors: CorsConfig,
    /// What opening a key takes beyond its URI.
    pub keys: KmsOptions,
    /// What is served.
    pub namespaces: NamespacesConfig,
}

/// The namespaces that a server serves.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one for each server")]
pub enum NamespacesConfig {
    /// Those of the file, each with settings of its own; without a file the one that the library's variables describe.
    Named(BTreeMap<Namespace, NamespaceConfig>),
    /// Any namespace that a request names, all with the same settings: for development.
    Any(NamespaceConfig),
}

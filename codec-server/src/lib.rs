//! The codec server: what Temporal's Web UI, `temporal` and `tctl` call to show people the plaintext that they may see.
//!
//! [`Server`] is the server itself, [`Config`](config::Config) its configuration, and [`cli`] the program around them.
//!
//! Plaintext exists in memory only, for as long as a request takes. It is in no log line, and in no answer but
//! the one that was asked for it.

pub mod cli;
pub mod config;
mod http;
mod namespaces;
mod readiness;
mod server;
mod shutdown;
#[cfg(test)]
mod test_keys;

pub use namespaces::OpenError;
pub use server::{Server, ServerError};
/// Asks a [`Server`] to stop, from any place that holds a clone.
pub use tokio_util::sync::CancellationToken;

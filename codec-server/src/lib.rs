//! The codec server: what Temporal's Web UI, `temporal` and `tctl` call to show people the plaintext that they may see.
//!
//! [`Server`] is the server itself, [`Config`](config::Config) its configuration, and [`cli`] the program around them.
//!
//! Plaintext exists in memory only, for as long as a request takes. It never appears in a log line, and
//! only in the answer to the request that asked for it.

#[doc(hidden)]
pub mod bench;
pub mod cli;
pub mod config;
mod error;
mod generation;
mod http;
mod live;
mod namespaces;
mod reload;
mod server;
mod shared;

pub use error::ServerError;
pub use server::Server;
pub use temporal_kms_codec_service::{lifecycle::CancellationToken, namespaces::OpenError};

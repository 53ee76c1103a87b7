//! What tasks leave outside of Temporal, in a folder or a bucket: the sealed secrets of requests, logs, and artefacts.
//!
//! | object | what it holds |
//! |---|---|
//! | `encrypted-payloads/{namespace}/{taskId}` | the secrets of a request, until its task ends |
//! | `sessions/{taskId}/NNN-YYYYMMDD-HHMMSS.jsonl` | the events of a task, in chunks |
//! | `sessions/{taskId}/metadata.json` | how the task ended |
//! | `sessions/{taskId}/uploads/{path}` | files that the task asked to keep |
//!
//! Every object is sealed with the keys of the codec. Its context names the namespace, the task and the object, so an object
//! that was moved does not open.

mod error;
#[cfg(test)]
pub(crate) mod for_tests;
mod location;
mod objects;
mod secrets;
mod session_log;
mod sessions;
mod sweep;
mod vault;

pub(crate) use error::StoreError;
pub(crate) use location::VARIABLES;
pub use location::{LocationError, StoreLocation};
pub(crate) use objects::Objects;
pub(crate) use session_log::{LONGEST_CHUNK, StoreLog};
pub(crate) use sweep::{expire_sessions, unneeded_secrets};
pub(crate) use vault::Vault;

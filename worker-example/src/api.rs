//! The HTTP API of the task service.
//!
//! The API keeps no state. A task is a workflow, and its owner is in the workflow's encrypted memo. So several processes can
//! serve the API, and each of them can end at any moment: tasks continue, and a stream can be resumed at another process.
//!
//! `router` names the paths, and each path has a file. `access` finds the caller and counts its requests. `audited` writes the
//! audit log's line of each. `live` has what `reload` replaces when the configuration changes. Every refusal is an
//! [`error::ApiError`], which one function turns into an answer. `unread` reads the body of a request that was refused by its head.

mod access;
mod app;
mod audited;
mod body;
mod cancel;
mod chunk_fetch;
mod clients;
mod config;
mod departures;
mod error;
mod events;
mod health;
mod held_chunk;
mod live;
mod log_places;
mod logged;
mod logs;
mod openapi;
mod origin;
mod record;
mod reload;
mod router;
mod run;
mod server;
mod sse;
mod start;
mod task_state;
mod tasks;
mod unread;

pub(crate) use app::timestamp;
pub(crate) use config::ApiConfig;
pub(crate) use origin::Origin;
pub(crate) use server::{Api, ApiAudit, ApiServerError};

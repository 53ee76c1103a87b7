//! `claude-tasks api` with a real Temporal server, and the clients of the original service.

mod clients;
mod document;
mod owners;
mod streams;
pub(crate) mod support;

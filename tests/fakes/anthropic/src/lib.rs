//! A small local Anthropic Messages API, enough for the real Claude Code CLI to run against.
//!
//! Markers in the prompt script its answers (see [`Script`]), so a test knows the answer beforehand. It does not store
//! requests. It keeps only the SHA-256 of a credential, so a test can show that the right credential arrived without
//! storing it.
//!
//! ```text
//! fake-anthropic --listen 127.0.0.1:0
//! listening on http://127.0.0.1:40123
//! ```
//! `GET /_requests` tells what arrived: method, path, status, the credential's kind and hash.

mod conversation;
mod credential;
mod reply;
mod script;
mod server;

pub use credential::{Credential, CredentialKind, sha256_hex};
pub use script::{Script, Step};
pub use server::{Options, Record, Server};

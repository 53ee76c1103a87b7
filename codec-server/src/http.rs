//! The remote codec protocol over HTTP.
//!
//! A request passes these steps: the log line, CORS (which answers every `OPTIONS`), the checks of host and origin, the
//! route, the namespace, the body, a permit, the codec. Each step refuses with a `RequestError`, which one function turns
//! into an answer. Bodies, payloads and answers are counted against one limit of
//! memory.

mod admin;
mod answer_io;
mod app;
mod body;
mod connection;
mod log;
mod memory;
mod origin;
mod placeholder;
mod places;

mod request_error;
mod request_id;
mod route;
mod shown_ciphertext;
mod transform;

use bytes::Bytes;
use http_body_util::Full;

pub(crate) use admin::admin;
pub(crate) use app::{App, service};
pub(crate) use connection::{Serve, serve};

/// Every answer is complete in memory before its status is sent, so it cannot fail half-way.
pub(crate) type Response = http::Response<Full<Bytes>>;

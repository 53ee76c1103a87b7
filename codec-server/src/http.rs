//! The remote codec protocol over HTTP.
//!
//! A request passes, from the outside in: the log line, CORS (which answers every `OPTIONS`), the checks of host and
//! origin, the route, the namespace, a permit to be worked on, the body, the codec. Whatever refuses it does so
//! as a `Refusal`, which one function turns into an answer.

mod admin;
mod app;
mod body;
mod connection;
mod log;
mod origin;
mod placeholder;
mod refusal;
mod route;
mod transform;

use bytes::Bytes;
use http_body_util::Full;

pub(crate) use admin::admin;
pub(crate) use app::{App, service};
pub(crate) use connection::{Serve, serve};

/// Every answer is in memory when its status is decided: nothing can fail half-way.
pub(crate) type Response = http::Response<Full<Bytes>>;

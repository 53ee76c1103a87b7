//! The remote codec protocol over HTTP.
//!
//! `router` names the paths. A codec path is any path that ends in `/encode`, `/decode` or `/download`, so it is the
//! router's fallback. [`record`] gives every request its id and writes its lines in both logs. CORS is a layer around every path,
//! and answers every `OPTIONS`. Codec requests that no web page sends pass routes and CORS by. [`pipeline`] has the steps of a
//! codec request in their order, and each step has a file.
//! A step refuses with a `RequestError`, which one function turns into an answer. Bodies, payloads and answers are counted
//! against one limit of memory.

mod admission;
mod answer;
mod answer_body;
mod app;
mod audited;
mod authenticate;
mod body;
mod connection;
mod host;
mod known_metadata;
mod log;
mod login;
mod memory;
mod named_keys;
mod namespace;
mod origin;
mod page;
mod permit;
mod pipeline;
mod place;
mod placeholder;
mod places;
mod record;
mod request_error;
mod request_facts;
mod route;
mod router;
mod shown_ciphertext;
mod status;
mod transform;
mod whoami;

use temporal_kms_codec_service::request_id;

pub(crate) use app::App;
pub(crate) use connection::{Service, serve};
pub(crate) use router::{answer, answer_by_routes, router};

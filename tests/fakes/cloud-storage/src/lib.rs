//! A small Google Cloud Storage for tests, with objects in memory.
//!
//! It has what clients use to write, read, list and delete objects, in both APIs: the XML API, with which `object_store` writes,
//! and the JSON API of Google's own clients. It checks no credential. Operations that it does not have are answered by 501, so
//! that no test takes them for done.
//!
//! - XML API: <https://cloud.google.com/storage/docs/xml-api/reference-methods>
//! - JSON API: <https://cloud.google.com/storage/docs/json_api/v1>

mod json;
mod multipart;
mod object;
mod query;
mod refusal;
mod server;
mod store;
mod xml;

pub use server::{Options, Server};

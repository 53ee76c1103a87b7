//! An object, and what both APIs tell of it.

use std::time::SystemTime;

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, Response, StatusCode, header},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// An object. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) bytes: Bytes,
    /// The number of this version. A new version has a larger one.
    pub(crate) generation: u64,
    pub(crate) updated: SystemTime,
    pub(crate) content_type: String,
}

impl Object {
    /// The CRC32C in the form of `x-goog-hash` and of the JSON API.
    pub(crate) fn crc32c(&self) -> String {
        STANDARD.encode(crc32c::crc32c(&self.bytes).to_be_bytes())
    }

    pub(crate) fn etag(&self) -> String {
        format!("\"{:x}-{}\"", self.generation, self.bytes.len())
    }

    /// As RFC 3339 has it.
    pub(crate) fn updated(&self) -> String {
        humantime::format_rfc3339_millis(self.updated).to_string()
    }

    /// The answer to a download.
    pub(crate) fn download(&self) -> Response<Body> {
        let mut response = self.without_content(StatusCode::OK);
        let kind = HeaderValue::try_from(self.content_type.as_str());
        let kind = kind.unwrap_or(HeaderValue::from_static("application/octet-stream"));
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        *response.body_mut() = self.bytes.clone().into();
        response
    }

    /// An answer with the headers of the object.
    pub(crate) fn without_content(&self, status: StatusCode) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        for (name, value) in [
            ("etag", self.etag()),
            ("last-modified", httpdate::fmt_http_date(self.updated)),
            ("x-goog-generation", self.generation.to_string()),
            ("x-goog-hash", format!("crc32c={}", self.crc32c())),
            ("x-goog-stored-content-length", self.bytes.len().to_string()),
            ("x-goog-stored-content-encoding", "identity".to_owned()),
        ] {
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

//! The proxy's own answers, in the form of the API's errors.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use serde_json::json;

/// The body of an answer.
pub(super) type AnswerBody = UnsyncBoxBody<Bytes, reqwest::Error>;

/// An error of the proxy. Claude Code shows its message.
pub(super) fn error(status: StatusCode, kind: &str, message: &str) -> Response<AnswerBody> {
    let body = json!({"type": "error", "error": {"type": kind, "message": message}}).to_string();
    let body = Full::new(Bytes::from(body)).map_err(|never| match never {});
    let mut answer = Response::new(body.boxed_unsync());
    *answer.status_mut() = status;
    answer.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    answer
}

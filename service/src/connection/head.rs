//! The length of a request's head. The HTTP library limits it by its read buffer, which is larger so that bodies are read
//! fast.

use axum::{body::Body, response::Response};
use http::{HeaderValue, Request, StatusCode, header};

/// The bytes that a head takes on the wire of HTTP/1.1, or a few less.
pub(super) fn len<B>(request: &Request<B>) -> usize {
    /// The colon, the space and the end of a line.
    const LINE: usize = 4;
    let path = request.uri().path_and_query();
    let path = path.map_or(0, |path| path.as_str().len());
    let headers = request.headers().iter();
    let headers = headers.map(|(name, value)| name.as_str().len() + value.len() + LINE);
    path + headers.sum::<usize>()
}

/// The answer of the HTTP library to a head that is too long: it says nothing, and the connection ends.
pub(super) fn too_long() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_counts_path_names_and_values() {
        let request = Request::builder()
            .uri("http://localhost/decode?a=b")
            .header("x-namespace", "prod")
            .header("x-namespace", "test")
            .body(())
            .unwrap();
        assert_eq!(
            len(&request),
            "/decode?a=b".len() + 2 * "x-namespace: prod\r\n".len()
        );
        assert_eq!(too_long().status(), 431);
    }
}

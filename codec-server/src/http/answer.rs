//! Answers: what a finished request or a refusal looks like to the client.

use axum::{body::Body, response::Response};
use http::{HeaderName, HeaderValue, header};

use super::{
    log::Summary, places, request_error::RequestError, request_id::RequestId, transform::Done,
};

/// Which payloads of the answer are placeholders: their places, counted from 0, as [`places`] writes them.
const PLACEHOLDERS: HeaderName = HeaderName::from_static("codec-server-placeholders");
/// Which payloads of the answer are storage references, and so not authenticated.
const REFERENCES: HeaderName = HeaderName::from_static("codec-server-references");

/// The payloads that were asked for. All of them are encoded or decoded before the status is sent, so the answer cannot fail
/// half-way.
pub(super) fn success(done: Done) -> Response {
    let mut response = Response::new(Body::new(done.answer));
    let headers = response.headers_mut();
    let json = HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, json);
    for (name, places) in [
        (PLACEHOLDERS, &done.placeholders),
        (REFERENCES, &done.references),
    ] {
        if let Some(places) = places::value(places) {
            headers.insert(name, places);
        }
    }
    response
}

/// A refusal with what the log says of it.
pub(super) fn refused(refused: &RequestError, request: RequestId) -> Response {
    let mut response = refusal(refused, request);
    response.extensions_mut().insert(Summary {
        error: Some(refused.for_operator()),
        ..Summary::default()
    });
    response
}

/// One line of plain text that says why, and the id that is also in the log.
pub(super) fn refusal(refusal: &RequestError, request: RequestId) -> Response {
    let text = format!("{refusal} (request {request})\n");
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = refusal.status();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    if matches!(refusal, RequestError::NotPost) {
        headers.insert(header::ALLOW, HeaderValue::from_static("POST, OPTIONS"));
    }
    if let RequestError::Unauthenticated(refused) = refusal {
        headers.insert(header::WWW_AUTHENTICATE, refused.challenge());
    }
    if let Some(seconds) = refusal.retry_after() {
        headers.insert(header::RETRY_AFTER, seconds);
    }
    response
}

/// Headers that every answer has: only the caller may keep plaintext, and a browser must not guess what it is.
pub(super) fn protect(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use temporal_kms_codec::{
        Error, KeyUri,
        kms::{ProviderError, ProviderErrorKind},
    };

    use super::*;

    fn refusals(kind: ProviderErrorKind) -> [RequestError; 2] {
        let key: KeyUri = "aws-kms://arn:aws:kms:us-east-1:1:key/theirs"
            .parse()
            .unwrap();
        let error = || Box::new(Error::from(ProviderError::new(kind, &key)));
        let decode = RequestError::Decode {
            index: 3,
            key: None,
            error: error(),
        };
        [RequestError::Encode(error()), decode]
    }

    #[test]
    fn an_unreachable_kms_is_unavailable_and_may_be_tried_again() {
        use ProviderErrorKind::{DeadlineExceeded, Integrity, Throttled, Unavailable};
        for kind in [Throttled, Unavailable, DeadlineExceeded, Integrity] {
            for refused in refusals(kind) {
                assert!(
                    refused.to_string().contains("try again in a moment"),
                    "{refused}"
                );
                let response = refusal(&refused, RequestId::next());
                assert_eq!(
                    response.status(),
                    StatusCode::SERVICE_UNAVAILABLE,
                    "{kind:?}"
                );
                assert!(response.headers().contains_key(header::RETRY_AFTER));
            }
        }
    }

    #[test]
    fn every_503_says_when_to_try_again() {
        use ProviderErrorKind::{Misconfigured, PermissionDenied};
        for kind in [Misconfigured, PermissionDenied] {
            for refused in refusals(kind) {
                let response = refusal(&refused, RequestId::next());
                assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
                assert_eq!(response.headers()[header::RETRY_AFTER], "60");
            }
        }
    }
}

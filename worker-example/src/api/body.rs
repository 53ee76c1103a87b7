//! Reads the body of a request within its limits.

use std::time::Duration;

use axum::body::Body;
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::error::ApiError;
use crate::task::MAX_REQUEST_BYTES;

/// The time for a body.
const LIMIT: Duration = Duration::from_mins(1);

/// The body, which holds secrets. The rest of a body that is refused is read by [`unread`](super::unread).
///
/// # Errors
/// When it is not JSON by its header, too large, or too slow.
pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Zeroizing<Vec<u8>>, ApiError> {
    if !is_json(headers) {
        return Err(ApiError::ContentType);
    }
    timeout(LIMIT, collect(body))
        .await
        .map_err(|_| ApiError::Body)?
}

async fn collect(mut body: Body) -> Result<Zeroizing<Vec<u8>>, ApiError> {
    let too_large = ApiError::TooLarge {
        limit: MAX_REQUEST_BYTES,
    };
    let declared = http_body::Body::size_hint(&body).lower();
    if declared > MAX_REQUEST_BYTES as u64 {
        return Err(too_large);
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(declared).unwrap_or(0)));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ApiError::Body)?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        if bytes.len().saturating_add(data.len()) > MAX_REQUEST_BYTES {
            return Err(too_large);
        }
        bytes.extend_from_slice(data);
    }
    Ok(bytes)
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, pin::pin, task::Poll};

    use axum::body::Bytes;
    use futures::{StreamExt as _, poll, stream};

    use super::*;

    fn json() -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
        headers
    }

    /// A client that makes a pause after what it has sent.
    fn stalled(sent: usize) -> Body {
        let sent = stream::iter([Ok::<_, Infallible>(Bytes::from(vec![b'x'; sent]))]);
        Body::from_stream(sent.chain(stream::pending()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_too_large_is_refused_before_its_end() {
        let headers = json();
        let read = pin!(read(&headers, stalled(MAX_REQUEST_BYTES + 1)));
        let refused = poll!(read);
        assert!(
            matches!(refused, Poll::Ready(Err(ApiError::TooLarge { .. }))),
            "{refused:?}"
        );
        let slow = super::read(&headers, stalled(MAX_REQUEST_BYTES)).await;
        assert!(matches!(slow, Err(ApiError::Body)), "{slow:?}");
    }
}

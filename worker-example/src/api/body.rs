//! Reads the body of a request within its limits.

use std::time::Duration;

use axum::body::Body;
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use temporal_kms_codec_service::body::discard;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::error::ApiError;
use crate::task::MAX_REQUEST_BYTES;

/// The time for a body.
const LIMIT: Duration = Duration::from_mins(1);
/// How much of a body that is too large is still read, and for how long.
const MAX_DISCARDED: usize = 8 << 20;
const DISCARD_TIME: Duration = Duration::from_secs(10);

/// The body, which holds secrets.
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
        discard(body, MAX_DISCARDED, DISCARD_TIME).await;
        return Err(too_large);
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(declared).unwrap_or(0)));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ApiError::Body)?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        if bytes.len().saturating_add(data.len()) > MAX_REQUEST_BYTES {
            discard(body, MAX_DISCARDED, DISCARD_TIME).await;
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

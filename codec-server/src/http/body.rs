//! Reading a body within limits of size and time.

use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Incoming};
use tokio::time::timeout;

use super::refusal::Refusal;

/// Memory that a `Content-Length` alone may reserve.
const RESERVED: usize = 64 << 10;
/// How much of a body that is refused is still taken, and for how long: a client that sends it all before it reads
/// the answer would otherwise see a broken connection instead.
const DISCARDED: usize = 32 << 20;
const DISCARD_TIME: Duration = Duration::from_secs(2);

/// The whole body.
pub(super) async fn read(body: Incoming, limit: usize, time: Duration) -> Result<Vec<u8>, Refusal> {
    timeout(time, read_limited(body, limit))
        .await
        .unwrap_or(Err(Refusal::BodyTooSlow))
}

async fn read_limited(mut body: Incoming, limit: usize) -> Result<Vec<u8>, Refusal> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(refuse(body, limit).await);
    }
    let mut whole = Vec::with_capacity(announced.min(RESERVED));
    while let Some(part) = next(&mut body).await? {
        if part.len() > limit - whole.len() {
            drop(whole);
            return Err(refuse(body, limit).await);
        }
        whole.extend_from_slice(&part);
    }
    Ok(whole)
}

async fn refuse(mut body: Incoming, limit: usize) -> Refusal {
    let discard = async {
        let mut left = DISCARDED;
        while let Ok(Some(part)) = next(&mut body).await {
            left = left.saturating_sub(part.remaining());
            if left == 0 {
                return;
            }
        }
    };
    // However it ends, the answer is the same.
    let _ = timeout(DISCARD_TIME, discard).await;
    Refusal::BodyTooLarge { limit }
}

async fn next(body: &mut Incoming) -> Result<Option<Bytes>, Refusal> {
    loop {
        let Some(frame) = body.frame().await else {
            return Ok(None);
        };
        let frame = frame.map_err(|_| Refusal::BodyBroken)?;
        // Trailers are no content.
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
}

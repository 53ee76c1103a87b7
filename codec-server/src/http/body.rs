//! Reads a body within limits of size, time and memory.

use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use bytes::{Buf as _, Bytes};
use http_body_util::BodyExt as _;
use temporal_kms::support::SecretVec;
use tokio::time::timeout;

use super::{memory::Share, request_error::RequestError};

/// Memory that a body takes at first, and the least by which it grows.
const STEP: usize = 16 << 10;
/// A body gets memory up to its announced length, but only so many times what has arrived. A client cannot have much
/// memory for a few bytes, and most bodies are copied once only.
const PAID_BY: usize = 8;
/// How much of a refused body is still read, and for how long. A client that sends the whole body before it reads the
/// answer would otherwise see a broken connection.
const DISCARDED: usize = 32 << 20;
const DISCARD_TIME: Duration = Duration::from_secs(2);

/// A whole body, and its share of the memory. The body is erased on drop.
pub(super) struct Received {
    pub(super) bytes: SecretVec,
    pub(super) share: Share,
}

/// Reads the whole body. Memory is taken in proportion to the bytes that have arrived.
pub(super) async fn read(
    body: Body,
    limit: usize,
    time: Duration,
    share: Share,
) -> Result<Received, RequestError> {
    timeout(time, read_limited(body, limit, share))
        .await
        .unwrap_or(Err(RequestError::BodyTooSlow))
}

async fn read_limited(
    mut body: Body,
    limit: usize,
    mut share: Share,
) -> Result<Received, RequestError> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(refuse(body, RequestError::BodyTooLarge { limit }).await);
    }
    let mut whole = SecretVec::default();
    while let Some(part) = next(&mut body).await? {
        if part.len() > limit - whole.len() {
            drop((whole, share));
            return Err(refuse(body, RequestError::BodyTooLarge { limit }).await);
        }
        if let Err(busy) = make_room(&mut whole, part.len(), (announced, limit), &mut share).await {
            drop((whole, share));
            return Err(refuse(body, busy).await);
        }
        whole.extend_from_slice(&part);
    }
    Ok(Received {
        bytes: whole,
        share,
    })
}

/// Grows by hand: a vector that grows by itself leaves copies behind that are not erased.
async fn make_room(
    whole: &mut SecretVec,
    more: usize,
    (announced, limit): (usize, usize),
    share: &mut Share,
) -> Result<(), RequestError> {
    let needed = whole.len() + more;
    if needed <= whole.capacity() {
        return Ok(());
    }
    // A part of the body pays for the rest of it.
    let paid = announced.min(needed.saturating_mul(PAID_BY));
    let capacity = needed
        .max(whole.capacity() * 2)
        .max(paid)
        .min(limit.max(needed));
    // A small body that tells its length needs no more, and what is not taken is not erased.
    let is_whole = needed == announced;
    let capacity = if is_whole {
        needed
    } else {
        capacity.next_multiple_of(STEP)
    };
    share.grow(capacity - whole.capacity()).await?;
    let mut larger = SecretVec::from(Vec::with_capacity(capacity));
    larger.extend_from_slice(whole);
    *whole = larger;
    Ok(())
}

async fn refuse(mut body: Body, refusal: RequestError) -> RequestError {
    let discard = async {
        let mut left = DISCARDED;
        while let Ok(Some(part)) = next(&mut body).await {
            left = left.saturating_sub(part.remaining());
            if left == 0 {
                return;
            }
        }
    };
    // The answer does not depend on it.
    let _ = timeout(DISCARD_TIME, discard).await;
    refusal
}

async fn next(body: &mut Body) -> Result<Option<Bytes>, RequestError> {
    loop {
        let Some(frame) = body.frame().await else {
            return Ok(None);
        };
        let frame = frame.map_err(|_| RequestError::BodyBroken)?;
        // Trailers are not part of the content.
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::memory::Memory;

    #[tokio::test]
    async fn a_body_gets_memory_in_proportion_to_what_has_arrived() {
        let (announced, limit) = (8 << 20, 16 << 20);
        let mut share = Memory::new(64 << 20).share();
        let mut whole = SecretVec::default();
        for (arrived, most) in [(100, STEP), (64 << 10, 512 << 10), (1 << 20, announced)] {
            make_room(&mut whole, arrived, (announced, limit), &mut share)
                .await
                .unwrap();
            assert!(whole.capacity() >= arrived, "{arrived}");
            assert!(whole.capacity() <= most, "{arrived}: {}", whole.capacity());
        }
        assert_eq!(whole.capacity(), announced, "the rest is paid for");

        let mut unannounced = SecretVec::default();
        make_room(&mut unannounced, 1000, (0, limit), &mut share)
            .await
            .unwrap();
        assert_eq!(unannounced.capacity(), STEP);
    }
}

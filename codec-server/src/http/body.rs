//! Reads a body within limits of size, time and memory.

use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use bytes::{Buf as _, Bytes};
use http_body_util::BodyExt as _;
use temporal_kms::support::SecretVec;
use tokio::time::timeout;

use super::{memory::Share, request_error::RequestError};

/// Memory that a body takes at first: more, if it tells that it is long, and never more than it tells.
const FIRST: usize = 16 << 10;
const FIRST_OF_LONG: usize = 64 << 10;
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
    let capacity = capacity(needed, whole.capacity(), announced).min(limit.max(needed));
    share.grow(capacity - whole.capacity()).await?;
    let mut larger = SecretVec::from(Vec::with_capacity(capacity));
    larger.extend_from_slice(whole);
    *whole = larger;
    Ok(())
}

/// At most twice what has arrived. A stalled client holds no more than that.
fn capacity(needed: usize, held: usize, announced: usize) -> usize {
    let larger = announced.clamp(FIRST, FIRST_OF_LONG).max(held * 2);
    let most = if announced == 0 { larger } else { announced };
    // What is not taken is not erased.
    needed.max(larger.min(most))
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

    /// The memory that a body takes after each part.
    async fn taken(announced: usize, parts: impl IntoIterator<Item = usize>) -> Vec<usize> {
        let mut share = Memory::new(64 << 20).share();
        let mut whole = SecretVec::default();
        let mut taken = Vec::new();
        for part in parts {
            make_room(&mut whole, part, (announced, 16 << 20), &mut share)
                .await
                .unwrap();
            whole.extend(std::iter::repeat_n(b'x', part));
            taken.push(whole.capacity());
        }
        taken
    }

    #[tokio::test]
    async fn a_body_gets_memory_in_proportion_to_what_has_arrived() {
        for announced in [8 << 20, 0] {
            let parts = [1, 100, 8000, 60 << 10, 5, 128 << 10, 128 << 10, 1 << 20];
            let mut arrived = 0;
            for (part, taken) in parts.into_iter().zip(taken(announced, parts).await) {
                arrived += part;
                let most = FIRST_OF_LONG.max(arrived * 2);
                assert!((arrived..=most).contains(&taken), "{arrived}: {taken}");
            }
        }
    }

    #[tokio::test]
    async fn a_body_takes_no_more_than_it_announced() {
        assert_eq!(taken(300, [100, 200]).await, [300, 300]);
        assert_eq!(taken(FIRST + 1, [1, FIRST]).await, [FIRST + 1, FIRST + 1]);
        let all = 100 << 10;
        assert_eq!(taken(all, [1, all - 1]).await, [FIRST_OF_LONG, all]);
        // One that announced nothing.
        assert_eq!(taken(0, [1000]).await, [FIRST]);
    }

    #[tokio::test]
    async fn a_long_body_is_copied_a_few_times_only() {
        let (part, all) = (8 << 10, 1 << 20);
        let mut taken = taken(all, std::iter::repeat_n(part, all / part)).await;
        taken.dedup();
        assert_eq!(taken, [64 << 10, 128 << 10, 256 << 10, 512 << 10, all]);
    }
}

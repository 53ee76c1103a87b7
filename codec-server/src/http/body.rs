//! Reads a body within limits of size, time and memory.
//!
//! A large body is kept in parts: memory that grows would be copied, and the copies erased. Large parts stay in the buffers that
//! the HTTP library has read them into.

mod parts;

use std::{task::Poll, time::Duration};

use axum::body::{Body, HttpBody as _};
use bytes::Bytes;
use futures::poll;
use http_body_util::BodyExt as _;
use temporal_kms_codec_service::body::discard;
use tokio::time::{Instant, timeout};

pub(super) use self::parts::Parts;
use super::{connection::READ_BUFFER, memory::Share, request_error::RequestError};

/// Memory that a body takes at first: 16 KiB, or up to 64 KiB for a long announced body. Never more than the announced length.
const FIRST: usize = 16 << 10;
const FIRST_OF_LONG: usize = 64 << 10;
/// A longer part stays in its buffer, of which it leaves little unused. The buffer has no other such part, so the part can be
/// erased there.
const COPIED: usize = READ_BUFFER / 8 * 7;
/// How much of a refused body is still read, and for how long.
const DISCARDED: usize = 32 << 20;
const DISCARD_TIME: Duration = Duration::from_secs(2);

/// A whole body, and its share of the memory. The body is erased on drop.
pub(super) struct Received {
    pub(super) bytes: Parts,
    pub(super) share: Share,
}

/// Reads the whole body, for which the client may take `time`. Memory is taken in proportion to the bytes that have arrived. What
/// this request waits for memory is not the client's time.
///
/// Other requests of the same HTTP/2 connection can wait meanwhile, and that counts as their client's time: they share the
/// connection's window, which the bodies that wait for memory can fill.
pub(super) async fn read(
    mut body: Body,
    limit: usize,
    mut time: Duration,
    mut share: Share,
) -> Result<Received, RequestError> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(refuse(body, RequestError::BodyTooLarge { limit }).await);
    }
    let mut bytes = Parts::default();
    while let Some(part) = next(&mut body, &mut time).await? {
        if part.len() > limit - bytes.len() {
            drop((bytes, share));
            return Err(refuse(body, RequestError::BodyTooLarge { limit }).await);
        }
        if let Err(busy) = add(&mut bytes, part, (announced, limit), &mut share).await {
            drop((bytes, share));
            return Err(refuse(body, busy).await);
        }
    }
    Ok(Received { bytes, share })
}

/// Adds a part that has arrived. Memory is taken as it is needed.
async fn add(
    bytes: &mut Parts,
    mut part: Bytes,
    (announced, limit): (usize, usize),
    share: &mut Share,
) -> Result<(), RequestError> {
    let here = part.split_to(part.len().min(bytes.room()));
    bytes.append(&here);
    if part.is_empty() {
        return Ok(());
    }
    if part.len() > COPIED {
        share.grow(part.len()).await?;
        bytes.keep(part);
        return Ok(());
    }
    let needed = bytes.len() + part.len();
    let capacity = capacity(needed, bytes.len(), announced).min(limit.max(needed));
    let room = capacity - bytes.len();
    share.grow(room).await?;
    bytes.begin(room);
    bytes.append(&part);
    Ok(())
}

/// At most 64 KiB, or twice what has arrived. A stalled client holds no more than that.
fn capacity(needed: usize, held: usize, announced: usize) -> usize {
    let larger = announced.clamp(FIRST, FIRST_OF_LONG).max(held * 2);
    // A body may tell no length, or a wrong one.
    let most = if needed > announced {
        larger
    } else {
        announced
    };
    // Unreserved memory costs no erasing.
    needed.max(larger.min(most))
}

async fn refuse(body: Body, refusal: RequestError) -> RequestError {
    discard(body, DISCARDED, DISCARD_TIME).await;
    refusal
}

/// The next part. The time until it arrives is taken off `time`.
async fn next(body: &mut Body, time: &mut Duration) -> Result<Option<Bytes>, RequestError> {
    loop {
        let Some(frame) = arrive(body.frame(), time).await? else {
            return Ok(None);
        };
        let frame = frame.map_err(|_| RequestError::BodyBroken)?;
        // Trailers are not part of the content.
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
}

async fn arrive<F: Future + Unpin>(
    mut frame: F,
    time: &mut Duration,
) -> Result<F::Output, RequestError> {
    // A small body has arrived with its head, and needs no clock.
    if let Poll::Ready(frame) = poll!(&mut frame) {
        return Ok(frame);
    }
    let begun = Instant::now();
    let arrived = timeout(*time, frame).await;
    *time = time.saturating_sub(begun.elapsed());
    arrived.map_err(|_| RequestError::BodyTooSlow)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::{StreamExt as _, stream};
    use tokio::time::sleep;

    use super::*;
    use crate::http::memory::Memory;

    const LIMIT: usize = 16 << 20;

    /// A body that has arrived in parts of these lengths, and the memory that it took after each.
    async fn arrived(
        announced: usize,
        lengths: impl IntoIterator<Item = usize>,
    ) -> (Parts, Vec<usize>) {
        let mut share = Memory::new(64 << 20).share();
        let (mut bytes, mut taken) = (Parts::default(), Vec::new());
        for length in lengths {
            let part = Bytes::from(vec![b'x'; length]);
            let added = add(&mut bytes, part, (announced, LIMIT), &mut share);
            added.await.unwrap();
            taken.push(share.bytes());
        }
        (bytes, taken)
    }

    async fn taken(announced: usize, lengths: impl IntoIterator<Item = usize>) -> Vec<usize> {
        arrived(announced, lengths).await.1
    }

    #[tokio::test]
    async fn a_body_gets_memory_in_proportion_to_what_has_arrived() {
        for announced in [8 << 20, 0] {
            let parts = [
                1,
                100,
                8000,
                60 << 10,
                5,
                128 << 10,
                128 << 10,
                70 << 10,
                1 << 20,
                9,
            ];
            let mut arrived = 0;
            for (part, taken) in parts.into_iter().zip(taken(announced, parts).await) {
                arrived += part;
                let most = FIRST_OF_LONG.max(arrived * 2);
                assert!((arrived..=most).contains(&taken), "{arrived}: {taken}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_memory_is_not_the_clients_time() {
        let memory = Memory::new(1 << 20);
        let mut other = memory.share();
        other.try_grow(1 << 20).unwrap();
        let body = Body::from(vec![b'x'; 512 << 10]);
        let (received, ()) = tokio::join!(
            read(body, LIMIT, Duration::from_millis(100), memory.share()),
            async {
                sleep(Duration::from_millis(900)).await;
                drop(other);
            },
        );
        assert_eq!(received.unwrap().bytes.len(), 512 << 10);
    }

    #[tokio::test(start_paused = true)]
    async fn all_waits_for_a_client_count_together() {
        for (pause, is_read) in [(30, true), (40, false)] {
            let parts = stream::iter(0..3).then(move |_| async move {
                sleep(Duration::from_millis(pause)).await;
                Ok::<_, Infallible>(Bytes::from_static(b"part"))
            });
            let share = Memory::new(1 << 20).share();
            let time = Duration::from_millis(100);
            match read(Body::from_stream(parts), LIMIT, time, share).await {
                Ok(received) => assert!(is_read && received.bytes.len() == 12),
                Err(error) => assert!(!is_read && matches!(error, RequestError::BodyTooSlow)),
            }
        }
    }

    #[tokio::test]
    async fn a_body_takes_no_more_than_it_announced() {
        assert_eq!(taken(300, [100, 200]).await, [300, 300]);
        assert_eq!(taken(FIRST + 1, [1, FIRST]).await, [FIRST + 1, FIRST + 1]);
        let all = 100 << 10;
        assert_eq!(taken(all, [1, all - 1]).await, [FIRST_OF_LONG, all]);
        // One that announced nothing, or too little.
        assert_eq!(taken(0, [1000]).await, [FIRST]);
        assert_eq!(taken(10, [5, 9000, 5]).await, [10, FIRST, FIRST]);
    }

    #[tokio::test]
    async fn a_long_body_is_in_few_parts_and_copied_once() {
        let (part, all) = (8 << 10, 1 << 20);
        let (bytes, mut taken) = arrived(all, std::iter::repeat_n(part, all / part)).await;
        taken.dedup();
        assert_eq!(taken, [64 << 10, 128 << 10, 256 << 10, 512 << 10, all]);
        assert_eq!((bytes.slices().len(), bytes.len()), (5, all));
        assert_eq!(bytes.single(), None);
        assert_eq!(bytes.joined().as_slice(), vec![b'x'; all]);
        let (small, _) = arrived(100, [40, 60]).await;
        assert_eq!(small.single().map(<[u8]>::len), Some(100));
    }

    #[tokio::test]
    async fn long_parts_stay_where_they_are() {
        let mut share = Memory::new(64 << 20).share();
        let mut bytes = Parts::default();
        let part = Bytes::from(vec![b'x'; READ_BUFFER]);
        let parts = [
            part.slice(..9),
            part.clone(),
            part.clone(),
            part.slice(..COPIED),
        ];
        for part in parts.clone() {
            let added = add(&mut bytes, part, (parts.concat().len(), LIMIT), &mut share);
            added.await.unwrap();
        }
        assert_eq!(bytes.joined().as_slice(), parts.concat());
        let is_kept = |slice: &&[u8]| part.as_ptr_range().contains(&slice.as_ptr());
        let kept: Vec<_> = bytes
            .slices()
            .into_iter()
            .filter(is_kept)
            .map(<[u8]>::len)
            .collect();
        assert_eq!(kept, [READ_BUFFER]);
    }
}

//! Encoding and decoding beside the raw AEAD on buffers of the same size.

use std::{hint::black_box, time::Duration};

use allocation_counter::measure as count_allocations;
use serde::Serialize;
use temporal_kms::support::aead::{Aes256Gcm, TAG_LEN};
use temporal_kms_codec::{Codec, Payload};
use tokio::runtime::Runtime;

use crate::{
    payloads::{codec, local_key, payload},
    rounds::{Work, medians, timed},
};

const CASES: [(usize, usize); 10] = [
    (64, 1),
    (64, 100),
    (1 << 10, 1),
    (1 << 10, 100),
    (16 << 10, 1),
    (16 << 10, 100),
    (1 << 20, 1),
    (1 << 20, 16),
    (16 << 20, 1),
    (16 << 20, 2),
];

/// The numbers of one size and batch. Times are of one payload.
#[derive(Serialize)]
pub(crate) struct Row {
    size: usize,
    batch: usize,
    raw_seal_ns: f64,
    raw_open_ns: f64,
    encode_ns: f64,
    decode_ns: f64,
    encode_allocations: f64,
    decode_allocations: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sdk: Option<Sdk>,
}

/// The same through the SDK's `PayloadCodec`.
#[derive(Serialize)]
pub(crate) struct Sdk {
    pub(crate) encode_ns: f64,
    pub(crate) decode_ns: f64,
    pub(crate) encode_allocations: f64,
    pub(crate) decode_allocations: f64,
}

pub(crate) fn measure() -> anyhow::Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let codec = codec("default", local_key(folder.path())?)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let row = |(size, batch)| row(&runtime, &codec, size, batch);
    CASES.into_iter().map(row).collect()
}

fn row(runtime: &Runtime, codec: &Codec, size: usize, batch: usize) -> anyhow::Result<Row> {
    let plain = vec![payload(size); batch];
    let encode = |payloads: Vec<Payload>| runtime.block_on(codec.encode(payloads));
    let decode = |payloads: Vec<Payload>| runtime.block_on(codec.decode(payloads));
    let sealed = encode(plain.clone())?;
    anyhow::ensure!(decode(sealed.clone())? == plain, "another payload");

    let mut works: Vec<Work<'_>> = vec![
        Box::new(move |count| Ok(raw_seal(size, count * batch))),
        Box::new(move |count| raw_open(size, count * batch)),
        Box::new(|count| batches(&plain, count, &encode)),
        Box::new(|count| batches(&sealed, count, &decode)),
    ];
    let times = medians(&mut works)?;
    drop(works);
    let per_payload = |index: usize| -> anyhow::Result<f64> {
        let time = times.get(index).copied().unwrap_or_default();
        Ok(time / f64::from(u32::try_from(batch)?))
    };
    Ok(Row {
        size,
        batch,
        raw_seal_ns: per_payload(0)?,
        raw_open_ns: per_payload(1)?,
        encode_ns: per_payload(2)?,
        decode_ns: per_payload(3)?,
        encode_allocations: allocations(&plain, &encode)?,
        decode_allocations: allocations(&sealed, &decode)?,
        #[cfg(feature = "sdk")]
        sdk: Some(crate::sdk::measure(runtime, codec, size, batch)?),
        #[cfg(not(feature = "sdk"))]
        sdk: None,
    })
}

/// The time of `count` batches. The copies that go in are made before, and what comes out is dropped afterwards.
pub(crate) fn batches<P: Clone, E>(
    payloads: &[P],
    count: usize,
    work: &impl Fn(Vec<P>) -> Result<Vec<P>, E>,
) -> anyhow::Result<Duration>
where
    E: std::error::Error + Send + Sync + 'static,
{
    /// More copies at once would measure the memory of the machine.
    const AT_ONCE: usize = 32;
    let mut took = Duration::ZERO;
    let mut left = count;
    while left > 0 {
        let now = left.min(AT_ONCE);
        left -= now;
        let given: Vec<Vec<P>> = (0..now).map(|_| payloads.to_vec()).collect();
        let mut done = Vec::with_capacity(now);
        let (result, time) = timed(|| {
            for batch in given {
                done.push(work(batch)?);
            }
            Ok::<_, E>(())
        });
        result?;
        black_box(&done);
        took += time;
    }
    Ok(took)
}

/// The allocations for each payload of a batch.
pub(crate) fn allocations<P: Clone, E>(
    payloads: &[P],
    work: &impl Fn(Vec<P>) -> Result<Vec<P>, E>,
) -> anyhow::Result<f64> {
    let given = payloads.to_vec();
    let mut done = None;
    let counted = count_allocations(|| done = work(given).ok());
    anyhow::ensure!(done.is_some(), "it failed");
    let count = u32::try_from(counted.count_total)?;
    Ok(f64::from(count) / f64::from(u32::try_from(payloads.len())?))
}

/// One key, in place, on one buffer.
fn raw_seal(size: usize, count: usize) -> Duration {
    let cipher = Aes256Gcm::new(&[7; 32]);
    let mut buffer = Vec::with_capacity(size + TAG_LEN);
    buffer.resize(size, b'x');
    let ((), took) = timed(|| {
        for _ in 0..count {
            // The benchmark seals nothing that matters, so the nonce may repeat.
            let sealed = cipher.seal([0; 12], &[], &mut buffer, 0);
            debug_assert!(sealed.is_ok());
            buffer.truncate(size);
        }
    });
    black_box(&buffer);
    took
}

fn raw_open(size: usize, count: usize) -> anyhow::Result<Duration> {
    let cipher = Aes256Gcm::new(&[7; 32]);
    let mut sealed = vec![b'x'; size];
    let done = cipher.seal([0; 12], &[], &mut sealed, 0);
    anyhow::ensure!(done.is_ok(), "the library seals");
    let mut took = Duration::ZERO;
    let mut buffer = sealed.clone();
    for _ in 0..count {
        buffer.copy_from_slice(&sealed);
        let (opened, time) = timed(|| cipher.open([0; 12], &[], &mut buffer).is_ok());
        anyhow::ensure!(opened, "the library opens");
        took += time;
    }
    Ok(took)
}

//! Measures batches of payloads that are encoded or decoded.

use std::{hint::black_box, time::Duration};

use allocation_counter::measure as count_allocations;
use serde::Serialize;

use crate::rounds::{Work, medians, timed};

/// The numbers of another way to encode and decode the same payloads.
#[derive(Serialize)]
pub(crate) struct Numbers {
    pub(crate) encode_ns: f64,
    pub(crate) decode_ns: f64,
    pub(crate) encode_allocations: f64,
    pub(crate) decode_allocations: f64,
}

impl Numbers {
    /// Encodes a batch of so many bytes and decodes it again, in rounds.
    pub(crate) fn measure<P: Clone, E, D>(
        plain: &[P],
        bytes: usize,
        encode: &impl Fn(Vec<P>) -> Result<Vec<P>, E>,
        decode: &impl Fn(Vec<P>) -> Result<Vec<P>, D>,
    ) -> anyhow::Result<Self>
    where
        E: std::error::Error + Send + Sync + 'static,
        D: std::error::Error + Send + Sync + 'static,
    {
        let sealed = encode(plain.to_vec())?;
        let works: [Work<'_>; 2] = [
            Box::new(|count| batches(plain, bytes, count, encode)),
            Box::new(|count| batches(&sealed, bytes, count, decode)),
        ];
        let [encode_ns, decode_ns] = medians(works, plain.len())?;
        Ok(Self {
            encode_ns,
            decode_ns,
            encode_allocations: allocations(plain, encode)?,
            decode_allocations: allocations(&sealed, decode)?,
        })
    }
}

/// The time of `count` batches of so many bytes. The copies that go in are made before, and what comes out is dropped
/// afterwards.
pub(crate) fn batches<P: Clone, E>(
    payloads: &[P],
    bytes: usize,
    count: usize,
    work: &impl Fn(Vec<P>) -> Result<Vec<P>, E>,
) -> anyhow::Result<Duration>
where
    E: std::error::Error + Send + Sync + 'static,
{
    /// More copies at once would measure the memory of the machine: a program seldom holds so many.
    const MOST_AT_ONCE: usize = 32;
    const BYTES_AT_ONCE: usize = 1 << 20;
    let at_once = (BYTES_AT_ONCE / bytes.max(1)).clamp(1, MOST_AT_ONCE);
    let mut took = Duration::ZERO;
    let mut left = count;
    while left > 0 {
        let now = left.min(at_once);
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

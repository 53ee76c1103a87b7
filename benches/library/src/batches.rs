//! Measures batches of payloads that are encoded or decoded.

use std::{hint::black_box, time::Duration};

use allocation_counter::measure as count_allocations;
use serde::Serialize;
use tokio::runtime::Runtime;

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
    /// Encodes the batch of so many bytes that `plain` makes, and decodes it again, in rounds. `arrived` gives an encoded payload
    /// the form in which it reaches its reader.
    pub(crate) fn measure<P: Clone, E, D>(
        runtime: &Runtime,
        plain: &impl Fn() -> Vec<P>,
        arrived: fn(P) -> P,
        bytes: usize,
        encode: &impl AsyncFn(Vec<P>) -> Result<Vec<P>, E>,
        decode: &impl AsyncFn(Vec<P>) -> Result<Vec<P>, D>,
    ) -> anyhow::Result<Self>
    where
        E: std::error::Error + Send + Sync + 'static,
        D: std::error::Error + Send + Sync + 'static,
    {
        let encoded = runtime.block_on(encode(plain()))?;
        let encoded: Vec<P> = encoded.into_iter().map(arrived).collect();
        let sealed = || encoded.clone();
        let works: [Work<'_>; 2] = [
            Box::new(|count| batches(runtime, plain, bytes, count, encode)),
            Box::new(|count| batches(runtime, &sealed, bytes, count, decode)),
        ];
        let [encode_ns, decode_ns] = medians(works, encoded.len())?;
        Ok(Self {
            encode_ns,
            decode_ns,
            encode_allocations: allocations(runtime, plain, encode)?,
            decode_allocations: allocations(runtime, &sealed, decode)?,
        })
    }
}

/// The time of `count` batches of so many bytes, in a program whose runtime runs already. The payloads that go in are made
/// before, and what comes out is dropped afterwards.
pub(crate) fn batches<P, E>(
    runtime: &Runtime,
    make: &impl Fn() -> Vec<P>,
    bytes: usize,
    count: usize,
    work: &impl AsyncFn(Vec<P>) -> Result<Vec<P>, E>,
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
        let given: Vec<Vec<P>> = (0..now).map(|_| make()).collect();
        let mut done = Vec::with_capacity(now);
        let (result, time) = timed(|| {
            runtime.block_on(async {
                for batch in given {
                    done.push(work(batch).await?);
                }
                Ok::<_, E>(())
            })
        });
        result?;
        black_box(&done);
        took += time;
    }
    Ok(took)
}

/// The allocations for each payload of a batch.
pub(crate) fn allocations<P, E>(
    runtime: &Runtime,
    make: &impl Fn() -> Vec<P>,
    work: &impl AsyncFn(Vec<P>) -> Result<Vec<P>, E>,
) -> anyhow::Result<f64> {
    let given = make();
    let length = u32::try_from(given.len())?;
    let mut done = None;
    let counted = count_allocations(|| done = runtime.block_on(work(given)).ok());
    anyhow::ensure!(done.is_some(), "it failed");
    Ok(f64::from(u32::try_from(counted.count_total)?) / f64::from(length))
}

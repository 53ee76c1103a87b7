//! What a million payloads cost at a key service: 1,000 s of simulated time, 10 namespaces.

use std::{sync::Arc, time::Duration};

use serde::Serialize;
use temporal_kms_codec::Codec;
use tokio::time::{Instant, sleep_until};

use crate::{
    payloads::{codec, local_key, payload},
    rounds::percentile,
    simulated_kms::SimulatedKms,
};

const NAMESPACES: usize = 10;
const PAYLOADS: usize = 1_000_000;
const TIME: Duration = Duration::from_secs(1000);
/// Payloads of one namespace that are encoded at the same moment.
const BATCH: usize = 10;
/// What 10,000 calls cost at Cloud KMS and AWS KMS, in dollars.
const PRICE: f64 = 0.03;

#[derive(Serialize)]
pub(crate) struct Economy {
    payloads: usize,
    namespaces: usize,
    seconds: u64,
    /// Calls of the key service: to wrap, to verify, and to unwrap.
    calls: u64,
    data_keys: u64,
    calls_of_one_per_payload: u64,
    saved_percent: f64,
    dollars: f64,
    /// How long callers waited in simulated time, but for the first call of each namespace.
    waited_p50_us: f64,
    waited_p99_us: f64,
    waited_most_us: f64,
    first_call_ms: f64,
}

pub(crate) fn measure() -> anyhow::Result<Economy> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()?
        .block_on(simulate())
}

async fn simulate() -> anyhow::Result<Economy> {
    let folder = tempfile::tempdir()?;
    let kms = Arc::new(SimulatedKms::new(local_key(folder.path())?));
    let codecs: Vec<Codec> = (0..NAMESPACES)
        .map(|number| codec(&format!("namespace-{number}"), kms.clone()))
        .collect::<anyhow::Result<_>>()?;

    let steps = PAYLOADS / NAMESPACES / BATCH;
    let pause = TIME / u32::try_from(steps)?;
    let start = Instant::now();
    let (mut waited, mut first) = (Vec::with_capacity(steps * NAMESPACES), Duration::ZERO);
    for step in 0..steps {
        sleep_until(start + pause * u32::try_from(step)?).await;
        for codec in &codecs {
            let begun = Instant::now();
            let sealed = codec.encode(vec![payload(100); BATCH]).await?;
            let decoded = codec.decode(sealed).await?;
            anyhow::ensure!(decoded.len() == BATCH, "a payload is missing");
            if step == 0 {
                first = first.max(begun.elapsed());
            } else {
                waited.push(begun.elapsed().as_secs_f64() * 1e6);
            }
        }
    }
    let calls = kms.calls();
    let data_keys = codecs.iter().map(|codec| codec.stats().dek_renewals).sum();
    // One call to encrypt and one to decrypt each payload.
    let direct = 2 * u64::try_from(PAYLOADS)?;
    let share = f64::from(u32::try_from(calls)?) / f64::from(u32::try_from(direct)?);
    Ok(Economy {
        payloads: PAYLOADS,
        namespaces: NAMESPACES,
        seconds: TIME.as_secs(),
        calls,
        data_keys,
        calls_of_one_per_payload: direct,
        saved_percent: 100.0 * (1.0 - share),
        dollars: f64::from(u32::try_from(calls)?) * PRICE / 10_000.0,
        waited_p50_us: percentile(waited.clone(), 50),
        waited_p99_us: percentile(waited.clone(), 99),
        waited_most_us: percentile(waited, 100),
        first_call_ms: first.as_secs_f64() * 1e3,
    })
}

//! What payloads cost at a key service: a million of them in 1,000 s, and eight hours in which data keys are renewed. Time is
//! simulated.

use std::{
    sync::Arc,
    time::{Duration, Instant as RealInstant},
};

use serde::Serialize;
use temporal_kms_codec::Codec;
use tokio::time::{Instant, sleep_until};

use crate::{
    payloads::{codec, local_key, payload},
    rounds::percentile,
    simulated_kms::SimulatedKms,
};

const NAMESPACES: usize = 10;
/// Payloads of one namespace that are encoded at the same moment.
const BATCH: usize = 10;
/// How often each namespace encodes a batch, and for how long.
const PLANS: [(usize, Duration); 2] = [
    (10_000, Duration::from_secs(1000)),
    (14_400, Duration::from_hours(8)),
];
/// What 10,000 calls cost at Cloud KMS and AWS KMS, in dollars.
const PRICE: f64 = 0.03;

#[derive(Serialize)]
pub(crate) struct Economy {
    payloads: usize,
    namespaces: usize,
    seconds: u64,
    /// Calls of the key service: to wrap each data key, and to unwrap it once as a check before it is used.
    calls: u64,
    data_keys: u64,
    calls_of_one_per_payload: u64,
    saved_percent: f64,
    dollars: f64,
    /// How long callers waited for the key service in simulated time, but for the first call of each namespace.
    waited_p99_us: f64,
    waited_most_us: f64,
    /// How long a batch really took to be encoded and decoded.
    batch_p50_us: f64,
    batch_p99_us: f64,
    first_call_ms: f64,
}

pub(crate) fn measure() -> anyhow::Result<Vec<Economy>> {
    let simulated = PLANS.into_iter().map(|(steps, time)| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()?
            .block_on(simulate(steps, time))
    });
    simulated.collect()
}

async fn simulate(steps: usize, time: Duration) -> anyhow::Result<Economy> {
    let folder = tempfile::tempdir()?;
    let kms = Arc::new(SimulatedKms::new(local_key(folder.path())?));
    let codecs: Vec<Codec> = (0..NAMESPACES)
        .map(|number| codec(&format!("namespace-{number}"), kms.clone()))
        .collect::<anyhow::Result<_>>()?;

    let payloads = steps * NAMESPACES * BATCH;
    let pause = time / u32::try_from(steps)?;
    let start = Instant::now();
    let (mut waited, mut took) = (Vec::new(), Vec::new());
    let mut first = Duration::ZERO;
    for step in 0..steps {
        sleep_until(start + pause * u32::try_from(step)?).await;
        for codec in &codecs {
            let plain = vec![payload(100); BATCH];
            let begun = Instant::now();
            #[expect(
                clippy::disallowed_methods,
                reason = "tokio's clock is paused, and this is the time that passes"
            )]
            let really_begun = RealInstant::now();
            let sealed = codec.encode(plain).await?;
            let decoded = codec.decode(sealed).await?;
            anyhow::ensure!(decoded.len() == BATCH, "a payload is missing");
            if step == 0 {
                first = first.max(begun.elapsed());
            } else {
                waited.push(begun.elapsed().as_secs_f64() * 1e6);
                took.push(really_begun.elapsed().as_secs_f64() * 1e6);
            }
        }
    }
    let calls = kms.calls();
    let data_keys = codecs.iter().map(|codec| codec.stats().dek_renewals).sum();
    // One call to encrypt and one to decrypt each payload.
    let direct = 2 * u64::try_from(payloads)?;
    let share = f64::from(u32::try_from(calls)?) / f64::from(u32::try_from(direct)?);
    Ok(Economy {
        payloads,
        namespaces: NAMESPACES,
        seconds: time.as_secs(),
        calls,
        data_keys,
        calls_of_one_per_payload: direct,
        saved_percent: 100.0 * (1.0 - share),
        dollars: f64::from(u32::try_from(calls)?) * PRICE / 10_000.0,
        waited_p99_us: percentile(waited.clone(), 99),
        waited_most_us: percentile(waited, 100),
        batch_p50_us: percentile(took.clone(), 50),
        batch_p99_us: percentile(took, 99),
        first_call_ms: first.as_secs_f64() * 1e3,
    })
}

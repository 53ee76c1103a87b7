//! Interleaved rounds and medians: a machine that is busy for a moment disturbs all measurements alike.

use std::time::Duration;

use tokio::time::Instant;

/// How many rounds are measured, after one that warms up.
const ROUNDS: usize = 9;
/// How long each measurement of a round takes at least.
const ROUND: Duration = Duration::from_millis(30);

/// One way to do the same work: it returns the time that so many repetitions took.
pub(crate) type Work<'w> = Box<dyn FnMut(usize) -> anyhow::Result<Duration> + 'w>;

/// The median time of one piece of each work, in nanoseconds. One repetition does so many pieces.
pub(crate) fn medians<const N: usize>(
    mut works: [Work<'_>; N],
    pieces: usize,
) -> anyhow::Result<[f64; N]> {
    let mut counts = Vec::new();
    for work in &mut works {
        counts.push(repetitions(work)?);
    }
    let pieces = f64::from(u32::try_from(pieces)?);
    let mut times = [const { Vec::new() }; N];
    for _ in 0..ROUNDS {
        for ((work, count), times) in works.iter_mut().zip(&counts).zip(&mut times) {
            let took = work(*count)?;
            times.push(took.as_secs_f64() * 1e9 / f64::from(u32::try_from(*count)?));
        }
    }
    Ok(times.map(|times| median(times) / pieces))
}

/// How many repetitions fill a round.
fn repetitions(work: &mut Work<'_>) -> anyhow::Result<usize> {
    let mut count = 1;
    loop {
        if work(count)? >= ROUND || count >= 1 << 20 {
            return Ok(count);
        }
        count *= 2;
    }
}

/// The middle of some measurements.
pub(crate) fn median(values: Vec<f64>) -> f64 {
    percentile(values, 50)
}

/// The measurement that so many of a hundred are below.
pub(crate) fn percentile(mut values: Vec<f64>, percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let index = (values.len() * percent / 100).min(values.len().saturating_sub(1));
    values.get(index).copied().unwrap_or_default()
}

/// Runs `work`, and returns its result and how long it took.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let done = work();
    (done, start.elapsed())
}

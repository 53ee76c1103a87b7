//! How costs grow: with the size of a payload, with payloads, with data keys and with namespaces.

use serde::Serialize;
use temporal_kms_codec::{CacheLimits, Codec, Namespace, Payload};
use tokio::runtime::Runtime;

use crate::{
    payloads::{codec, local_key, payload},
    rounds::{Work, medians, timed},
};

/// One measurement: the time for one of `count`.
#[derive(Serialize)]
pub(crate) struct Point {
    series: &'static str,
    count: usize,
    ns_each: f64,
}

pub(crate) fn measure() -> anyhow::Result<Vec<Point>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut points = Vec::new();
    for size in [64, 1 << 10, 16 << 10, 256 << 10, 1 << 20, 16 << 20] {
        points.push(bytes_of_a_payload(&runtime, size)?);
    }
    for count in [1, 10, 100, 1000, 10_000] {
        points.push(payloads_in_a_batch(&runtime, count)?);
    }
    for count in [1, 100, 1000, 10_000, 100_000] {
        points.push(data_keys(&runtime, "data keys", count, count)?);
    }
    points.push(data_keys(
        &runtime,
        "data keys, more than the cache",
        10_000,
        5000,
    )?);
    for count in [1, 100, 10_000] {
        points.push(namespaces(&runtime, count)?);
    }
    Ok(points)
}

fn point(series: &'static str, count: usize, work: Work<'_>) -> anyhow::Result<Point> {
    let [ns_each] = medians([work], count)?;
    Ok(Point {
        series,
        count,
        ns_each,
    })
}

/// Decodes `sealed` again and again.
fn decoding<'d>(runtime: &'d Runtime, codec: &'d Codec, sealed: &'d [Payload]) -> Work<'d> {
    Box::new(move |repeat| {
        let given: Vec<_> = (0..repeat).map(|_| sealed.to_vec()).collect();
        let (done, took) = timed(|| {
            for payloads in given {
                runtime.block_on(codec.decode(payloads))?;
            }
            Ok::<_, temporal_kms_codec::Error>(())
        });
        done?;
        Ok(took)
    })
}

/// The time for each byte.
fn bytes_of_a_payload(runtime: &Runtime, size: usize) -> anyhow::Result<Point> {
    let folder = tempfile::tempdir()?;
    let codec = codec("default", local_key(folder.path())?)?;
    let sealed = runtime.block_on(codec.encode(vec![payload(size)]))?;
    let mut point = point("bytes of a payload", 1, decoding(runtime, &codec, &sealed))?;
    point.count = size;
    point.ns_each /= f64::from(u32::try_from(size)?);
    Ok(point)
}

fn payloads_in_a_batch(runtime: &Runtime, count: usize) -> anyhow::Result<Point> {
    let folder = tempfile::tempdir()?;
    let codec = codec("default", local_key(folder.path())?)?;
    let sealed = runtime.block_on(codec.encode(vec![payload(100); count]))?;
    point("payloads", count, decoding(runtime, &codec, &sealed))
}

/// Payloads of so many writers, each with a data key of its own.
fn data_keys(
    runtime: &Runtime,
    series: &'static str,
    count: usize,
    kept: usize,
) -> anyhow::Result<Point> {
    let folder = tempfile::tempdir()?;
    let key = local_key(folder.path())?;
    let mut sealed = Vec::with_capacity(count);
    for _ in 0..count {
        let writer = codec("default", key.clone())?;
        sealed.extend(runtime.block_on(writer.encode(vec![payload(100)]))?);
    }
    let reader = Codec::builder(Namespace::new("default")?)
        .encrypt_with(key)
        .cache_limits(CacheLimits::default().with_max_keys(kept))
        .build()?;
    runtime.block_on(reader.decode(sealed.clone()))?;
    point(series, count, decoding(runtime, &reader, &sealed))
}

/// One payload of each of so many namespaces.
fn namespaces(runtime: &Runtime, count: usize) -> anyhow::Result<Point> {
    let folder = tempfile::tempdir()?;
    let key = local_key(folder.path())?;
    let mut codecs = Vec::with_capacity(count);
    for number in 0..count {
        let codec = codec(&format!("namespace-{number}"), key.clone())?;
        let sealed = runtime.block_on(codec.encode(vec![payload(100)]))?;
        codecs.push((codec, sealed));
    }
    let work: Work<'_> = Box::new(|repeat| {
        let given: Vec<Vec<_>> = (0..repeat)
            .map(|_| codecs.iter().map(|(_, sealed)| sealed.clone()).collect())
            .collect();
        let (done, took) = timed(|| {
            for requests in given {
                for ((codec, _), payloads) in codecs.iter().zip(requests) {
                    runtime.block_on(codec.decode(payloads))?;
                }
            }
            Ok::<_, temporal_kms_codec::Error>(())
        });
        done?;
        Ok(took)
    });
    point("namespaces", count, work)
}

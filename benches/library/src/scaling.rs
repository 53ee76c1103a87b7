//! How costs grow: with payloads, with data keys, with namespaces, and with hostile bodies.

use serde::Serialize;
use temporal_kms_codec::{CacheLimits, Codec, Namespace, Payload};
use temporal_kms_codec_proto::json;
use tokio::runtime::Runtime;

use crate::{
    payloads::{codec, local_key, payload},
    rounds::{Work, medians, timed},
};

/// The longest body that the codec server takes by default.
const LONGEST_BODY: usize = 8 << 20;
/// The most payloads of one.
const MOST_PAYLOADS: usize = 1000;

/// One measurement: the time for one of `count`.
#[derive(Serialize)]
pub(crate) struct Point {
    series: &'static str,
    count: usize,
    ns_each: f64,
}

/// A hostile body of 8 MiB.
#[derive(Serialize)]
pub(crate) struct Hostile {
    body: &'static str,
    bytes: usize,
    ms: f64,
    is_accepted: bool,
}

#[derive(Serialize)]
pub(crate) struct Scaling {
    points: Vec<Point>,
    hostile: Vec<Hostile>,
}

pub(crate) fn measure() -> anyhow::Result<Scaling> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut points = Vec::new();
    for count in [1, 10, 100, 1000, 10_000] {
        points.push(payloads_in_a_batch(&runtime, count)?);
    }
    for count in [1, 100, 1000, 5000, 10_000] {
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
    Ok(Scaling {
        points,
        hostile: hostile(),
    })
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

/// How long bodies that are made to cost much keep a thread busy.
fn hostile() -> Vec<Hostile> {
    let entries = |count: usize| {
        let entry = |number: usize| format!(r#""{number}":"""#);
        (0..count).map(entry).collect::<Vec<_>>().join(",")
    };
    let one = format!(r#"{{"metadata":{{{}}}}}"#, entries(64));
    let escaped = format!(r#"{{"m\u0065tadata":{{{}}}}}"#, entries(64));
    let many = |payload: &str| {
        let count = MOST_PAYLOADS.min(LONGEST_BODY / (payload.len() + 1));
        format!(r#"{{"payloads":[{}]}}"#, vec![payload; count].join(","))
    };
    let bodies = [
        ("630,000 metadata keys in one payload", {
            format!(
                r#"{{"payloads":[{{"metadata":{{{}}}}}]}}"#,
                entries(630_000)
            )
        }),
        ("1,000 payloads with 64 metadata keys each", many(&one)),
        ("the same, with an escape in each", many(&escaped)),
        ("one unknown field, nested a million times", {
            let depth = 1 << 20;
            let (open, close) = ("[".repeat(depth), "]".repeat(depth));
            format!(r#"{{"payloads":[{{"x":{open}{close}}}]}}"#)
        }),
        ("one unknown field with a million names", {
            format!(r#"{{"payloads":[{{"x":{{{}}}}}]}}"#, entries(600_000))
        }),
        ("data of 8 MiB that are not base64 at their end", {
            let data = "A".repeat(LONGEST_BODY - 64);
            format!(r#"{{"payloads":[{{"data":"{data}!"}}]}}"#)
        }),
        ("data of 8 MiB in escapes", {
            let data = r"\u0041".repeat(LONGEST_BODY / 6 - 64);
            format!(r#"{{"payloads":[{{"data":"{data}"}}]}}"#)
        }),
        ("a key of 8 MiB", {
            let key = "k".repeat(LONGEST_BODY - 128);
            format!(r#"{{"payloads":[{{"metadata":{{"{key}":""}}}}]}}"#)
        }),
        ("8 MiB of spaces", {
            format!(r#"{{"payloads":[{}]}}"#, " ".repeat(LONGEST_BODY - 64))
        }),
        ("8 MiB of empty payloads", {
            format!(
                r#"{{"payloads":[{}]}}"#,
                "{},".repeat(LONGEST_BODY / 3 - 64)
            )
        }),
    ];
    let limits = json::Limits::new(MOST_PAYLOADS);
    let measured = bodies.into_iter().map(|(body, text)| {
        let (parsed, took) = timed(|| json::parse_payloads(text.as_bytes(), &limits));
        Hostile {
            body,
            bytes: text.len(),
            ms: took.as_secs_f64() * 1e3,
            is_accepted: parsed.is_ok(),
        }
    });
    measured.collect()
}

//! Encoding and decoding beside the raw AEAD on buffers of the same size.

use std::{hint::black_box, time::Duration};

use serde::Serialize;
use temporal_kms::support::aead::{Aes256Gcm, TAG_LEN};
use temporal_kms_codec::{Codec, Payload};
use tokio::runtime::Runtime;

use crate::{
    batches::{Numbers, allocations, batches},
    payloads::{codec, local_key, payload},
    rounds::{Work, medians, timed},
    shared,
};

const CASES: [(usize, usize); 10] = [
    (64, 1),
    (64, 100),
    (1 << 10, 1),
    (1 << 10, 100),
    (16 << 10, 1),
    (16 << 10, 100),
    (1 << 20, 1),
    (1 << 20, 100),
    (16 << 20, 1),
    (16 << 20, 8),
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
    /// With payloads that share their metadata, and have room around their data.
    shared: Numbers,
    /// Through the SDK's `PayloadCodec`.
    #[serde(skip_serializing_if = "Option::is_none")]
    sdk: Option<Numbers>,
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
    let plain = || vec![payload(size); batch];
    let encode = async |payloads: Vec<Payload>| codec.encode(payloads).await;
    let decode = async |payloads: Vec<Payload>| codec.decode(payloads).await;
    let encoded = runtime.block_on(encode(plain()))?;
    let sealed = || encoded.clone();
    let decoded = runtime.block_on(decode(sealed()))?;
    anyhow::ensure!(decoded == plain(), "another payload");

    let works: [Work<'_>; 4] = [
        Box::new(move |count| Ok(raw_seal(size, count * batch))),
        Box::new(move |count| raw_open(size, count * batch)),
        Box::new(|count| batches(runtime, &plain, size * batch, count, &encode)),
        Box::new(|count| batches(runtime, &sealed, size * batch, count, &decode)),
    ];
    let [raw_seal_ns, raw_open_ns, encode_ns, decode_ns] = medians(works, batch)?;
    Ok(Row {
        size,
        batch,
        raw_seal_ns,
        raw_open_ns,
        encode_ns,
        decode_ns,
        encode_allocations: allocations(runtime, &plain, &encode)?,
        decode_allocations: allocations(runtime, &sealed, &decode)?,
        shared: shared::measure(runtime, codec, size, batch)?,
        #[cfg(feature = "sdk")]
        sdk: Some(crate::sdk::measure(runtime, codec, size, batch)?),
        #[cfg(not(feature = "sdk"))]
        sdk: None,
    })
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

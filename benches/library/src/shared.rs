//! Encoding and decoding of payloads that share their metadata, as the codec server does it.

use std::sync::Arc;

use temporal_kms_codec::{Codec, Payload, SharedPayload};
use tokio::runtime::Runtime;

use crate::{batches::Numbers, payloads::payload};

/// The key of a payload was not known, although it was just encoded.
#[derive(Debug, thiserror::Error)]
#[error("a data key that was just used is not known")]
struct Unknown;

pub(crate) fn measure(
    runtime: &Runtime,
    codec: &Codec,
    size: usize,
    batch: usize,
) -> anyhow::Result<Numbers> {
    let Payload { metadata, data, .. } = payload(size);
    let metadata = Arc::new(metadata);
    let one = || SharedPayload::new(Arc::clone(&metadata), data.clone());
    let plain: Vec<SharedPayload> = (0..batch).map(|_| one()).collect();
    let encode = |payloads: Vec<SharedPayload>| runtime.block_on(codec.encode_shared(payloads));
    let decode = |payloads: Vec<SharedPayload>| {
        let decoder = codec.decoder();
        let mut known = decoder.known();
        let opened = payloads.into_iter().map(|one| known.decode_shared(one));
        opened.collect::<Result<Vec<_>, _>>().map_err(|_| Unknown)
    };
    Numbers::measure(&plain, size * batch, &encode, &decode)
}

//! Encoding and decoding of payloads as in the codec server: they share their metadata, and their data have the room in which
//! they are encrypted.

use std::sync::Arc;

use temporal_kms_codec::{Codec, Payload, SharedPayload};
use temporal_kms_codec_proto::Data;
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
    let one = || SharedPayload::new(Arc::clone(&metadata), with_room(&data));
    let plain = || (0..batch).map(|_| one()).collect();
    let encode = async |payloads: Vec<SharedPayload>| codec.encode_shared(payloads).await;
    let decode = async |payloads: Vec<SharedPayload>| {
        let decoder = codec.decoder();
        let mut known = decoder.known();
        let opened = payloads.into_iter().map(|one| known.decode_shared(one));
        opened.collect::<Result<Vec<_>, _>>().map_err(|_| Unknown)
    };
    Numbers::measure(
        runtime,
        &plain,
        without_room,
        size * batch,
        &encode,
        &decode,
    )
}

fn with_room(data: &[u8]) -> Data {
    let room = Codec::SEALING_ROOM;
    let mut buffer = Vec::with_capacity(room.before + data.len() + room.behind);
    buffer.resize(room.before, 0);
    buffer.extend_from_slice(data);
    Data::behind(room.before, buffer)
}

/// What is decoded is read without room around it.
fn without_room(mut payload: SharedPayload) -> SharedPayload {
    payload.data = payload.data.to_vec().into();
    payload
}

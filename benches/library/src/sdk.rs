//! Encoding and decoding through the SDK's `PayloadCodec`.

use std::convert::identity;

use temporal_kms_codec::Codec;
use temporalio_common::{
    data_converters::{PayloadCodec, SerializationContextData},
    protos::temporal::api::common::v1::Payload,
};
use tokio::runtime::Runtime;

use crate::batches::Numbers;

pub(crate) fn measure(
    runtime: &Runtime,
    codec: &Codec,
    size: usize,
    batch: usize,
) -> anyhow::Result<Numbers> {
    let payload = Payload {
        metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
        data: vec![b'x'; size],
        external_payloads: Vec::new(),
    };
    let plain = || vec![payload.clone(); batch];
    let context = SerializationContextData::None;
    let encode =
        async |payloads: Vec<Payload>| PayloadCodec::encode(codec, &context, payloads).await;
    let decode =
        async |payloads: Vec<Payload>| PayloadCodec::decode(codec, &context, payloads).await;
    Numbers::measure(runtime, &plain, identity, size * batch, &encode, &decode)
}

//! Encoding and decoding through the SDK's `PayloadCodec`.

use temporal_kms_codec::Codec;
use temporalio_common::{
    data_converters::{PayloadCodec, SerializationContextData},
    protos::temporal::api::common::v1::Payload,
};
use tokio::runtime::Runtime;

use crate::{
    batches::{Numbers, allocations, batches},
    rounds::{Work, medians},
};

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
    let plain = vec![payload; batch];
    let context = SerializationContextData::None;
    let encode =
        |payloads: Vec<Payload>| runtime.block_on(PayloadCodec::encode(codec, &context, payloads));
    let decode =
        |payloads: Vec<Payload>| runtime.block_on(PayloadCodec::decode(codec, &context, payloads));
    let sealed = encode(plain.clone())?;
    let works: [Work<'_>; 2] = [
        Box::new(|count| batches(&plain, count, &encode)),
        Box::new(|count| batches(&sealed, count, &decode)),
    ];
    let [encode_ns, decode_ns] = medians(works, batch)?;
    Ok(Numbers {
        encode_ns,
        decode_ns,
        encode_allocations: allocations(&plain, &encode)?,
        decode_allocations: allocations(&sealed, &decode)?,
    })
}

//! Encoding and decoding through the SDK's `PayloadCodec`.

use temporal_kms_codec::Codec;
use temporalio_common::{
    data_converters::{PayloadCodec, SerializationContextData},
    protos::temporal::api::common::v1::Payload,
};
use tokio::runtime::Runtime;

use crate::{
    batches::{Sdk, allocations, batches},
    rounds::{Work, medians},
};

pub(crate) fn measure(
    runtime: &Runtime,
    codec: &Codec,
    size: usize,
    batch: usize,
) -> anyhow::Result<Sdk> {
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
    let mut works: Vec<Work<'_>> = vec![
        Box::new(|count| batches(&plain, count, &encode)),
        Box::new(|count| batches(&sealed, count, &decode)),
    ];
    let times = medians(&mut works)?;
    drop(works);
    let per_payload = |index: usize| -> anyhow::Result<f64> {
        let time = times.get(index).copied().unwrap_or_default();
        Ok(time / f64::from(u32::try_from(batch)?))
    };
    Ok(Sdk {
        encode_ns: per_payload(0)?,
        decode_ns: per_payload(1)?,
        encode_allocations: allocations(&plain, &encode)?,
        decode_allocations: allocations(&sealed, &decode)?,
    })
}

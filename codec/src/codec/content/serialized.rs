//! A payload in serialized form, as it is sealed. Payloads with metadata of their own and payloads that share them have the
//! same form.

use prost::encoding::{
    WireType, btree_map, bytes, encode_key, encode_varint, encoded_len_varint, message, string,
};
use temporal_kms::support::SecretVec;
use temporal_kms_codec_proto::PayloadParts;

use super::{DATA, EXTERNAL_PAYLOADS, METADATA};

/// The length of the serialized form.
pub(crate) fn len(payload: &impl PayloadParts) -> usize {
    // The key of each field is one byte.
    let data = match payload.data().len() {
        0 => 0,
        data => 1 + encoded_len_varint(data as u64) + data,
    };
    let (metadata, external) = (payload.metadata(), payload.external_payloads());
    btree_map::encoded_len(string::encoded_len, bytes::encoded_len, METADATA, metadata)
        + data
        + message::encoded_len_repeated(EXTERNAL_PAYLOADS, external)
}

/// Adds the serialized form to `out`.
pub(crate) fn push(payload: &impl PayloadParts, out: &mut Vec<u8>) {
    btree_map::encode(
        string::encode,
        string::encoded_len,
        bytes::encode,
        bytes::encoded_len,
        METADATA,
        payload.metadata(),
        out,
    );
    let data = payload.data();
    if !data.is_empty() {
        encode_key(DATA, WireType::LengthDelimited, out);
        encode_varint(data.len() as u64, out);
        out.extend_from_slice(data);
    }
    for external in payload.external_payloads() {
        message::encode(EXTERNAL_PAYLOADS, external, out);
    }
}

/// The serialized form.
pub(crate) fn to_vec(payload: &impl PayloadParts) -> SecretVec {
    let mut out = Vec::with_capacity(len(payload));
    push(payload, &mut out);
    out.into()
}

#[cfg(test)]
mod tests {
    use proptest::{collection, prelude::*};
    use prost::Message as _;
    use temporal_kms_codec_proto::{SharedPayload, payload::ExternalPayloadDetails};

    use super::*;
    use crate::Payload;

    proptest! {
        /// The form is that of the protobuf library.
        #[test]
        fn a_payload_is_serialized_as_a_message_is(
            metadata in collection::btree_map(".{0,6}", collection::vec(any::<u8>(), 0..300), 0..4),
            data in collection::vec(any::<u8>(), 0..300),
            external in collection::vec(any::<i64>(), 0..3),
        ) {
            let payload = Payload {
                metadata,
                data,
                external_payloads: external.into_iter().map(|size_bytes| ExternalPayloadDetails { size_bytes }).collect(),
            };
            let message = payload.encode_to_vec();
            prop_assert_eq!(len(&payload), message.len());
            prop_assert_eq!(to_vec(&payload).into_inner(), message.clone());
            let shared = SharedPayload::from(payload);
            prop_assert_eq!(len(&shared), message.len());
            prop_assert_eq!(to_vec(&shared).into_inner(), message);
        }
    }
}

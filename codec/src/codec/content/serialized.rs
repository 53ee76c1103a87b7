//! A payload in serialized form, as it is sealed. Payloads with metadata of their own and payloads that share them have the
//! same form.

use std::sync::Arc;

use prost::{
    bytes::BufMut,
    encoding::{
        WireType, btree_map, bytes, encode_key, encode_varint, encoded_len_varint, message, string,
    },
};
use temporal_kms::support::{SecretVec, erase, erase_vec};
use temporal_kms_codec_proto::{Metadata, OncePerMetadata, PayloadParts, Room};

use super::{DATA, EXTERNAL_PAYLOADS, METADATA};
use crate::payload::Erase as _;

/// The length of the serialized form.
pub(crate) fn len(payload: &impl PayloadParts) -> usize {
    metadata_len(payload.metadata()) + other_len(payload)
}

/// The lengths of all of them together.
pub(crate) fn total_len(payloads: &[impl PayloadParts]) -> u64 {
    let mut metadata_lens = OncePerMetadata::default();
    let lens = payloads.iter().map(|payload| {
        let metadata = payload.metadata();
        let metadata = metadata_lens.get(metadata, || metadata_len(metadata));
        (metadata + other_len(payload)) as u64
    });
    lens.sum()
}

fn metadata_len(metadata: &Metadata) -> usize {
    btree_map::encoded_len(string::encoded_len, bytes::encoded_len, METADATA, metadata)
}

fn push_metadata(metadata: &Metadata, out: &mut Vec<u8>) {
    btree_map::encode(
        string::encode,
        string::encoded_len,
        bytes::encode,
        bytes::encoded_len,
        METADATA,
        metadata,
        out,
    );
}

/// The length of everything but the metadata.
fn other_len(payload: &impl PayloadParts) -> usize {
    let data = match payload.data().len() {
        0 => 0,
        len => data_start_len(len) + len,
    };
    data + message::encoded_len_repeated(EXTERNAL_PAYLOADS, payload.external_payloads())
}

/// The length of the field's key, which is one byte, and of the length that is before the data.
fn data_start_len(len: usize) -> usize {
    1 + encoded_len_varint(len as u64)
}

fn put_data_start(len: usize, out: &mut impl BufMut) {
    encode_key(DATA, WireType::LengthDelimited, out);
    encode_varint(len as u64, out);
}

/// Adds the serialized form to `out`.
fn push(payload: &impl PayloadParts, out: &mut Vec<u8>) {
    push_metadata(payload.metadata(), out);
    push_other(payload, out);
}

/// Adds everything but the metadata.
fn push_other(payload: &impl PayloadParts, out: &mut Vec<u8>) {
    let data = payload.data();
    if !data.is_empty() {
        put_data_start(data.len(), out);
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

/// Serializes the payloads of a batch. Metadata that a payload shares with the one before are serialized once.
#[derive(Default)]
pub(crate) struct Serializer {
    /// The last metadata, if other payloads may have them too.
    last: Option<Arc<Metadata>>,
    /// What they are in serialized form.
    metadata: SecretVec,
}

/// A payload in serialized form, in a buffer that has room around it.
pub(crate) struct Serialized {
    pub(crate) buffer: SecretVec,
    /// Where the room before the payload begins.
    pub(crate) start: usize,
}

impl Serializer {
    /// The serialized form with `room` around it. It is made around the data where they are, if their buffer has enough room.
    /// Then they are taken out of the payload.
    pub(crate) fn serialize(&mut self, payload: &mut impl PayloadParts, room: Room) -> Serialized {
        self.prepare(payload);
        self.serialize_in_place(payload, room)
            .unwrap_or_else(|| self.serialize_copy(payload, room))
    }

    /// Serializes the metadata, unless they are the last ones.
    fn prepare(&mut self, payload: &impl PayloadParts) {
        let shared = payload.shared_metadata();
        if let (Some(last), Some(shared)) = (&self.last, shared)
            && Arc::ptr_eq(last, shared)
        {
            return;
        }
        self.forget();
        let metadata = payload.metadata();
        let len = metadata_len(metadata);
        if self.metadata.capacity() < len {
            self.metadata = Vec::with_capacity(len).into();
        }
        push_metadata(metadata, &mut self.metadata);
        self.last = shared.cloned();
    }

    fn serialize_in_place(
        &self,
        payload: &mut impl PayloadParts,
        room: Room,
    ) -> Option<Serialized> {
        let len = payload.data().len();
        if len == 0 || !payload.external_payloads().is_empty() {
            return None;
        }
        let start_len = self.metadata.len() + data_start_len(len);
        let needed = Room {
            before: room.before + start_len,
            ..room
        };
        let (buffer, data) = payload.take_data(needed)?.into_buffer();
        let mut buffer = SecretVec::from(buffer);
        let (start, begin) = (data - needed.before, data - start_len);
        // A decoder may have left plaintext there, which nobody would erase any more.
        erase(buffer.get_mut(..start).unwrap_or_default());
        let mut before = buffer.get_mut(begin..data).unwrap_or_default();
        before.put_slice(&self.metadata);
        put_data_start(len, &mut before);
        Some(Serialized { buffer, start })
    }

    fn serialize_copy(&self, payload: &impl PayloadParts, room: Room) -> Serialized {
        let len = self.metadata.len() + other_len(payload);
        let mut buffer = SecretVec::from(Vec::with_capacity(room.before + len + room.behind));
        buffer.resize(room.before, 0);
        buffer.extend_from_slice(&self.metadata);
        push_other(payload, &mut buffer);
        Serialized { buffer, start: 0 }
    }

    /// Erases the last metadata, unless another payload has them.
    fn forget(&mut self) {
        erase_vec(&mut self.metadata);
        if let Some(mut last) = self.last.take() {
            last.erase();
        }
    }
}

impl Drop for Serializer {
    fn drop(&mut self) {
        self.forget();
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection, option, prelude::*};
    use prost::Message as _;
    use temporal_kms_codec_proto::{Data, SharedPayload, payload::ExternalPayloadDetails};

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

        /// Where the data are, and which metadata were before, makes no difference.
        #[test]
        fn a_batch_is_serialized_as_its_payloads_are(
            metadata in collection::vec(collection::btree_map(".{0,6}", collection::vec(any::<u8>(), 0..200), 0..3), 1..3),
            payloads in collection::vec((any::<prop::sample::Index>(), 0usize..600, 0usize..300, 0usize..40, option::of(any::<i64>())), 0..5),
            (before, behind) in (0usize..70, 0usize..20),
        ) {
            let (metadata, room): (Vec<_>, _) = (metadata.into_iter().map(Arc::new).collect(), Room { before, behind });
            let mut serializer = Serializer::default();
            let payloads = payloads.into_iter().map(|(index, len, before, behind, external)| {
                let mut buffer = Vec::with_capacity(before + len + behind);
                buffer.resize(before, 9);
                buffer.resize(before + len, 7);
                let mut payload = SharedPayload::new(Arc::clone(index.get(&metadata)), Data::behind(before, buffer));
                payload.external_payloads.extend(external.map(|size_bytes| ExternalPayloadDetails { size_bytes }));
                payload
            });
            let payloads: Vec<_> = payloads.collect();
            let lens = payloads.iter().map(|payload| len(payload) as u64);
            prop_assert_eq!(total_len(&payloads), lens.sum::<u64>());
            for mut payload in payloads {
                let message = payload.clone().into_payload().encode_to_vec();
                let place = payload.data.as_ptr();
                let is_in_place = payload.external_payloads.is_empty() && !payload.data.is_empty()
                    && payload.data.has_room(Room { before: room.before + message.len() - payload.data.len(), ..room });
                let Serialized { buffer, start } = serializer.serialize(&mut payload, room);
                let begin = start + room.before;
                prop_assert_eq!(&buffer[begin..], &message);
                prop_assert!(buffer[..start].iter().all(|byte| *byte == 0));
                prop_assert!(buffer.capacity() - buffer.len() >= room.behind);
                prop_assert_eq!(buffer.as_ptr_range().contains(&place), is_in_place);
                prop_assert!(!is_in_place || payload.data.is_empty());
            }
        }
    }

    #[test]
    fn metadata_of_nobody_else_are_erased() {
        let metadata = || Arc::new(Metadata::from([("note".to_owned(), b"secret".to_vec())]));
        let room = Room::default();
        let mut serializer = Serializer::default();
        let others = metadata();
        serializer.serialize(&mut SharedPayload::new(Arc::clone(&others), vec![1]), room);
        serializer.serialize(&mut SharedPayload::new(metadata(), vec![1]), room);
        assert_eq!(others, metadata());
        let last = serializer.last.clone().unwrap();
        assert_eq!(last, metadata());
        serializer.forget();
        assert_eq!(last, metadata(), "it has another owner");
        assert!(serializer.metadata.is_empty());
        serializer.last = Some(last);
        serializer.forget();
        assert!(serializer.last.is_none());
    }
}

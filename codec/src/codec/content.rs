//! The serialized payload that is inside of an encrypted one, and its limits.

mod in_place;
pub(crate) mod serialized;

use std::{
    ops::Range,
    sync::{Arc, LazyLock},
};

use prost::{
    Message as _,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};

use temporal_kms::support::{SecretVec, erase, erase_from};
use temporal_kms_codec_proto::{Data, Metadata, PayloadParts, SharedPayload};

use crate::{
    Payload, PayloadError,
    payload::{Erase as _, Plain},
};

/// Temporal's payloads have fewer than 20 entries. Entries cost far more memory than bytes of a message: a message of
/// some megabytes must not become gigabytes.
pub(crate) const MAX_ENTRIES: usize = 1000;
/// The most fields of a serialized payload, with those of its entries and those that are unknown. Reading the eight million empty
/// ones that fit into 16 MiB takes a tenth of a second, in which no other task runs.
const MAX_FIELDS: usize = 10 * MAX_ENTRIES;
/// How deep groups are nested at most, as in `prost`.
const MAX_DEPTH: usize = 100;

/// `message Payload`.
const METADATA: u32 = 1;
const DATA: u32 = 2;
const EXTERNAL_PAYLOADS: u32 = 3;
/// An entry of the metadata.
const ENTRY_KEY: u32 = 1;
const ENTRY_VALUE: u32 = 2;

/// Whether `decode` would read what becomes of `payload`.
pub(crate) fn check(payload: &impl PayloadParts) -> Result<(), PayloadError> {
    let entries = payload.metadata().len();
    match entries.max(payload.external_payloads().len()) {
        0..=MAX_ENTRIES => Ok(()),
        _ => Err(TOO_MANY_ENTRIES),
    }
}

/// Reads a serialized payload.
pub(crate) fn decode(serialized: &[u8]) -> Result<Payload, PayloadError> {
    check_fields(serialized)?;
    // If the rest is not a payload, what was read is erased. Entries of the metadata are whole, since `prost` would not erase
    // the value of half an entry. It does not erase what a second value replaces, either: no SDK writes such a payload.
    let mut payload = Plain::<Payload>::default();
    payload.merge(serialized).map_err(|_| NOT_A_PAYLOAD)?;
    Ok(payload.into_inner())
}

/// Reads a serialized payload out of the buffer that it was decrypted in. Its data stay in this buffer, and everything else in
/// the buffer is erased.
pub(crate) fn take(buffer: SecretVec, serialized: Range<usize>) -> Result<Payload, PayloadError> {
    Ok(match taken(buffer, serialized, in_place::metadata)? {
        Taken::InPlace(metadata, data) => Payload {
            metadata,
            data: data.into_vec(),
            external_payloads: Vec::new(),
        },
        Taken::Read(payload) => payload,
    })
}

/// The serialized metadata of the last payload, and what they are. They are erased once no payload has them.
#[derive(Default)]
pub(crate) struct LastMetadata(Option<(SecretVec, Arc<Metadata>)>);

/// The metadata that Temporal's own converters make, in serialized form and as they are.
static USUAL: LazyLock<[(Vec<u8>, Arc<Metadata>); 5]> = LazyLock::new(|| {
    let encodings = [
        "json/plain",
        "json/protobuf",
        "binary/plain",
        "binary/protobuf",
        "binary/null",
    ];
    encodings.map(|encoding| {
        let metadata = Metadata::from([("encoding".to_owned(), encoding.into())]);
        let payload = Payload {
            metadata: metadata.clone(),
            ..Payload::default()
        };
        (payload.encode_to_vec(), Arc::new(metadata))
    })
});

/// As [`take`]. A payload with the metadata of the last one, or with usual ones, shares them.
pub(crate) fn take_shared(
    buffer: SecretVec,
    serialized: Range<usize>,
    last: &mut LastMetadata,
) -> Result<SharedPayload, PayloadError> {
    Ok(
        match taken(buffer, serialized, |text| last.metadata(text))? {
            Taken::InPlace(metadata, data) => SharedPayload::new(metadata, data),
            Taken::Read(payload) => payload.into(),
        },
    )
}

/// What was taken out of a buffer.
enum Taken<M> {
    /// The metadata and the data.
    InPlace(M, Data),
    /// A payload in another form than most, which was read the other way.
    Read(Payload),
}

/// Takes a payload out of a buffer. `metadata` reads its serialized metadata.
fn taken<M>(
    mut buffer: SecretVec,
    serialized: Range<usize>,
    metadata: impl FnOnce(&[u8]) -> Option<M>,
) -> Result<Taken<M>, PayloadError> {
    /// A small buffer may be kept for any data.
    const SMALL: usize = 4096;

    let start = serialized.start;
    let serialized = buffer.get(serialized).unwrap_or_default();
    let Some(parts) = in_place::parts(serialized, MAX_ENTRIES) else {
        return decode(serialized).map(Taken::Read);
    };
    let text = serialized.get(parts.metadata).unwrap_or_default();
    let Some(metadata) = metadata(text) else {
        return decode(serialized).map(Taken::Read);
    };
    let len = parts.data.len();
    if buffer.capacity() > SMALL && len < buffer.capacity() / 2 {
        // Few data must not keep much memory.
        let data = serialized.get(parts.data).unwrap_or_default();
        return Ok(Taken::InPlace(metadata, data.to_vec().into()));
    }
    let data = start + parts.data.start..start + parts.data.end;
    erase_from(&mut buffer, data.end);
    erase(buffer.get_mut(..data.start).unwrap_or_default());
    let data = Data::behind(data.start, buffer.into_inner());
    Ok(Taken::InPlace(metadata, data))
}

impl LastMetadata {
    /// The metadata that `serialized` is.
    fn metadata(&mut self, serialized: &[u8]) -> Option<Arc<Metadata>> {
        if let Some((_, metadata)) = USUAL.iter().find(|(usual, _)| usual == serialized) {
            return Some(Arc::clone(metadata));
        }
        if let Some((last, metadata)) = &self.0
            && last.as_slice() == serialized
        {
            return Some(Arc::clone(metadata));
        }
        let metadata = Arc::new(in_place::metadata(serialized)?);
        self.forget();
        self.0 = Some((serialized.to_vec().into(), Arc::clone(&metadata)));
        Some(metadata)
    }

    fn forget(&mut self) {
        if let Some((_, mut metadata)) = self.0.take() {
            metadata.erase();
        }
    }
}

impl Drop for LastMetadata {
    fn drop(&mut self) {
        self.forget();
    }
}

const NOT_A_PAYLOAD: PayloadError = PayloadError::Malformed("its content is not a payload");
const TOO_MANY_ENTRIES: PayloadError = PayloadError::Malformed(
    "it has more than 1,000 entries in its metadata or its external payloads",
);

const TOO_MANY_FIELDS: PayloadError = PayloadError::Malformed("it has more than 10,000 fields");

/// Checks that a serialized payload has few entries and few fields, and that every entry of the metadata is whole. `prost` reads an
/// entry of a map from a field of any type, where other readers skip the field.
fn check_fields(mut serialized: &[u8]) -> Result<(), PayloadError> {
    let mut fields = Fields::default();
    let (mut metadata, mut external) = (0, 0);
    while !serialized.is_empty() {
        let (tag, wire_type) = fields.key(&mut serialized)?;
        match (tag, wire_type) {
            (METADATA, WireType::LengthDelimited) => {
                metadata += 1;
                fields.check_entry(delimited(&mut serialized)?)?;
            }
            (METADATA, _) => return Err(NOT_A_PAYLOAD),
            (EXTERNAL_PAYLOADS, WireType::LengthDelimited) => {
                external += 1;
                fields.check_message(delimited(&mut serialized)?)?;
            }
            _ => fields.skip(wire_type, tag, &mut serialized, MAX_DEPTH)?,
        }
        if metadata > MAX_ENTRIES || external > MAX_ENTRIES {
            return Err(TOO_MANY_ENTRIES);
        }
    }
    Ok(())
}

/// Counts the fields of a serialized payload.
struct Fields {
    left: usize,
}

impl Default for Fields {
    fn default() -> Self {
        Self { left: MAX_FIELDS }
    }
}

impl Fields {
    /// The key of the next field.
    fn key(&mut self, bytes: &mut &[u8]) -> Result<(u32, WireType), PayloadError> {
        self.left = self.left.checked_sub(1).ok_or(TOO_MANY_FIELDS)?;
        decode_key(bytes).map_err(|_| NOT_A_PAYLOAD)
    }

    /// Whether `prost` would read an entry of the metadata. Entries with groups are refused.
    fn check_entry(&mut self, mut entry: &[u8]) -> Result<(), PayloadError> {
        while !entry.is_empty() {
            let (tag, wire_type) = self.key(&mut entry)?;
            match tag {
                ENTRY_KEY | ENTRY_VALUE if wire_type != WireType::LengthDelimited => {
                    return Err(NOT_A_PAYLOAD);
                }
                ENTRY_KEY => {
                    str::from_utf8(delimited(&mut entry)?).map_err(|_| NOT_A_PAYLOAD)?;
                }
                // No SDK writes groups, and `prost` counts their depth from outside.
                _ if wire_type == WireType::StartGroup => return Err(NOT_A_PAYLOAD),
                _ => self.skip(wire_type, tag, &mut entry, MAX_DEPTH)?,
            }
        }
        Ok(())
    }

    /// Counts the fields of a message.
    fn check_message(&mut self, mut message: &[u8]) -> Result<(), PayloadError> {
        while !message.is_empty() {
            let (tag, wire_type) = self.key(&mut message)?;
            self.skip(wire_type, tag, &mut message, MAX_DEPTH)?;
        }
        Ok(())
    }

    /// Skips what is behind a key. The fields of a group count.
    fn skip(
        &mut self,
        wire_type: WireType,
        tag: u32,
        bytes: &mut &[u8],
        depth: usize,
    ) -> Result<(), PayloadError> {
        if wire_type != WireType::StartGroup {
            let skipped = skip_field(wire_type, tag, bytes, DecodeContext::default());
            return skipped.map_err(|_| NOT_A_PAYLOAD);
        }
        let depth = depth.checked_sub(1).ok_or(NOT_A_PAYLOAD)?;
        loop {
            let (inner_tag, inner_type) = self.key(bytes)?;
            if inner_type == WireType::EndGroup {
                return if inner_tag == tag {
                    Ok(())
                } else {
                    Err(NOT_A_PAYLOAD)
                };
            }
            self.skip(inner_type, inner_tag, bytes, depth)?;
        }
    }
}

/// Takes what has its length before it.
fn delimited<'b>(bytes: &mut &'b [u8]) -> Result<&'b [u8], PayloadError> {
    let length = decode_varint(bytes).map_err(|_| NOT_A_PAYLOAD)?;
    let length = usize::try_from(length).map_err(|_| NOT_A_PAYLOAD)?;
    let (content, rest) = bytes.split_at_checked(length).ok_or(NOT_A_PAYLOAD)?;
    *bytes = rest;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use proptest::{collection, option, prelude::*};
    use temporal_kms_codec_proto::payload::ExternalPayloadDetails;

    use super::*;

    #[test]
    fn a_million_entries_are_refused_before_they_are_made() {
        for empty in [[0x0a, 0], [0x1a, 0]] {
            assert_eq!(decode(&empty.repeat(1_000_000)), Err(TOO_MANY_ENTRIES));
            assert!(decode(&empty.repeat(MAX_ENTRIES)).is_ok());
        }
    }

    #[test]
    fn millions_of_other_fields_are_refused_before_they_are_read() {
        let unknown = [0x78_u8, 1];
        assert!(decode(&unknown.repeat(MAX_FIELDS)).is_ok());
        let many = unknown.repeat(1_000_000);
        let length = |field: u8| {
            let mut start = vec![field];
            prost::encoding::encode_varint(many.len() as u64, &mut start);
            start
        };
        for message in [
            many.clone(),
            // The data, again and again.
            [0x12, 1, b'x'].repeat(1_000_000),
            // A group.
            [&[0x7b][..], &many, &[0x7c]].concat(),
            // An entry of the metadata, and an external payload.
            [length(0x0a), many.clone()].concat(),
            [length(0x1a), many.clone()].concat(),
        ] {
            assert_eq!(decode(&message), Err(TOO_MANY_FIELDS));
        }
    }

    #[test]
    fn what_is_sealed_can_be_read() {
        let with = |entries: usize| Payload {
            metadata: (0..entries).map(|n| (n.to_string(), vec![1])).collect(),
            ..Payload::default()
        };
        let most = with(MAX_ENTRIES);
        assert_eq!(check(&most), Ok(()));
        assert_eq!(decode(&most.encode_to_vec()), Ok(most));
        let more = with(MAX_ENTRIES + 1);
        assert_eq!(check(&more), Err(TOO_MANY_ENTRIES));
        assert_eq!(decode(&more.encode_to_vec()), Err(TOO_MANY_ENTRIES));
    }

    proptest! {
        /// What is taken out of a buffer is what is read from it.
        #[test]
        fn taking_gives_what_reading_gives(
            metadata in collection::btree_map(".{0,6}", collection::vec(any::<u8>(), 0..300), 0..4),
            data in collection::vec(any::<u8>(), 0..6000),
            external in collection::vec(any::<i64>(), 0..2),
            (before, after) in (0usize..80, 0usize..20),
            damage in option::of((any::<prop::sample::Index>(), any::<u8>())),
        ) {
            let external = external.into_iter().map(|size_bytes| ExternalPayloadDetails { size_bytes });
            let payload = Payload { metadata, data, external_payloads: external.collect() };
            let mut serialized = payload.encode_to_vec();
            if let Some((at, byte)) = damage && !serialized.is_empty() {
                let at = at.index(serialized.len());
                serialized[at] = byte;
            }
            let buffer = [vec![0xAA; before], serialized.clone(), vec![0xBB; after]].concat();
            let range = before..before + serialized.len();
            let taken = take(buffer.clone().into(), range.clone());
            prop_assert_eq!(&taken, &decode(&serialized));
            let mut last = LastMetadata::default();
            for _ in 0..2 {
                let shared = take_shared(buffer.clone().into(), range.clone(), &mut last);
                prop_assert_eq!(&shared.map(SharedPayload::into_payload), &taken);
            }
        }
    }

    proptest! {
        /// An entry is whole exactly where `prost` reads it. One with groups may be refused.
        #[test]
        fn entries_are_checked_as_they_are_read(
            entry in prop_oneof![
                collection::vec(any::<u8>(), 0..12),
                collection::vec(prop::sample::select(vec![0, 1, 2, 0x0a, 0x12, 0x1a, 0x18, 0x10, 0x23, 0x24, 0xff, b'a']), 0..16),
            ],
        ) {
            let length = u8::try_from(entry.len()).unwrap();
            let serialized = [&[0x0a, length][..], &entry].concat();
            let read = Payload::decode(serialized.as_slice());
            let checked = Fields::default().check_entry(&entry);
            let decoded = decode(&serialized).ok();
            prop_assert_eq!(checked.is_ok(), decoded.is_some());
            // The lowest bits of a tag are the wire type. Here they may be something else.
            let may_have_groups = entry.iter().any(|byte| byte & 7 == 3);
            if decoded.is_some() || !may_have_groups {
                prop_assert_eq!(decoded, read.ok());
            }
        }
    }

    #[test]
    fn a_value_before_a_key_is_read_and_half_an_entry_is_refused() {
        let entry =
            |entry: &[u8]| [&[0x0a, u8::try_from(entry.len()).unwrap()][..], entry].concat();
        let value_first = decode(&entry(b"\x12\x01v\x0a\x01k")).unwrap();
        assert_eq!(value_first.metadata["k"], b"v");
        for half in [
            &b"\x12\x01v\x0a\x01\xff"[..],
            b"\x12\x01v\x0a\x02k",
            b"\x12\x01v\x08\x01",
            b"\x0a\x01k\x12\x02v",
            b"\x12\x01v\x00",
        ] {
            assert_eq!(check_fields(&entry(half)), Err(NOT_A_PAYLOAD));
            assert_eq!(decode(&entry(half)), Err(NOT_A_PAYLOAD));
        }
    }

    #[test]
    fn payloads_of_temporals_converters_share_their_metadata() {
        for (serialized, usual) in USUAL.iter() {
            assert_eq!(
                decode(serialized).map(|read| read.metadata),
                Ok((**usual).clone())
            );
            let mut last = LastMetadata::default();
            let taken = take_shared(serialized.clone().into(), 0..serialized.len(), &mut last);
            assert!(taken.is_ok_and(|taken| Arc::ptr_eq(&taken.metadata, usual)));
            assert!(last.0.is_none());
        }
    }

    #[test]
    fn data_stay_in_their_buffer_and_leave_nothing_beside_them() {
        let payload = Payload {
            metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
            data: b"secret".repeat(100),
            external_payloads: vec![],
        };
        let buffer = [vec![1; 66], payload.encode_to_vec(), vec![2; 16]].concat();
        let whole = buffer.clone();
        let (place, end) = (buffer.as_ptr(), buffer.len() - 16);
        let mut taken = take(buffer.into(), 66..end).unwrap();
        assert_eq!(taken, payload);
        assert_eq!(taken.data.as_ptr(), place);
        let shared = take_shared(whole.into(), 66..end, &mut LastMetadata::default());
        let mut shared = shared.unwrap();
        assert_eq!(&*shared.data, payload.data);
        let before = shared.data.buffer_mut();
        before.truncate(before.len() - payload.data.len());
        assert!(before.len() > 66 && before.iter().all(|byte| *byte == 0));
        let len = taken.data.len();
        // No plaintext is behind the data: what is written there stays what it was.
        assert!(taken.data.capacity() > len);
        taken.data.reserve_exact(taken.data.capacity() - len);
        assert_eq!(taken.data.as_ptr(), place);

        let small = Payload {
            metadata: [("a".to_owned(), vec![1; 10_000])].into(),
            data: b"x".to_vec(),
            external_payloads: vec![],
        };
        let serialized = small.encode_to_vec();
        let end = serialized.len();
        let taken = take(serialized.into(), 0..end).unwrap();
        assert!(taken.data.capacity() < 100);
        assert_eq!(taken, small);
    }

    #[test]
    fn unknown_fields_are_skipped_and_deep_groups_are_refused() {
        let unknown = [&[0x7a, 3][..], b"abc", &[0x78, 1]].concat();
        assert_eq!(decode(&unknown), Ok(Payload::default()));
        // Field 15 as a group in a group, and so on.
        let groups = |depth: usize| [[0x7b].repeat(depth), [0x7c].repeat(depth)].concat();
        assert_eq!(decode(&groups(3)), Ok(Payload::default()));
        for damaged in [
            groups(100_000),
            vec![0x7b; 1_000_000],
            vec![0x7c],
            vec![0x0a, 9],
            // Metadata as a number.
            vec![0x08, 0],
        ] {
            assert!(matches!(decode(&damaged), Err(PayloadError::Malformed(_))));
        }
    }
}

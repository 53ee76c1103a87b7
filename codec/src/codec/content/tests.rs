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
    let entry = |entry: &[u8]| [&[0x0a, u8::try_from(entry.len()).unwrap()][..], entry].concat();
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

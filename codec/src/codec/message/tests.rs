//! The test vectors of envelope version 2, which other implementations share.

#[path = "../../../tests/vectors/cases.rs"]
mod vectors;

use temporal_kms_codec_proto::SharedPayload;

use self::vectors::{Case, cases};
use super::*;
use crate::{
    Dek,
    crypto::{bounded, compression},
};

const LIMIT: usize = 1 << 20;

impl Case {
    fn data_key(&self) -> ExpandedDek {
        ExpandedDek::new(Dek::from_slice(&hex::decode(&self.dek).unwrap()).unwrap())
    }

    fn context(&self) -> EncryptionContext {
        EncryptionContext::parse(self.context.as_bytes()).unwrap()
    }

    fn open(&self) -> Result<Payload, PayloadError> {
        let data = hex::decode(&self.data).unwrap();
        open(&self.data_key(), &self.context(), data, LIMIT)
    }
}

/// Opens the `data` of an envelope, and decompresses them to at most `limit` bytes.
fn open(
    key: &ExpandedDek,
    context: &EncryptionContext,
    data: Vec<u8>,
    limit: usize,
) -> Result<Payload, PayloadError> {
    let header = Header::parse(&data)?;
    let mut additional = AdditionalData::new(context);
    match open_v2(key, &header, &mut additional, &mut data.into())? {
        Content::Payload(payload) => Ok(payload),
        Content::Compressed(data, place) => {
            let decompressing = compression::decompressing(&data[place], limit)?;
            content::decode(&bounded::to_end(decompressing)?)
        }
    }
}

#[test]
fn every_vector_opens_or_is_refused_as_it_should_be() {
    let mut opened = 0;
    for case in cases() {
        let result = case.open();
        match case.expect.as_str() {
            "open" => {
                let plaintext = hex::decode(&case.plaintext).unwrap();
                assert_eq!(
                    result.unwrap(),
                    content::decode(&plaintext).unwrap(),
                    "{}",
                    case.name
                );
                opened += 1;
            }
            "authentication" => {
                assert_eq!(result, Err(PayloadError::NotAuthentic), "{}", case.name);
            }
            "malformed" => {
                assert!(
                    matches!(result, Err(PayloadError::Malformed(_))),
                    "{}",
                    case.name
                );
            }
            other => panic!("{}: unknown expectation {other}", case.name),
        }
    }
    assert_eq!(opened, 6);
}

#[test]
fn sealing_gives_the_bytes_of_every_vector() {
    for case in cases()
        .iter()
        .filter(|case| case.expect == "open" && case.flags == 0)
    {
        let payload = content::decode(&hex::decode(&case.plaintext).unwrap()).unwrap();
        let message_id = hex::decode(&case.message_id).unwrap().try_into().unwrap();
        let (key, context) = (case.data_key(), case.context());
        let mut batch = BatchSealer::new(&key, &context, 1);
        for mut shared in [
            SharedPayload::from(payload.clone()),
            with_sealing_room(payload),
        ] {
            let sealed = batch.seal_as(message_id, &mut shared, None).unwrap();
            assert_eq!(hex::encode(&*sealed), case.data, "{}", case.name);
        }
    }
}

/// The payload with room around its data.
fn with_sealing_room(payload: Payload) -> SharedPayload {
    let before = SEALING_ROOM.before;
    let mut buffer = Vec::with_capacity(before + payload.data.len() + SEALING_ROOM.behind);
    buffer.resize(before, 0);
    buffer.extend_from_slice(&payload.data);
    let mut shared = SharedPayload::from(payload);
    shared.data = Data::behind(before, buffer);
    shared
}

#[test]
fn data_with_room_are_sealed_where_they_are_and_nothing_of_them_is_left() {
    let key = ExpandedDek::new(Dek::new([9; 32]));
    let context = EncryptionContext::empty();
    let mut payload = with_sealing_room(Payload {
        metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
        data: b"secret".repeat(100),
        ..Payload::default()
    });
    let place = payload.data.as_ptr();
    let sealed = seal(&key, &context, &mut payload);
    assert!(payload.data.is_empty());
    let (buffer, start) = sealed.into_buffer();
    assert!(buffer.as_ptr_range().contains(&place));
    assert!(!buffer.windows(6).any(|bytes| bytes == b"secret"));
    assert!(buffer[..start].iter().all(|byte| *byte == 0));
}

/// The `data` of a batch of one payload.
fn seal(key: &ExpandedDek, context: &EncryptionContext, payload: &mut impl PayloadParts) -> Data {
    let mut batch = BatchSealer::new(key, context, 1);
    batch.seal(payload).unwrap()
}

#[test]
fn a_changed_bit_anywhere_is_refused() {
    let key = ExpandedDek::new(Dek::new([9; 32]));
    let context = EncryptionContext::parse(br#"{"namespace":"default"}"#).unwrap();
    let payload = Payload {
        data: b"secret".to_vec(),
        ..Payload::default()
    };
    let sealed = seal(&key, &context, &mut payload.clone()).into_vec();
    let open = |data| open(&key, &context, data, LIMIT);
    assert_eq!(open(sealed.clone()).unwrap(), payload);
    for position in 0..sealed.len() {
        for bit in 0..8 {
            let mut changed = sealed.clone();
            changed[position] ^= 1 << bit;
            assert!(open(changed).is_err(), "bit {bit} of byte {position}");
        }
    }
    for len in 0..sealed.len() {
        assert!(open(sealed[..len].to_vec()).is_err(), "cut to {len}");
    }
}

#[test]
fn version_1_round_trips_and_refuses_changes() {
    let key = ExpandedDek::new(Dek::new([9; 32]));
    let payload = Payload {
        data: b"secret".to_vec(),
        ..Payload::default()
    };
    let seal = || seal_v1(&key, &mut payload.clone()).unwrap().into_vec();
    let sealed = seal();
    assert_ne!(sealed, seal(), "nonces repeat");
    assert_eq!(open_v1(&key, sealed.clone().into()).unwrap(), payload);
    for position in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[position] ^= 1;
        assert_eq!(
            open_v1(&key, changed.into()),
            Err(PayloadError::NotAuthentic)
        );
    }
}

#[cfg(feature = "zstd")]
#[test]
fn compressed_payloads_round_trip_and_stop_at_the_limit() {
    let key = ExpandedDek::new(Dek::new([9; 32]));
    let zstd = Compression::Zstd {
        level: 3,
        min_bytes: 100,
    };
    let payload = Payload {
        data: vec![b'a'; 100_000],
        ..Payload::default()
    };
    let context = EncryptionContext::empty();
    let mut batch = BatchSealer::new(&key, &context, 1).compressing(zstd, LIMIT);
    let sealed = batch.seal(&mut payload.clone()).unwrap().into_vec();
    assert!(sealed.len() < 1000, "{} bytes", sealed.len());
    // The buffer of a ciphertext never held the plaintext: what lies behind its end is not erased.
    assert!(sealed.capacity() < 2000, "{} bytes", sealed.capacity());
    let header = Header::parse(&sealed).unwrap();
    assert!(header.compressed);
    let opened = open(&key, &context, sealed.clone(), LIMIT);
    assert_eq!(opened.unwrap(), payload);
    assert!(matches!(
        open(&key, &context, sealed, 1000),
        Err(PayloadError::TooLarge { limit: 1000, .. })
    ));
}

/// The usual way opens what the other way opens, and gives back everything else as it was, or so that it is refused.
#[test]
fn the_usual_way_agrees_with_the_other() {
    let (mut opened, mut refused) = (0, 0);
    for case in cases() {
        let data = hex::decode(&case.data).unwrap();
        let mut additional = AdditionalData::new(&case.context());
        match decrypt_usual_v2(&case.data_key(), &mut additional, data.clone()) {
            Ok((usual, content)) => {
                assert_eq!(content::take(usual, content), case.open(), "{}", case.name);
                opened += 1;
            }
            Err(given_back) => {
                let key = case.data_key();
                let again = open(&key, &case.context(), given_back.clone(), LIMIT);
                assert_eq!(again, case.open(), "{}", case.name);
                assert_eq!(given_back.len(), data.len(), "{}", case.name);
                refused += 1;
            }
        }
    }
    assert!(opened > 0 && refused > 0, "{opened} {refused}");
}

#[test]
fn altered_data_are_given_back_without_their_content() {
    let key = ExpandedDek::new(Dek::new([9; 32]));
    let context = EncryptionContext::empty();
    let mut additional = AdditionalData::new(&context);
    let mut payload = Payload {
        data: b"secret".to_vec(),
        ..Payload::default()
    };
    let mut sealed = seal(&key, &context, &mut payload).into_vec();
    *sealed.last_mut().unwrap() ^= 1;
    let given_back = decrypt_usual_v2(&key, &mut additional, sealed.clone()).unwrap_err();
    assert_eq!(given_back[..HEADER_LEN], sealed[..HEADER_LEN]);
    assert!(given_back[HEADER_LEN..].iter().all(|byte| *byte == 0));

    let other = ExpandedDek::new(Dek::new([8; 32]));
    let whole = decrypt_usual_v2(&other, &mut additional, sealed.clone()).unwrap_err();
    assert_eq!(whole, sealed, "of another key");
}

//! The test vectors of envelope version 2, which other implementations share.

#[path = "../../../../tests/vectors/cases.rs"]
mod vectors;

use self::vectors::{Case, cases};
use super::*;
use crate::Dek;

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
        let header = Header::parse(&data)?;
        open_v2(
            &self.data_key(),
            &header,
            &mut AdditionalData::new(&self.context()),
            &mut data.into(),
            LIMIT,
        )
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
        let sealed = seal_v2_as(
            message_id,
            &case.data_key(),
            &mut AdditionalData::new(&case.context()),
            Compression::None,
            &payload,
        )
        .unwrap();
        assert_eq!(hex::encode(sealed), case.data, "{}", case.name);
    }
}

#[test]
fn a_changed_bit_anywhere_is_refused() {
    let key = ExpandedDek::new(Dek::new([9; 32]));
    let context = EncryptionContext::parse(br#"{"namespace":"default"}"#).unwrap();
    let payload = Payload {
        data: b"secret".to_vec(),
        ..Payload::default()
    };
    let sealed = seal_v2(
        &key,
        &mut AdditionalData::new(&context),
        Compression::None,
        &payload,
    )
    .unwrap();
    let open = |data: Vec<u8>| {
        Header::parse(&data).and_then(|header| {
            open_v2(
                &key,
                &header,
                &mut AdditionalData::new(&context),
                &mut data.clone().into(),
                LIMIT,
            )
        })
    };
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
    let sealed = seal_v1(&key, &payload).unwrap();
    assert_ne!(sealed, seal_v1(&key, &payload).unwrap(), "nonces repeat");
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
    let sealed = seal_v2(&key, &mut AdditionalData::new(&context), zstd, &payload).unwrap();
    assert!(sealed.len() < 1000, "{} bytes", sealed.len());
    // The buffer of a ciphertext never held the plaintext: what lies behind its end is not erased.
    assert!(sealed.capacity() < 2000, "{} bytes", sealed.capacity());
    let header = Header::parse(&sealed).unwrap();
    assert!(header.compressed);
    assert_eq!(
        open_v2(
            &key,
            &header,
            &mut AdditionalData::new(&context),
            &mut sealed.clone().into(),
            LIMIT
        )
        .unwrap(),
        payload
    );
    assert!(matches!(
        open_v2(
            &key,
            &header,
            &mut AdditionalData::new(&context),
            &mut sealed.into(),
            1000
        ),
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
                let again = Header::parse(&given_back).and_then(|header| {
                    let (key, data) = (case.data_key(), &mut given_back.clone().into());
                    open_v2(&key, &header, &mut additional, data, LIMIT)
                });
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
    let mut additional = AdditionalData::new(&EncryptionContext::empty());
    let payload = Payload {
        data: b"secret".to_vec(),
        ..Payload::default()
    };
    let mut sealed = seal_v2(&key, &mut additional, Compression::None, &payload).unwrap();
    *sealed.last_mut().unwrap() ^= 1;
    let given_back = decrypt_usual_v2(&key, &mut additional, sealed.clone()).unwrap_err();
    assert_eq!(given_back[..HEADER_LEN], sealed[..HEADER_LEN]);
    assert!(given_back[HEADER_LEN..].iter().all(|byte| *byte == 0));

    let other = ExpandedDek::new(Dek::new([8; 32]));
    let whole = decrypt_usual_v2(&other, &mut additional, sealed.clone()).unwrap_err();
    assert_eq!(whole, sealed, "of another key");
}

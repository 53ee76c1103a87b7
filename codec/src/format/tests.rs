//! Payloads taken apart and put together.

use proptest::{collection, prelude::*};

use super::{
    envelope_v2::{HEADER_LEN, Header},
    *,
};
use crate::{EncryptionContext, WrappedDek, crypto::aead::TAG_LEN, types::Recipient};
use temporal_kms::support::MAX_WRAPPED_LEN;

fn payload(metadata: &[(&str, &[u8])], data: &[u8]) -> Payload {
    Payload {
        metadata: metadata
            .iter()
            .map(|(k, v)| ((*k).to_owned(), v.to_vec()))
            .collect(),
        data: data.to_vec(),
        external_payloads: vec![],
    }
}

fn parsed(payload: Payload) -> Result<Parsed, PayloadError> {
    Marker::of(&payload)
        .expect("a marker")
        .parse(Plain::new(payload))
}

fn malformed(payload: Payload) -> &'static str {
    match parsed(payload) {
        Err(PayloadError::Malformed(what)) => what,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("accepted"),
    }
}

fn v2_data() -> Vec<u8> {
    let header = Header {
        compressed: true,
        message_id: [5; 32],
        commitment: [6; 32],
    };
    [header.to_bytes().as_slice(), &[7; TAG_LEN]].concat()
}

#[test]
fn what_has_no_marker_is_plain() {
    for metadata in [
        &[][..],
        &[("encoding", &b"json/plain"[..])],
        &[("encoding", b"binary/null")],
        &[("encoding", b"binary/unknown-kms")],
        &[("encoding", b"\xff\xfe")],
        &[("kms-key", b"local://default")],
    ] {
        assert_eq!(Marker::of(&payload(metadata, b"x")), None);
    }
}

#[test]
fn only_the_exact_encoding_is_a_marker() {
    for encoding in ["binary/envelope-kms", "binary/gcp-kms", "binary/local-kms"] {
        let marked =
            |encoding: &str| Marker::of(&payload(&[("encoding", encoding.as_bytes())], b"x"));
        assert!(marked(encoding).is_some(), "{encoding}");
        for other in [
            encoding.to_uppercase(),
            format!("{encoding}\0"),
            format!("{encoding} "),
            format!(" {encoding}"),
            format!("{encoding}\n"),
            format!("{encoding};v=2"),
        ] {
            assert_eq!(marked(&other), None, "{other:?}");
        }
    }
}

#[test]
fn a_version_that_is_not_written_is_refused() {
    for version in ["1", "", "02", "2 ", "3", "two"] {
        let claims = payload(
            &[
                ("encoding", b"binary/envelope-kms"),
                ("envelope-version", version.as_bytes()),
                ("kms-key", b"local://default"),
                ("encrypted-dek", b"wrapped"),
            ],
            &v2_data(),
        );
        assert_eq!(
            malformed(claims),
            "its envelope version is unknown",
            "{version}"
        );
    }
}

#[test]
fn recipients_with_one_key_are_refused() {
    let mut repeated = payload(
        &[
            ("encoding", b"binary/envelope-kms"),
            ("envelope-version", b"2"),
        ],
        &v2_data(),
    );
    for number in 0..10 {
        let suffix = match number {
            0 => String::new(),
            number => format!(".{number}"),
        };
        let name = [&b"local://default"[..], b"local://other"][number % 2];
        let mut insert = |key: &str, value: &[u8]| {
            let key = format!("{key}{suffix}");
            repeated.metadata.insert(key, value.to_vec());
        };
        insert("kms-key", name);
        insert("encrypted-dek", &[1]);
    }
    assert_eq!(
        malformed(repeated),
        "two of its recipients have the same key"
    );
}

#[test]
fn a_header_round_trips_at_its_offsets() {
    let data = v2_data();
    assert_eq!(
        (data[0], data[1], data[2], data[33], data[34], data[65]),
        (2, 1, 5, 5, 6, 6)
    );
    let header = Header::parse(&data).unwrap();
    assert_eq!(header.to_bytes(), data[..HEADER_LEN]);
    assert!(header.compressed);
}

#[test]
fn an_envelope_v2_round_trips_with_all_its_recipients() {
    let context = EncryptionContext::parse(br#"{"namespace":"n"}"#).unwrap();
    let recipients: Vec<_> = (0..10)
        .map(|n| Recipient {
            key: format!("local://key{n}").parse().unwrap(),
            wrapped: WrappedDek::new(vec![n; 3]),
        })
        .collect();
    let metadata = envelope_v2::metadata(&recipients, &context);
    assert_eq!(metadata["kms-key"], b"local://key0");
    assert_eq!(metadata["encrypted-dek.9"], [9; 3]);
    assert!(!metadata.contains_key("kms-key.10"));

    let sealed = Payload {
        metadata,
        data: v2_data(),
        external_payloads: vec![],
    };
    let Ok(Parsed::EnvelopeV2(envelope)) = parsed(sealed) else {
        panic!("not parsed")
    };
    assert_eq!(envelope.context, context);
    let keys: Vec<_> = envelope
        .recipients
        .iter()
        .map(|r| r.key.to_string())
        .collect();
    assert_eq!(keys.len(), 10);
    assert_eq!(keys[9], "local://key9");
    assert_eq!(envelope.recipients[9].wrapped.as_bytes(), [9; 3]);
}

#[test]
fn an_envelope_v2_with_a_part_missing_or_broken_is_refused() {
    let good: &[(&str, &[u8])] = &[
        ("encoding", b"binary/envelope-kms"),
        ("envelope-version", b"2"),
        ("kms-key", b"local://default"),
        ("encrypted-dek", b"wrapped"),
    ];
    assert!(matches!(
        parsed(payload(good, &v2_data())),
        Ok(Parsed::EnvelopeV2(_))
    ));

    let with = |key: &str, value: Option<&[u8]>| {
        let mut changed = payload(good, &v2_data());
        match value {
            Some(value) => changed.metadata.insert(key.to_owned(), value.to_vec()),
            None => changed.metadata.remove(key),
        };
        changed
    };
    assert_eq!(
        malformed(with("kms-key", None)),
        "an `encrypted-dek` has no `kms-key`"
    );
    assert_eq!(
        malformed(with("encrypted-dek", None)),
        "it has no `encrypted-dek`"
    );
    assert_eq!(
        malformed(with("encrypted-dek", Some(b""))),
        "its wrapped data key is empty"
    );
    assert_eq!(
        malformed(with("kms-key", Some(b"local://../x"))),
        "the name of its key is not a key URI"
    );
    assert_eq!(
        malformed(with("kms-key", Some(b"\xff"))),
        "the name of its key is not text"
    );
    assert_eq!(
        malformed(with("kms-key.3", Some(b"local://b"))),
        "it has no `encrypted-dek`"
    );
    assert_eq!(
        malformed(with("encrypted-dek.3", Some(b"w"))),
        "an `encrypted-dek` has no `kms-key`"
    );
    assert_eq!(
        malformed(with("envelope-version", Some(b"3"))),
        "its envelope version is unknown"
    );
    assert_eq!(
        malformed(with("encryption-context", Some(b"{}"))),
        "the encryption context is not in canonical form"
    );
    assert!(matches!(
        parsed(with("encrypted-dek", Some(&vec![0; MAX_WRAPPED_LEN + 1]))),
        Err(PayloadError::TooLarge { .. })
    ));
    for len in 0..HEADER_LEN + TAG_LEN {
        assert_eq!(
            malformed(payload(good, &v2_data()[..len])),
            "its data are shorter than a header and a tag"
        );
    }
}

#[test]
fn version_1_may_leave_its_key_out_and_takes_both_forms_of_a_name() {
    let name = b"projects/p/locations/l/keyRings/r/cryptoKeys/k";
    let uri = [b"gcp-kms://", &name[..]].concat();
    let base: &[(&str, &[u8])] = &[
        ("encoding", b"binary/envelope-kms"),
        ("encrypted-dek", b"w"),
    ];
    for (key, expected) in [
        (None, None),
        (Some(&name[..]), Some(&uri)),
        (Some(&uri), Some(&uri)),
    ] {
        let mut sealed = payload(base, &[1; 28]);
        if let Some(key) = key {
            sealed.metadata.insert("kms-key".into(), key.to_vec());
        }
        let Ok(Parsed::EnvelopeV1(envelope)) = parsed(sealed) else {
            panic!("not parsed")
        };
        assert_eq!(
            envelope
                .key
                .map(|key| key.to_string().into_bytes())
                .as_ref(),
            expected
        );
    }
    assert_eq!(
        malformed(payload(base, &[1; 27])),
        "its data are shorter than a nonce and a tag"
    );
}

#[test]
fn direct_mode_names_the_resource_alone() {
    let name: &[u8] = b"projects/p/locations/l/keyRings/r/cryptoKeys/k";
    let sealed = payload(
        &[("encoding", b"binary/gcp-kms"), ("kms-key", name)],
        b"ciphertext",
    );
    let Ok(Parsed::Direct(direct)) = parsed(sealed.clone()) else {
        panic!("not parsed")
    };
    assert_eq!(direct.key.scheme(), Scheme::GCP_KMS);
    assert_eq!(direct.into_payload(), sealed);
    assert_eq!(
        malformed(payload(&[("encoding", b"binary/gcp-kms")], b"c")),
        "it has no `kms-key`"
    );
}

proptest! {
    /// The data only decide which marker it is.
    #[test]
    fn metadata_alone_tell_whether_there_is_a_marker(
        encoding in "binary/(envelope-kms|encrypted|gcp-kms|local-kms|zlib|gzip|snappy)|json/plain|.{0,9}",
        other in ".{0,9}|kms-key|envelope-version|encrypted-dek|encryption-key-id",
        value in collection::vec(any::<u8>(), 0..5),
        data in prop_oneof![Just(b"vault:v1:QUJD".to_vec()), collection::vec(any::<u8>(), 0..9)],
    ) {
        let payload = payload(&[("encoding", encoding.as_bytes()), (other.as_str(), value.as_slice())], &data);
        prop_assert_eq!(Marker::is_in(&payload.metadata), Marker::of(&payload).is_some());
    }

    #[test]
    fn parsing_never_panics(
        encoding in prop::sample::select(vec!["binary/envelope-kms", "binary/gcp-kms", "binary/local-kms"]),
        metadata in prop::collection::btree_map(
            prop::sample::select(vec!["envelope-version", "kms-key", "encrypted-dek", "encryption-context", "kms-key.1"]),
            prop::collection::vec(any::<u8>(), 0..40),
            0..5,
        ),
        data in prop::collection::vec(any::<u8>(), 0..120),
    ) {
        let mut payload = payload(&[("encoding", encoding.as_bytes())], &data);
        payload.metadata.extend(metadata.into_iter().map(|(k, v)| (k.to_owned(), v)));
        let _ = parsed(payload);
    }
}

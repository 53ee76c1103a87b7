//! Every format gives back what was encrypted.

use super::*;

#[tokio::test]
async fn every_format_round_trips_and_a_reader_opens_the_formats_that_it_is_told_to() {
    let (_folder, keyring) = keyring();
    let key = keyring.key_or_create("default").unwrap();
    let build = |format| {
        builder("n")
            .encrypt_with(key.clone())
            .format(format)
            .build()
            .unwrap()
    };
    let reader = builder("n")
        .encrypt_with(key.clone())
        .decrypt_formats(FORMATS)
        .build()
        .unwrap();
    let by_default = build(Format::Envelope);
    for (format, encoding) in [
        (Format::Envelope, "binary/envelope-kms"),
        (Format::EnvelopeV1, "binary/envelope-kms"),
        (Format::Direct, "binary/local-kms"),
    ] {
        let sealed = build(format).encode(payloads(50)).await.unwrap();
        assert_eq!(sealed.len(), 50);
        assert!(
            sealed.iter().all(|p| p.encoding() == Some(encoding)),
            "{format:?}"
        );
        assert!(
            sealed
                .iter()
                .all(|p| !p.data.windows(6).any(|w| w == b"secret")),
            "{format:?}"
        );
        if format != Format::Envelope {
            let refused = refusal(&by_default, sealed[0].clone()).await;
            assert_eq!(refused, PayloadError::FormatNotAllowed { format });
        }
        assert_eq!(
            reader.decode(sealed).await.unwrap(),
            payloads(50),
            "{format:?}"
        );
    }
}

#[tokio::test]
async fn metadata_and_external_payloads_survive() {
    let (_folder, keyring) = keyring();
    let codec = builder("n")
        .encrypt_with(keyring.key_or_create("k").unwrap())
        .build()
        .unwrap();
    let mut original = payload("1");
    original
        .metadata
        .insert("messageType".into(), b"a.B".to_vec());
    original
        .external_payloads
        .push(temporal_kms_codec_proto::payload::ExternalPayloadDetails {
            size_bytes: 1 << 40,
        });
    let sealed = codec
        .encode(vec![original.clone(), Payload::default()])
        .await
        .unwrap();
    assert!(sealed[0].external_payloads.is_empty());
    assert_eq!(
        codec.decode(sealed).await.unwrap(),
        [original, Payload::default()]
    );
}

#[tokio::test]
async fn each_payload_has_its_own_result_in_its_own_place() {
    let (_folder, keyring) = keyring();
    let codec = builder("n")
        .encrypt_with(keyring.key_or_create("k").unwrap())
        .build()
        .unwrap();
    let mut sealed = codec.encode(payloads(40)).await.unwrap();
    sealed[7].data[70] ^= 1;
    let results = codec.decode_each(sealed.clone()).await;
    assert_eq!(results.len(), 40);
    for (index, result) in results.iter().enumerate() {
        match result {
            Ok(opened) => assert_eq!(*opened, payloads(40)[index]),
            Err(error) => assert!(index == 7, "{index}: {error}"),
        }
    }
    assert!(
        codec.decode(sealed).await.is_err(),
        "never fewer than were asked for"
    );
    assert_eq!(codec.decode(vec![]).await.unwrap(), []);
    assert_eq!(codec.encode(vec![]).await.unwrap(), []);
}

#[tokio::test]
async fn direct_mode_seals_an_envelope_over_the_limit() {
    let (_folder, keyring) = keyring();
    let key = keyring.key_or_create("k").unwrap();
    let limit = key.limits().max_plaintext;
    let codec = builder("n")
        .encrypt_with(key)
        .format(Format::Direct)
        .build()
        .unwrap();
    let overhead = prost::Message::encoded_len(&payload("")) + 4;
    let (fits, over) = (
        payload(&"x".repeat(limit - overhead)),
        payload(&"x".repeat(limit)),
    );
    assert_eq!(prost::Message::encoded_len(&fits), limit);
    let sealed = codec
        .encode(vec![fits.clone(), over.clone()])
        .await
        .unwrap();
    assert_eq!(sealed[0].encoding(), Some("binary/local-kms"));
    assert_eq!(sealed[1].metadata["envelope-version"], b"2");
    assert_eq!(codec.decode(sealed).await.unwrap(), [fits, over]);
    let stats = codec.stats();
    assert_eq!(
        (stats.direct_fallbacks, stats.direct_calls, stats.sealed),
        (1, 2, 2)
    );
}

#[tokio::test]
async fn errors_and_debug_hold_no_secret() {
    let (folder, keyring) = keyring();
    let codec = builder("n")
        .encrypt_with(keyring.key_or_create("k").unwrap())
        .build()
        .unwrap();
    let mut sealed = seal(&codec, "\"hunter2\"").await;
    sealed.data[80] ^= 1;
    let error = codec.decode(vec![sealed.clone()]).await.unwrap_err();
    let keyset = std::fs::read_to_string(folder.path().join("k.json")).unwrap();
    let material = keyset
        .split("\"value\": \"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let shown = format!(
        "{error} {error:?} {codec:?} {sealed:?} {:?}",
        payload("hunter2")
    );
    assert!(
        !shown.contains("hunter2") && !shown.contains(material),
        "{shown}"
    );
}

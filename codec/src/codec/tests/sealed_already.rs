//! Encoding what is encrypted already: the Web UI sends it when a schedule is edited.

use super::*;

const REASONS: [ProviderErrorKind; 7] = [
    ProviderErrorKind::PermissionDenied,
    ProviderErrorKind::Unavailable,
    ProviderErrorKind::DeadlineExceeded,
    ProviderErrorKind::Throttled,
    ProviderErrorKind::KeyDisabled,
    ProviderErrorKind::KeyNotFound,
    ProviderErrorKind::Integrity,
];

async fn encode_refusal(codec: &Codec, payload: Payload) -> PayloadError {
    match codec.encode(vec![payload]).await {
        Err(Error::Payload(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn it_is_returned_unchanged_among_others() {
    let (_folder, keyring) = keyring();
    let codec = builder("n")
        .encrypt_with(keyring.key_or_create("k").unwrap())
        .build()
        .unwrap();
    let sealed = seal(&codec, "1").await;
    let mixed = codec
        .encode(vec![payload("2"), sealed.clone(), payload("3")])
        .await
        .unwrap();
    assert_eq!(mixed[1], sealed);
    assert_eq!(
        codec.decode(mixed).await.unwrap(),
        [payload("2"), payload("1"), payload("3")]
    );
    assert_eq!(codec.stats().sealed, 3);
}

#[tokio::test]
async fn ten_edits_add_no_layer_where_the_kms_does_not_open() {
    let (_folder, keyring) = keyring();
    for format in FORMATS {
        let kms = FaultyKey::over(keyring.key_or_create("k").unwrap());
        let codec = || {
            builder("n")
                .encrypt_with(kms.clone())
                .format(format)
                .build()
                .unwrap()
        };
        let mut fields = codec()
            .encode(vec![payload("\"input\""), payload("\"header\"")])
            .await
            .unwrap();
        let original = fields.clone();
        for reason in REASONS {
            fail_opening(&kms, reason);
            for edit in 0..10 {
                // Another process each time, with one new value beside what is encrypted already.
                let server = codec();
                fields[0] = payload(&edit.to_string());
                fields = server.encode(fields).await.unwrap();
                assert_eq!(fields[1], original[1], "{format} {reason:?} {edit}");
            }
        }
        kms.recover();
        let decoded = codec().decode(fields).await.unwrap();
        assert_eq!(decoded, [payload("9"), payload("\"header\"")], "{format}");
    }
}

#[tokio::test]
async fn an_altered_payload_is_refused_as_decoding_refuses_it() {
    let (_folder, keyring) = keyring();
    let key = keyring.key_or_create("k").unwrap();
    for format in FORMATS {
        let codec = || {
            builder("n")
                .encrypt_with(key.clone())
                .format(format)
                .build()
                .unwrap()
        };
        let sealed = seal(&codec(), "\"secret\"").await;
        for position in [0, 40, sealed.data.len() - 1] {
            let mut altered = sealed.clone();
            altered.data[position.min(sealed.data.len() - 1)] ^= 0x10;
            let refused = encode_refusal(&codec(), altered.clone()).await;
            assert_eq!(refused, refusal(&codec(), altered).await, "{format}");
        }
    }
}

#[tokio::test]
async fn a_payload_of_a_version_that_is_gone_is_refused_as_decoding_refuses_it() {
    let (_folder, keyring) = keyring();
    for format in FORMATS {
        let kms = FaultyKey::over(keyring.key_or_create("k").unwrap());
        let codec = || {
            let builder = builder("n").encrypt_with(kms.clone());
            builder.format(format).build().unwrap()
        };
        let sealed = seal(&codec(), "\"secret\"").await;
        fail_opening(&kms, ProviderErrorKind::KeyVersionGone);
        for error in [
            codec().encode(vec![sealed.clone()]).await.unwrap_err(),
            codec().decode(vec![sealed]).await.unwrap_err(),
        ] {
            let Error::Provider(error) = error else {
                panic!("{error}")
            };
            assert_eq!(error.kind(), ProviderErrorKind::KeyVersionGone);
        }
    }
}

#[tokio::test]
async fn what_is_meant_for_others_is_refused_before_any_call() {
    let (_folder, keyring) = keyring();
    let [ours, theirs] = ["ours", "theirs"].map(|name| {
        let key = keyring.key_or_create(name).unwrap();
        FaultyKey::over(key)
    });
    let codec = builder("n")
        .encrypt_with(ours.clone())
        .context("tenant", "a")
        .require_context(true)
        .build()
        .unwrap();
    let written = async |builder: CodecBuilder| seal(&builder.build().unwrap(), "1").await;
    let foreign_key = written(builder("n").context("tenant", "a").encrypt_with(theirs)).await;
    let foreign_namespace_ = written(builder("m").encrypt_with(ours.clone())).await;
    let without_pair = written(builder("n").encrypt_with(ours.clone())).await;
    let other_pair = written(
        builder("n")
            .context("tenant", "b")
            .encrypt_with(ours.clone()),
    )
    .await;
    let direct = written(
        builder("n")
            .encrypt_with(ours.clone())
            .format(Format::Direct),
    )
    .await;
    let mut marked = payload("\"secret\"");
    marked
        .metadata
        .insert("encoding".into(), b"binary/envelope-kms".to_vec());
    marked
        .metadata
        .insert("envelope-version".into(), b"2".to_vec());
    let before = ours.calls();

    for (foreign, expected) in [
        (foreign_key, key_not_allowed("local://theirs")),
        (foreign_namespace_, foreign_namespace(Some("m"), "n")),
        (without_pair, PayloadError::MissingContext("tenant".into())),
        (other_pair, PayloadError::ForeignContext("tenant".into())),
        (
            direct,
            PayloadError::FormatNotAllowed {
                format: Format::Direct,
            },
        ),
        (
            marked,
            PayloadError::Malformed("its data are shorter than a header and a tag"),
        ),
    ] {
        assert_eq!(encode_refusal(&codec, foreign.clone()).await, expected);
        assert_eq!(refusal(&codec, foreign).await, expected);
    }
    assert_eq!(ours.calls(), before);
}

#[tokio::test]
async fn an_authentic_payload_above_the_limits_of_this_codec_is_left_to_its_readers() {
    let (_folder, keyring) = keyring();
    let key = keyring.key_or_create("k").unwrap();
    let zstd = Compression::Zstd {
        level: 3,
        min_bytes: 0,
    };
    let build = |limit| {
        builder("n")
            .encrypt_with(key.clone())
            .compression(zstd)
            .max_decompressed(limit)
            .build()
            .unwrap()
    };
    let large = payload(&"a".repeat(100_000));
    let sealed = build(1 << 20).encode(vec![large]).await.unwrap();
    let small = build(1000);
    assert_eq!(small.encode(sealed.clone()).await.unwrap(), sealed);
}

#[tokio::test]
async fn nothing_is_written_that_the_same_codec_does_not_read() {
    let (_folder, keyring) = keyring();
    let key = keyring.key_or_create("k").unwrap();
    let codec = builder("n")
        .encrypt_with(key)
        .compression(Compression::Zstd {
            level: 3,
            min_bytes: 0,
        })
        .max_decompressed(1000)
        .build()
        .unwrap();
    let large = payload(&"a".repeat(100_000));
    let sealed = codec.encode(vec![large.clone()]).await.unwrap();
    assert_eq!(codec.decode(sealed).await.unwrap(), [large]);

    let mut crowded = payload("1");
    crowded
        .metadata
        .extend((0..1001).map(|n| (n.to_string(), vec![])));
    let refused = encode_refusal(&codec, crowded).await;
    assert!(matches!(refused, PayloadError::Malformed(_)), "{refused}");
}

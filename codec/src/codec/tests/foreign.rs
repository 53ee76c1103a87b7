//! Payloads of other codecs, which are read for migration.

use prost::Message as _;

use super::*;
use crate::{
    StaticKeys,
    crypto::aead::{Aes256Gcm, NONCE_LEN},
};

const KEY: &[u8; 32] = b"test-key-test-key-test-key-test!";

/// As the samples of Temporal seal under a static key.
fn sealed(key: &[u8; 32], plain: &Payload, metadata: &[(&str, &[u8])]) -> Payload {
    let mut data = vec![7; NONCE_LEN];
    plain.encode(&mut data).unwrap();
    Aes256Gcm::new(key)
        .seal([7; NONCE_LEN], &[], &mut data, NONCE_LEN)
        .unwrap();
    let metadata = [("encoding", &b"binary/encrypted"[..])]
        .iter()
        .chain(metadata)
        .map(|(name, value)| ((*name).to_owned(), value.to_vec()))
        .collect();
    Payload {
        metadata,
        data,
        external_payloads: vec![],
    }
}

fn of_static(id: &str, plain: &Payload) -> Payload {
    sealed(KEY, plain, &[("encryption-key-id", id.as_bytes())])
}

fn static_keys(id: &str) -> StaticKeys {
    StaticKeys::new().with(id, Dek::new(*KEY))
}

#[cfg(feature = "decompression")]
fn zlib(plain: &Payload) -> Payload {
    use std::io::Write as _;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&plain.encode_to_vec()).unwrap();
    Payload {
        metadata: [("encoding".to_owned(), b"binary/zlib".to_vec())].into(),
        data: encoder.finish().unwrap(),
        external_payloads: vec![],
    }
}

/// A codec that only decrypts: `formats` with the static key `test`, where `static` is among them.
fn reader(formats: &[Format]) -> Codec {
    let (_folder, keyring) = keyring();
    let keys = if formats.contains(&Format::Static) {
        static_keys("test")
    } else {
        StaticKeys::new()
    };
    builder("n")
        .decrypt_with(keyring.key_or_create("k").unwrap())
        .decrypt_only()
        .decrypt_formats(formats.iter().copied())
        .static_keys(keys)
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_static_key_opens_what_it_sealed_by_its_id() {
    for id in ["test", "", "kid/ä"] {
        let codec = builder("n")
            .decrypt_only()
            .decrypt_formats([Format::Static])
            .static_keys(static_keys(id))
            .build()
            .unwrap();
        let java = [
            ("encryption-key-id", id.as_bytes()),
            ("encryption-cipher", b"AES/GCM/NoPadding"),
        ];
        let mut payloads = vec![
            of_static(id, &payload("1")),
            sealed(KEY, &payload("1"), &java),
        ];
        if id.is_empty() {
            payloads.push(sealed(KEY, &payload("1"), &[]));
        }
        for sealed in payloads {
            assert_eq!(codec.decode(vec![sealed]).await.unwrap(), [payload("1")]);
        }
        assert_eq!(codec.stats().unwraps, 0);
    }
}

#[tokio::test]
async fn another_static_key_or_an_altered_payload_is_refused() {
    let codec = reader(&[Format::Static]);
    let good = of_static("test", &payload("1"));
    let mut other_id = good.clone();
    other_id
        .metadata
        .insert("encryption-key-id".to_owned(), b"other\x1b".to_vec());
    assert_eq!(
        refusal(&codec, other_id).await,
        PayloadError::UnknownStaticKey {
            id: "other\\u{1b}".to_owned()
        }
    );
    let wrong = sealed(&[1; 32], &payload("1"), &[("encryption-key-id", b"test")]);
    assert_eq!(refusal(&codec, wrong).await, PayloadError::NotAuthentic);
    for at in 0..good.data.len() {
        let mut altered = good.clone();
        altered.data[at] ^= 1;
        assert_eq!(refusal(&codec, altered).await, PayloadError::NotAuthentic);
    }
    let mut short = good.clone();
    short.data.truncate(27);
    assert!(matches!(
        refusal(&codec, short).await,
        PayloadError::Malformed(_)
    ));
    let cbc = [
        ("encryption-key-id", &b"test"[..]),
        ("encryption-cipher", b"AES/CBC/PKCS5Padding"),
    ];
    assert!(matches!(
        refusal(&codec, sealed(KEY, &payload("1"), &cbc)).await,
        PayloadError::Unsupported(_)
    ));
}

/// As temporal-proxy seals under a data key that `key` wraps.
async fn of_proxy(key: &dyn KeyProvider, name: &str, plain: &Payload) -> Payload {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let wrapped = key
        .wrap(&Dek::new(*KEY), &EncryptionContext::empty())
        .await
        .unwrap();
    let dek = STANDARD.encode(wrapped.as_bytes());
    sealed(
        KEY,
        plain,
        &[
            ("encryption-key-id", name.as_bytes()),
            ("encryption-dek", dek.as_bytes()),
        ],
    )
}

#[tokio::test]
async fn payloads_of_temporal_proxy_open_with_one_call_for_each_data_key() {
    let (_folder, keyring) = keyring();
    let key = keyring.key_or_create("k").unwrap();
    let kms = FaultyKey::over(key.clone());
    let codec = builder("n")
        .encrypt_with(kms.clone())
        .decrypt_formats([Format::Envelope, Format::TemporalProxy])
        .build()
        .unwrap();
    let good = of_proxy(&*key, "local://k", &payload("1")).await;
    let opened = codec.decode(vec![good.clone(), good.clone()]).await;
    assert_eq!(opened.unwrap(), [payload("1"), payload("1")]);
    assert_eq!(kms.calls(), 1);

    // Before any call: another key, a key without a URI, and a data key that is not base64.
    let foreign = of_proxy(&*key, "local://other", &payload("1")).await;
    assert_eq!(
        refusal(&codec, foreign).await,
        key_not_allowed("local://other")
    );
    for (name, value) in [
        ("encryption-key-id", &b"base64key://"[..]),
        ("encryption-dek", b"?"),
        ("encryption-dek", b""),
    ] {
        let mut broken = good.clone();
        broken.metadata.insert(name.to_owned(), value.to_vec());
        assert!(matches!(
            refusal(&codec, broken).await,
            PayloadError::Malformed(_)
        ));
    }
    assert_eq!(kms.calls(), 1);
}

#[tokio::test]
async fn a_format_of_another_codec_is_opened_only_where_it_is_configured() {
    let (_folder, keyring) = keyring();
    let key = keyring.key_or_create("k").unwrap();
    let kms = FaultyKey::over(key.clone());
    let proxy = of_proxy(&*key, "local://k", &payload("1")).await;
    for plaintext in [PlaintextPolicy::Allow, PlaintextPolicy::Reject] {
        let codec = builder("n")
            .encrypt_with(kms.clone())
            .plaintext_policy(plaintext)
            .build()
            .unwrap();
        for (sealed, format) in [
            (of_static("test", &payload("1")), Format::Static),
            (proxy.clone(), Format::TemporalProxy),
        ] {
            assert_eq!(
                refusal(&codec, sealed).await,
                PayloadError::FormatNotAllowed { format }
            );
        }
    }
    assert_eq!(kms.calls(), 0);
}

#[tokio::test]
async fn vault_is_recognised_and_refused() {
    let codec = reader(&[Format::Static]);
    let mut by_version = of_static("test", &payload("1"));
    by_version
        .metadata
        .insert("encryption-key-version".to_owned(), b"1".to_vec());
    let mut by_data = of_static("test", &payload("1"));
    by_data.data =
        b"vault:v1:8SDd3WHDOjf7mq69CyCqYjBXAiQQAVZRkFM13ok481zoCmHnSeDX9vyf7w==".to_vec();
    for sealed in [by_version, by_data] {
        let refused = refusal(&codec, sealed).await;
        assert!(refused.to_string().contains("Vault"), "{refused}");
    }
}

#[cfg(feature = "decompression")]
#[tokio::test]
async fn compressed_payloads_follow_the_plaintext_policy() {
    let (_folder, keyring) = keyring();
    let key = keyring.key_or_create("k").unwrap();
    let compressed = zlib(&payload("1"));
    for (formats, plaintext, expected) in [
        (
            vec![Format::Envelope],
            PlaintextPolicy::Allow,
            Some(compressed.clone()),
        ),
        (vec![Format::Envelope], PlaintextPolicy::Reject, None),
        (
            vec![Format::Envelope, Format::Zlib],
            PlaintextPolicy::Allow,
            Some(payload("1")),
        ),
        (
            vec![Format::Envelope, Format::Zlib],
            PlaintextPolicy::Reject,
            None,
        ),
    ] {
        let codec = builder("n")
            .encrypt_with(key.clone())
            .decrypt_formats(formats)
            .plaintext_policy(plaintext)
            .build()
            .unwrap();
        match expected {
            Some(expected) => {
                let decoded = codec.decode(vec![compressed.clone()]).await;
                assert_eq!(decoded.unwrap(), [expected]);
            }
            None => assert_eq!(
                refusal(&codec, compressed.clone()).await,
                PayloadError::PlaintextRefused
            ),
        }
    }
}

#[cfg(feature = "decompression")]
#[tokio::test]
async fn formats_nest_and_the_innermost_counts() {
    let codec = reader(&[Format::Static, Format::Zlib]);
    let nested = of_static("test", &zlib(&payload("1")));
    assert_eq!(codec.decode(vec![nested]).await.unwrap(), [payload("1")]);
    // Compressed after it was encrypted: the content is as authentic as before.
    let nested = zlib(&of_static("test", &payload("1")));
    assert_eq!(codec.decode(vec![nested]).await.unwrap(), [payload("1")]);
    // Without an encrypted layer, nothing is authentic.
    let twice = zlib(&zlib(&payload("1")));
    assert_eq!(refusal(&codec, twice).await, PayloadError::PlaintextRefused);
    // What is not opened inside of an authentic layer is the value.
    let only_static = reader(&[Format::Static]);
    let value = zlib(&payload("1"));
    let nested = of_static("test", &value);
    assert_eq!(only_static.decode(vec![nested]).await.unwrap(), [value]);
}

#[cfg(feature = "decompression")]
#[tokio::test]
async fn nesting_and_nested_bombs_are_bounded() {
    let codec = builder("n")
        .decrypt_only()
        .decrypt_formats([Format::Static, Format::Zlib])
        .static_keys(static_keys("test"))
        .max_decompressed(1 << 20)
        .plaintext_policy(PlaintextPolicy::Allow)
        .build()
        .unwrap();
    let mut deep = payload("1");
    for _ in 0..9 {
        deep = zlib(&deep);
    }
    assert!(matches!(
        refusal(&codec, deep).await,
        PayloadError::NestedTooDeep(_)
    ));
    let bomb = zlib(&zlib(&payload(&"a".repeat(4 << 20))));
    for bomb in [bomb.clone(), of_static("test", &bomb)] {
        assert!(bomb.data.len() < 1 << 10);
        assert!(matches!(
            refusal(&codec, bomb).await,
            PayloadError::TooLarge { .. }
        ));
    }
}

#[cfg(feature = "decompression")]
#[tokio::test]
async fn encoding_seals_what_other_codecs_of_a_chain_made() {
    let (_folder, keyring) = keyring();
    let key = keyring.key_or_create("k").unwrap();
    let chained = [
        zlib(&payload("1")),
        of_static("test", &payload("1")),
        Payload {
            data: b"vault:v1:AAAA".to_vec(),
            ..of_static("test", &payload("1"))
        },
    ];
    let codec = builder("n").encrypt_with(key.clone()).build().unwrap();
    for value in chained {
        let sealed = codec.encode(vec![value.clone()]).await.unwrap();
        assert_eq!(sealed[0].metadata["encoding"], b"binary/envelope-kms");
        assert_eq!(codec.decode(sealed).await.unwrap(), [value]);
    }

    // Where the format is opened, an encrypted payload is encrypted already; a compressed one is not.
    let migrating = builder("n")
        .encrypt_with(key)
        .decrypt_formats([Format::Envelope, Format::Static, Format::Zlib])
        .static_keys(static_keys("test"))
        .build()
        .unwrap();
    let old = of_static("test", &payload("1"));
    assert_eq!(migrating.encode(vec![old.clone()]).await.unwrap(), [old]);
    let unknown = of_static("other", &payload("1"));
    assert!(migrating.encode(vec![unknown]).await.is_err());
    let sealed = migrating.encode(vec![zlib(&payload("1"))]).await.unwrap();
    assert_eq!(sealed[0].metadata["encoding"], b"binary/envelope-kms");
    assert_eq!(migrating.decode(sealed).await.unwrap(), [payload("1")]);
}

#[tokio::test]
async fn a_codec_that_only_decrypts_encrypts_nothing() {
    let (_folder, keyring) = keyring();
    let key = keyring.key_or_create("k").unwrap();
    let writer = builder("n").encrypt_with(key.clone()).build().unwrap();
    let sealed = seal(&writer, "1").await;
    let reader = builder("n")
        .decrypt_with(key.clone())
        .decrypt_only()
        .build()
        .unwrap();
    assert!(reader.is_decrypt_only() && !writer.is_decrypt_only());
    assert_eq!(
        reader.decode(vec![sealed.clone()]).await.unwrap(),
        [payload("1")]
    );
    // Nothing is to be encrypted here.
    let unchanged = reader.encode(vec![sealed.clone()]).await.unwrap();
    assert_eq!(unchanged, [sealed]);
    let refused = reader.encode(vec![payload("1")]).await.unwrap_err();
    assert!(matches!(refused, Error::DecryptOnly), "{refused}");
    assert_eq!(reader.stats().wraps, 0);
    reader.ready().await.unwrap();
    let checked = reader.check_keys().await;
    assert_eq!(checked.len(), 1);

    for (broken, words) in [
        (builder("n").decrypt_only(), "neither a key to encrypt"),
        (
            builder("n").encrypt_with(key.clone()).decrypt_only(),
            "only decrypts",
        ),
        (builder("n").decrypt_with(key.clone()), "no encrypting key"),
    ] {
        let error = broken.build().unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let (_folder, keyring) = keyring();
    let key = keyring.key_or_create("k").unwrap();
    let all = || builder("n").encrypt_with(key.clone());
    for (broken, setting) in [
        (all().format(Format::Static), "format"),
        (all().format(Format::Zlib), "format"),
        (all().static_keys(static_keys("a")), "static_keys"),
        (
            all().decrypt_formats([Format::Envelope, Format::Static]),
            "static_keys",
        ),
        (
            all()
                .decrypt_formats([Format::Envelope, Format::TemporalProxy])
                .context("env", "a")
                .require_context(true),
            "require_context",
        ),
    ] {
        match broken.build() {
            Err(Error::Configuration(error)) => assert_eq!(error.setting(), setting, "{error}"),
            other => panic!("{setting}: {other:?}"),
        }
    }
    // Compression is inside of an envelope, which carries the context.
    all()
        .decrypt_formats([Format::Envelope, Format::Zlib])
        .context("env", "a")
        .require_context(true)
        .build()
        .unwrap();
}

//! Payloads of other codecs: those of `vectors/foreign.json` and `vectors/foreign-go.json`, and new ones that Python's
//! libraries make.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test")]

use integration_tests::{Keyring, interop};
use serde_json::{Value, json};
use temporal_kms_codec::{
    Codec, Dek, EncryptionContext, Format, Payload, PlaintextPolicy, StaticKeys,
};
use temporal_kms_codec_proto::json::parse_payload;

const KEY: &[u8; 32] = b"test-key-test-key-test-key-test!";

/// A codec that opens every format of others.
fn codec(keyring: &Keyring) -> Codec {
    let keys = StaticKeys::new()
        .with("test", Dek::new(*KEY))
        .with("", Dek::new(*KEY));
    keyring
        .builder("default")
        .decrypt_formats([
            Format::Envelope,
            Format::Static,
            Format::TemporalProxy,
            Format::Zlib,
            Format::Snappy,
            Format::Gzip,
        ])
        .static_keys(keys)
        .plaintext_policy(PlaintextPolicy::Allow)
        .build()
        .expect("a codec")
}

fn payload(value: &Value) -> Payload {
    parse_payload(value.to_string().as_bytes()).expect("a payload")
}

#[tokio::test]
async fn every_vector_opens() {
    let files = [
        include_str!("../../vectors/foreign.json"),
        include_str!("../../vectors/foreign-go.json"),
    ];
    let cases = files.into_iter().flat_map(|file| {
        let vectors: Value = serde_json::from_str(file).expect("the vectors are JSON");
        vectors["cases"].as_array().expect("cases").clone()
    });
    let cases: Vec<Value> = cases.collect();
    assert_eq!(cases.len(), 9);
    let codec = codec(&Keyring::new());
    for case in cases {
        let opened = codec.decode(vec![payload(&case["payload"])]).await;
        let opened = opened.expect("opened");
        assert_eq!(opened, [payload(&case["plain"])], "{}", case["name"]);
    }
}

#[tokio::test]
async fn what_pythons_libraries_make_opens() {
    let keyring = Keyring::new();
    let codec = codec(&keyring);
    let key = keyring.keys().key("default").expect("the key");
    let wrapped = key.wrap(&Dek::new(*KEY), &EncryptionContext::empty()).await;
    let plain = json!({
        "metadata": { "encoding": "anNvbi9wbGFpbg==" },
        "data": "eyJhIjogMX0=",
    });
    let made = interop::run(
        "foreign.py",
        &json!({
            "plain": plain,
            "key": hex::encode(KEY),
            "nonce": "000102030405060708090a0b",
            "uri": "local://default",
            "wrapped": hex::encode(wrapped.expect("wrapped").as_bytes()),
        }),
    );
    let made = made.as_object().expect("payloads by their formats");
    assert_eq!(made.len(), 6);
    for (format, sealed) in made {
        let opened = codec.decode(vec![payload(sealed)]).await.expect("opened");
        assert_eq!(opened, [payload(&plain)], "{format}");
    }
}

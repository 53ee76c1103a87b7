//! The formats that Python workers with a KMS codec write: direct, and envelopes of version 1.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test")]

use integration_tests::{Keyring, interop};
use serde_json::json;
use temporal_kms_codec::{Format, Payload};

fn plain() -> Payload {
    Payload {
        metadata: [
            ("encoding".to_owned(), b"json/plain".to_vec()),
            ("note".to_owned(), vec![0, 255, 7]),
        ]
        .into(),
        data: br#"{"iban":"DE00 1234"}"#.to_vec(),
        external_payloads: Vec::new(),
    }
}

#[tokio::test]
async fn direct_payloads_go_both_ways() {
    let keyring = Keyring::new();
    let sealed = interop::seal(
        "direct",
        &plain(),
        &keyring.file(),
        &json!({ "key_name": "default" }),
    );
    let codec = keyring
        .builder("default")
        .format(Format::Direct)
        .build()
        .expect("a codec");
    assert_eq!(codec.decode(vec![sealed]).await.expect("opened"), [plain()]);

    let sealed = codec.encode(vec![plain()]).await.expect("sealed");
    assert_eq!(sealed[0].metadata["encoding"], b"binary/local-kms");
    assert_eq!(sealed[0].metadata["kms-key"], b"default");
    assert_eq!(
        sealed[0].metadata.len(),
        2,
        "nothing but what Python's codec writes"
    );
    assert_eq!(
        interop::open("direct", &sealed[0], &keyring.file()),
        plain()
    );
}

#[tokio::test]
async fn envelopes_of_version_1_go_both_ways() {
    let keyring = Keyring::new();
    let sealed = interop::seal("envelope-v1", &plain(), &keyring.file(), &json!({}));
    let codec = keyring
        .builder("default")
        .format(Format::EnvelopeV1)
        .build()
        .expect("a codec");
    assert_eq!(codec.decode(vec![sealed]).await.expect("opened"), [plain()]);

    let sealed = codec.encode(vec![plain()]).await.expect("sealed");
    assert_eq!(sealed[0].metadata["encoding"], b"binary/envelope-kms");
    assert!(!sealed[0].metadata.contains_key("envelope-version"));
    assert_eq!(
        interop::open("envelope-v1", &sealed[0], &keyring.file()),
        plain()
    );
}

#[tokio::test]
async fn a_codec_of_any_format_reads_all_of_them() {
    let keyring = Keyring::new();
    let direct = json!({ "key_name": "default" });
    let envelope = json!({ "uri": "local://default", "context": { "namespace": "default" } });
    let sealed = vec![
        interop::seal("direct", &plain(), &keyring.file(), &direct),
        interop::seal("envelope-v1", &plain(), &keyring.file(), &json!({})),
        interop::seal("envelope", &plain(), &keyring.file(), &envelope),
    ];
    for format in [Format::Direct, Format::EnvelopeV1, Format::Envelope] {
        let codec = keyring
            .builder("default")
            .format(format)
            .decrypt_formats([Format::Direct, Format::EnvelopeV1, Format::Envelope])
            .build()
            .expect("a codec");
        let opened = codec.decode(sealed.clone()).await.expect("opened");
        assert_eq!(opened, [plain(), plain(), plain()]);
    }
}

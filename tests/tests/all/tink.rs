//! Keysets and wrapped keys, exchanged with the real Tink library in both directions.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test")]

use std::{fs, os::unix::fs::PermissionsExt as _};

use integration_tests::{Keyring, codec_server, interop};
use serde_json::{Value, json};
use temporal_kms_codec::{Compression, Dek, EncryptionContext, Payload, WrappedDek};
use temporal_kms_codec_proto::json::{Limits, parse_payloads, write_payloads};

const CONTEXT: &[u8] = br#"{"namespace":"default"}"#;

fn context() -> EncryptionContext {
    EncryptionContext::parse(CONTEXT).expect("a context")
}

fn payload(text: &str) -> Payload {
    Payload {
        metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
        data: Value::from(text).to_string().into_bytes(),
        external_payloads: Vec::new(),
    }
}

#[tokio::test]
async fn tink_opens_the_data_keys_that_we_wrap_before_and_after_our_rotation() {
    let keyring = Keyring::new();
    let dek = Dek::generate().expect("a data key");
    let key = keyring.keys().key("default").expect("the key");
    let before = key.wrap(&dek, &context()).await.expect("wrapped");
    assert_eq!(
        interop::unwrap(&keyring.file(), before.as_bytes(), CONTEXT),
        dek.expose()
    );

    let primary = keyring.keys().rotate("default").expect("rotated");
    let ids = interop::key_ids(&keyring.file());
    assert_eq!((ids.len(), ids[0]), (2, primary));
    let key = keyring.keys().key("default").expect("the key");
    let after = key.wrap(&dek, &context()).await.expect("wrapped");
    for wrapped in [before, after] {
        assert_eq!(
            interop::unwrap(&keyring.file(), wrapped.as_bytes(), CONTEXT),
            dek.expose()
        );
    }
}

#[tokio::test]
async fn we_open_the_data_keys_that_tink_wraps_before_and_after_its_rotation() {
    let keyring = Keyring::empty();
    interop::create_keyset(&keyring.file(), 3);
    let dek = [7; Dek::LEN];
    let before = interop::wrap(&keyring.file(), &dek, CONTEXT);
    interop::rotate_keyset(&keyring.file());
    let after = interop::wrap(&keyring.file(), &dek, CONTEXT);
    assert_ne!(before[..5], after[..5], "the prefix names the key");

    let key = keyring.keys().key("default").expect("Tink's keyset");
    for wrapped in [before, after] {
        let wrapped = WrappedDek::new(wrapped);
        assert_eq!(
            key.unwrap(&wrapped, &context())
                .await
                .expect("unwrapped")
                .expose(),
            &dek
        );
        let elsewhere = EncryptionContext::parse(br#"{"namespace":"other"}"#).expect("a context");
        key.unwrap(&wrapped, &elsewhere)
            .await
            .expect_err("bound to its context");
    }
}

#[tokio::test]
async fn a_keyset_of_ours_is_private_and_one_that_is_not_is_refused() {
    let keyring = Keyring::new();
    let mode = fs::metadata(keyring.file())
        .expect("the file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    fs::set_permissions(keyring.file(), fs::Permissions::from_mode(0o644)).expect("opened");
    let key = keyring.keys().key("default");
    let refused = match key {
        Ok(key) => key.check_usable().await.err(),
        Err(error) => Some(error),
    };
    let text = refused.expect("a readable key file is refused").to_string();
    assert!(text.contains("600"), "{text}");
}

#[tokio::test]
async fn python_and_rust_open_each_others_envelopes() {
    let keyring = Keyring::empty();
    interop::create_keyset(&keyring.file(), 2);
    let plain = payload(&"Käse 🧀 ".repeat(200));
    for compress in [false, true] {
        let arguments = json!({
            "uri": "local://default",
            "context": { "namespace": "default", "région": "eu-1", "\u{10437}": "a\"b\\c\n" },
            "compress": compress,
        });
        let sealed = interop::seal("envelope", &plain, &keyring.file(), &arguments);
        let opened = keyring
            .codec("default")
            .decode(vec![sealed])
            .await
            .expect("opened");
        assert_eq!(opened, std::slice::from_ref(&plain));

        let mut builder = keyring.builder("default").context("team", "blue \u{2028}");
        if compress {
            builder = builder.compression(Compression::Zstd {
                level: 3,
                min_bytes: 64,
            });
        }
        let sealed = builder
            .build()
            .expect("a codec")
            .encode(vec![plain.clone()])
            .await;
        let sealed = sealed.expect("sealed");
        assert_eq!(sealed[0].data[1], u8::from(compress), "the header's flags");
        assert_eq!(
            interop::open("envelope", &sealed[0], &keyring.file()),
            plain
        );
    }
}

#[test]
fn the_codec_server_decodes_what_python_seals_with_its_keyset_and_the_reverse() {
    let keyring = Keyring::empty();
    interop::create_keyset(&keyring.file(), 1);
    let server = codec_server(&keyring);
    let plain = payload("sealed in Python, opened by the codec server");

    let arguments = json!({ "uri": "local://default", "context": { "namespace": "billing" } });
    let sealed = interop::seal("envelope", &plain, &keyring.file(), &arguments);
    assert_eq!(post(server.url(), "billing/decode", &sealed), plain);

    let sealed = post(server.url(), "billing/encode", &plain);
    assert_eq!(sealed.metadata["encoding"], b"binary/envelope-kms");
    assert_eq!(interop::open("envelope", &sealed, &keyring.file()), plain);
}

fn post(url: &str, path: &str, payload: &Payload) -> Payload {
    let body = write_payloads(std::slice::from_ref(payload));
    let answer = ureq::post(format!("{url}/{path}"))
        .header("Content-Type", "application/json")
        .send(&body)
        .expect("an answer")
        .body_mut()
        .read_to_vec()
        .expect("a body");
    let answer = parse_payloads(&answer, &Limits::new(1)).expect("payloads");
    answer.payloads.into_iter().next().expect("one payload")
}

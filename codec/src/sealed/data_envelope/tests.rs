//! Values in JSON.

#![allow(
    clippy::similar_names,
    reason = "`sealer` and `sealed` are the terms of the field"
)]

use tempfile::TempDir;
use temporal_kms_local::LocalKeyring;

use super::*;

fn keyring() -> (TempDir, LocalKeyring) {
    let folder = TempDir::new().unwrap();
    let keyring = LocalKeyring::open(folder.path());
    (folder, keyring)
}

fn sealer(keyring: &LocalKeyring, name: &str) -> Sealer {
    let key = keyring.key_or_create(name).unwrap();
    Sealer::builder().encrypt_with(key).build().unwrap()
}

fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
    let pairs = pairs
        .iter()
        .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
        .collect();
    EncryptionContext::new(pairs).unwrap()
}

#[tokio::test]
async fn a_value_opens_under_its_own_context_only() {
    let (_folder, keyring) = keyring();
    let sealer = sealer(&keyring, "k");
    let alice = context(&[("userId", "alice")]);
    for data in [&b""[..], b"4111-1111-1111-1111", &vec![7; 100_000]] {
        let envelope = sealer.seal(data, &alice).await.unwrap();
        assert_eq!(envelope.encrypted.len(), data.len());
        assert_eq!(**sealer.open(&envelope, &alice).await.unwrap(), *data);
        let bob = context(&[("userId", "bob")]);
        let error = sealer.open(&envelope, &bob).await.unwrap_err();
        assert!(
            matches!(error, Error::Payload(PayloadError::NotAuthentic)),
            "{error}"
        );
    }
}

#[tokio::test]
async fn its_json_has_the_five_fields_as_text() {
    let (_folder, keyring) = keyring();
    let sealer = sealer(&keyring, "k");
    let alice = context(&[("userId", "alice")]);
    let envelope = sealer.seal(b"secret", &alice).await.unwrap();
    let json = serde_json::to_value(&envelope).unwrap();
    let fields: Vec<_> = json
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        fields,
        ["authTag", "encrypted", "encryptedDataKey", "iv", "keyId"]
    );
    assert!(
        json.as_object()
            .unwrap()
            .values()
            .all(serde_json::Value::is_string)
    );
    let parsed: DataEnvelope = serde_json::from_value(json).unwrap();
    assert_eq!(**sealer.open(&parsed, &alice).await.unwrap(), *b"secret");

    let error = serde_json::from_str::<DataEnvelope>(
        r#"{"encrypted":"sk-secret!","encryptedDataKey":"","iv":"","authTag":"","keyId":""}"#,
    );
    assert!(!error.unwrap_err().to_string().contains("sk-secret"));
}

#[tokio::test]
async fn every_altered_field_is_refused() {
    let (_folder, keyring) = keyring();
    let sealer = sealer(&keyring, "k");
    keyring.key_or_create("other").unwrap();
    let alice = context(&[("userId", "alice")]);
    let good = sealer.seal(b"secret", &alice).await.unwrap();
    let alter = |change: fn(&mut DataEnvelope)| {
        let mut altered = good.clone();
        change(&mut altered);
        altered
    };
    for altered in [
        alter(|e| e.encrypted[0] ^= 1),
        alter(|e| e.encrypted_data_key[20] ^= 1),
        alter(|e| e.iv[0] ^= 1),
        alter(|e| e.iv.clear()),
        alter(|e| e.auth_tag[0] ^= 1),
        alter(|e| e.auth_tag.truncate(4)),
        alter(|e| e.key_id = "local://other".into()),
        alter(|e| e.key_id.clear()),
    ] {
        let refused = sealer.open(&altered, &alice).await;
        assert!(matches!(refused, Err(Error::Payload(_))), "{altered:?}");
    }
}

#[tokio::test]
async fn each_context_takes_one_data_key_until_the_cache_is_cleared() {
    let (_folder, keyring) = keyring();
    let sealer = sealer(&keyring, "k");
    let contexts = [context(&[("a", "1")]), context(&[("a", "2")])];
    let mut last = None;
    for _ in 0..1000 {
        for context in &contexts {
            last = Some(sealer.seal(b"x", context).await.unwrap());
        }
    }
    assert_eq!((sealer.stats().wraps, sealer.stats().unwraps), (2, 0));
    let last = last.unwrap();
    sealer.open(&last, &contexts[1]).await.unwrap();
    assert_eq!(sealer.stats().unwraps, 0);

    sealer.clear_cache();
    sealer.open(&last, &contexts[1]).await.unwrap();
    let new = sealer.seal(b"x", &contexts[1]).await.unwrap();
    assert_ne!(new.encrypted_data_key, last.encrypted_data_key);
    assert_eq!((sealer.stats().wraps, sealer.stats().unwraps), (3, 1));
}

#[tokio::test]
async fn the_empty_context_is_refused_both_ways() {
    let (_folder, keyring) = keyring();
    let sealer = sealer(&keyring, "k");
    let none = EncryptionContext::empty();
    let sealed = sealer
        .seal(b"secret", &context(&[("userId", "alice")]))
        .await
        .unwrap();
    for refused in [
        sealer.seal(b"secret", &none).await.map(drop),
        sealer.open(&sealed, &none).await.map(drop),
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(error, Error::Configuration(_)), "{error}");
        assert!(error.to_string().contains("at least one pair"), "{error}");
    }
    assert_eq!(sealer.stats().unwraps, 0);
}

#[tokio::test]
async fn fields_of_another_length_are_refused_before_any_call() {
    let (_folder, keyring) = keyring();
    let writer = sealer(&keyring, "k");
    let alice = context(&[("userId", "alice")]);
    let good = writer.seal(b"secret", &alice).await.unwrap();
    let altered = |change: fn(&mut DataEnvelope)| {
        let mut altered = good.clone();
        change(&mut altered);
        altered
    };
    let reader = sealer(&keyring, "k");
    for altered in [
        altered(|e| e.encrypted_data_key = vec![0; 100 << 20]),
        altered(|e| e.encrypted_data_key = vec![0; 16 * 1024 + 1]),
        altered(|e| e.encrypted_data_key.clear()),
        altered(|e| e.iv.push(0)),
        altered(|e| e.iv.truncate(11)),
        altered(|e| e.auth_tag.push(0)),
        altered(|e| e.auth_tag.truncate(15)),
        altered(|e| e.key_id = "x".repeat(1 << 20)),
    ] {
        let refused = reader.open(&altered, &alice).await;
        assert!(matches!(refused, Err(Error::Payload(_))));
    }
    assert_eq!(reader.stats().unwraps, 0);
}

#[test]
fn a_key_that_is_named_twice_is_refused() {
    let (_folder, keyring) = keyring();
    let key = keyring.key_or_create("k").unwrap();
    let builder = Sealer::builder().encrypt_with(key.clone());
    let error = builder.encrypt_with(key).build().unwrap_err();
    assert!(
        error.to_string().contains("local://k is named twice"),
        "{error}"
    );
}

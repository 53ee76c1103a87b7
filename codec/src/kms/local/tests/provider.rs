use std::fs;

use super::{AES_GCM, VALUE, keyring, mode, tink_keyset, write};
use crate::{
    Dek, EncryptionContext, WrappedDek,
    kms::{ProviderError, ProviderErrorKind as Kind},
};

fn context(namespace: &str) -> EncryptionContext {
    EncryptionContext::parse(format!(r#"{{"namespace":"{namespace}"}}"#).as_bytes()).unwrap()
}

#[tokio::test]
async fn a_new_keyset_is_private_and_wraps_and_unwraps() {
    let (_folder, keyring) = keyring();
    let key = keyring.key_or_create("default").unwrap();
    assert_eq!(mode(&keyring.folder.join("default.json")), 0o600);
    assert_eq!(mode(&keyring.folder), 0o700);

    let dek = Dek::new([3; 32]);
    let wrapped = key.wrap(&dek, &context("a")).await.unwrap();
    assert_eq!(wrapped.as_bytes().len(), 5 + 12 + 32 + 16);
    assert_eq!(
        key.unwrap(&wrapped, &context("a")).await.unwrap().expose(),
        dek.expose()
    );
    assert_eq!(key.uri().to_string(), "local://default");

    // Made once, then read.
    let again = keyring.key_or_create("default").unwrap();
    assert_eq!(
        again
            .unwrap(&wrapped, &context("a"))
            .await
            .unwrap()
            .expose(),
        dek.expose()
    );
}

#[tokio::test]
async fn unwraps_nothing_but_what_it_wrapped_under_the_same_context() {
    let (_folder, keyring) = keyring();
    let key = keyring.key_or_create("default").unwrap();
    let other = keyring.key_or_create("other").unwrap();
    let wrapped = key.wrap(&Dek::new([3; 32]), &context("a")).await.unwrap();
    let refused = |result: Result<Dek, ProviderError>| {
        let kind = result.unwrap_err().kind();
        // Where the id of the key was altered, the keyset has no such key.
        assert!(
            [Kind::InvalidCiphertext, Kind::KeyVersionGone].contains(&kind),
            "{kind:?}"
        );
    };

    refused(key.unwrap(&wrapped, &context("b")).await);
    refused(key.unwrap(&wrapped, &EncryptionContext::empty()).await);
    refused(other.unwrap(&wrapped, &context("a")).await);
    for position in 0..wrapped.as_bytes().len() {
        let mut flipped = wrapped.as_bytes().to_vec();
        flipped[position] ^= 1;
        refused(key.unwrap(&WrappedDek::new(flipped), &context("a")).await);
    }
    for len in 0..wrapped.as_bytes().len() {
        let cut = wrapped.as_bytes()[..len].to_vec();
        refused(key.unwrap(&WrappedDek::new(cut), &context("a")).await);
    }
    // Authentic, but no data key.
    let short = key.encrypt(b"16 bytes, no key").await.unwrap();
    refused(
        key.unwrap(&WrappedDek::new(short), &EncryptionContext::empty())
            .await,
    );
}

#[tokio::test]
async fn rotation_keeps_old_keys_and_reaches_running_processes() {
    let (_folder, keyring) = keyring();
    let running = keyring.key_or_create("default").unwrap();
    let old = running
        .wrap(&Dek::new([1; 32]), &context("a"))
        .await
        .unwrap();

    let id = keyring.rotate("default").unwrap();
    let new = running
        .wrap(&Dek::new([2; 32]), &context("a"))
        .await
        .unwrap();
    assert_eq!(new.as_bytes()[1..5], id.to_be_bytes());
    assert_ne!(old.as_bytes()[1..5], id.to_be_bytes());
    assert_eq!(
        running.describe().await.unwrap().primary_version,
        id.to_string()
    );
    assert_eq!(
        running.unwrap(&old, &context("a")).await.unwrap().expose(),
        &[1; 32]
    );
    assert_eq!(mode(&keyring.folder.join("default.json")), 0o600);
}

#[test]
fn processes_that_start_together_share_one_keyset() {
    let (_folder, keyring) = keyring();
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let keyring = keyring.clone();
            std::thread::spawn(move || {
                let key = keyring.key_or_create("default").unwrap();
                futures::executor::block_on(key.describe())
                    .unwrap()
                    .primary_version
            })
        })
        .collect();
    let mut versions: Vec<_> = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    versions.dedup();
    assert_eq!(versions.len(), 1, "{versions:?}");
}

#[tokio::test]
async fn a_disabled_key_neither_wraps_nor_unwraps() {
    let (_folder, keyring) = keyring();
    write(
        &keyring,
        "k",
        &tink_keyset("ENABLED", "TINK", AES_GCM, VALUE),
        0o600,
    );
    let key = keyring.key("k").unwrap();
    let wrapped = key.wrap(&Dek::new([1; 32]), &context("a")).await.unwrap();

    keyring.rotate("k").unwrap();
    let path = keyring.folder.join("k.json");
    let disabled = fs::read_to_string(&path)
        .unwrap()
        .replacen("ENABLED", "DISABLED", 1);
    write(&keyring, "k", &disabled, 0o600);
    let error = key.unwrap(&wrapped, &context("a")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::KeyDisabled);
    assert!(error.to_string().contains("key 7"), "{error}");
}

#[test]
fn refuses_each_broken_keyset_with_what_to_do() {
    let (_folder, keyring) = keyring();
    let good = tink_keyset("ENABLED", "TINK", AES_GCM, VALUE);
    let cases = [
        (
            "group",
            good.clone(),
            0o640,
            Kind::Misconfigured,
            "chmod 600",
        ),
        (
            "world",
            good.clone(),
            0o604,
            Kind::Misconfigured,
            "mode 0604",
        ),
        (
            "json",
            good.replace('}', ""),
            0o600,
            Kind::Misconfigured,
            "no Tink keyset in JSON",
        ),
        (
            "empty",
            String::new(),
            0o600,
            Kind::Misconfigured,
            "line 1, column 0",
        ),
        (
            "nokeys",
            r#"{"primaryKeyId":7,"key":[]}"#.into(),
            0o600,
            Kind::Misconfigured,
            "primary key's id 7",
        ),
        (
            "off",
            tink_keyset("DISABLED", "TINK", AES_GCM, VALUE),
            0o600,
            Kind::KeyDisabled,
            "key 7 is disabled",
        ),
        (
            "raw",
            tink_keyset("ENABLED", "RAW", AES_GCM, VALUE),
            0o600,
            Kind::Misconfigured,
            "type TINK",
        ),
        (
            "type",
            tink_keyset("ENABLED", "TINK", "x/AesEaxKey", VALUE),
            0o600,
            Kind::Misconfigured,
            "only AesGcmKey",
        ),
        (
            "b64",
            tink_keyset("ENABLED", "TINK", AES_GCM, "?"),
            0o600,
            Kind::Misconfigured,
            "no base64",
        ),
        (
            "proto",
            tink_keyset("ENABLED", "TINK", AES_GCM, "/////w=="),
            0o600,
            Kind::Misconfigured,
            "no AesGcmKey message",
        ),
        (
            "short",
            tink_keyset("ENABLED", "TINK", AES_GCM, "GhAAAQIDBAUGBwgJCgsMDQ4P"),
            0o600,
            Kind::Misconfigured,
            "256 bits",
        ),
    ];
    for (name, content, mode, kind, text) in cases {
        write(&keyring, name, &content, mode);
        let error = keyring.key_or_create(name).unwrap_err();
        assert_eq!(error.kind(), kind, "{name}: {error}");
        assert!(error.to_string().contains(text), "{name}: {error}");
        assert!(!format!("{error}{error:?}").contains(VALUE), "{name}");
    }
    assert_eq!(keyring.key("absent").unwrap_err().kind(), Kind::KeyNotFound);
    assert_eq!(
        keyring.key("../up").unwrap_err().kind(),
        Kind::Misconfigured
    );
}

#[tokio::test]
async fn encrypts_up_to_its_limit() {
    let (_folder, keyring) = keyring();
    let key = keyring.key_or_create("default").unwrap();
    for plaintext in [vec![], vec![5; key.max_plaintext()]] {
        let ciphertext = key.encrypt(&plaintext).await.unwrap();
        assert_eq!(*key.decrypt(&ciphertext).await.unwrap(), plaintext);
    }
    assert!(
        key.encrypt(&vec![5; key.max_plaintext() + 1])
            .await
            .is_err()
    );
    assert!(key.decrypt(b"").await.is_err());
}

//! Which keys encrypt and decrypt.

use super::*;

#[tokio::test]
async fn a_hundred_thousand_payloads_wrap_once_and_unwrap_once() {
    let (_folder, keyring) = keyring();
    let kms = FaultyKey::over(keyring.key_or_create("k").unwrap());
    let writer = builder("n").encrypt_with(kms.clone()).build().unwrap();
    let mut sealed = Vec::new();
    for _ in 0..1000 {
        sealed = writer.encode(payloads(100)).await.unwrap();
    }
    // One call wraps the data key, and one sees that it can be unwrapped.
    let stats = writer.stats();
    assert_eq!((kms.calls(), stats.sealed), (2, 100_000));
    assert_eq!((stats.wraps, stats.verifications), (1, 1));

    // What was sealed here opens here without a call, and elsewhere with one.
    writer.decode(sealed.clone()).await.unwrap();
    assert_eq!(kms.calls(), 2);
    let reader = builder("n").encrypt_with(kms.clone()).build().unwrap();
    futures::future::join_all((0..20).map(|_| reader.decode(sealed.clone()))).await;
    let stats = reader.stats();
    assert_eq!((kms.calls(), stats.unwraps, stats.opened), (3, 1, 2000));
    assert_eq!(stats.dek_cache_hits + stats.dek_cache_misses, 2000);
}

#[tokio::test]
async fn ten_thousand_live_data_keys_stay_in_memory() {
    const WRITERS: usize = 10_000;
    let (_folder, keyring) = keyring();
    let kms = FaultyKey::over(keyring.key_or_create("k").unwrap());
    let mut sealed = Vec::with_capacity(WRITERS);
    for _ in 0..WRITERS {
        let writer = builder("n").encrypt_with(kms.clone()).build().unwrap();
        sealed.push(seal(&writer, "1").await);
    }
    let reader = builder("n").encrypt_with(kms.clone()).build().unwrap();
    // In the order of the writers each time, so that a key waits for all others until it is asked for again.
    let mut calls = Vec::new();
    for _ in 0..3 {
        let before = kms.calls();
        for one in &sealed {
            reader.decode(vec![one.clone()]).await.unwrap();
        }
        calls.push(kms.calls() - before);
    }
    assert_eq!(calls, [WRITERS, 0, 0]);
    let stats = reader.stats();
    assert_eq!((stats.dek_cache_evictions, stats.unwraps), (0, 10_000));
}

#[tokio::test]
async fn an_older_key_goes_on_decoding() {
    let (_folder, keyring) = keyring();
    let (old, new) = (
        keyring.key_or_create("old").unwrap(),
        keyring.key_or_create("new").unwrap(),
    );
    let sealed = seal(
        &builder("n").encrypt_with(old.clone()).build().unwrap(),
        "1",
    )
    .await;
    let codec = builder("n")
        .encrypt_with(new)
        .decrypt_with(old)
        .build()
        .unwrap();
    assert_eq!(codec.decode(vec![sealed]).await.unwrap(), [payload("1")]);
    assert_eq!(seal(&codec, "1").await.metadata["kms-key"], b"local://new");
}

#[tokio::test]
async fn version_1_without_a_key_name_opens_with_whichever_key_fits() {
    let (_folder, keyring) = keyring();
    let (a, b) = (
        keyring.key_or_create("a").unwrap(),
        keyring.key_or_create("b").unwrap(),
    );
    let writer = builder("n")
        .encrypt_with(b.clone())
        .format(Format::EnvelopeV1)
        .build()
        .unwrap();
    let mut sealed = seal(&writer, "1").await;
    assert_eq!(sealed.metadata.remove("kms-key").unwrap(), b"local://b");
    let reader = builder("n")
        .encrypt_with(a.clone())
        .decrypt_with(b)
        .decrypt_formats(FORMATS)
        .build()
        .unwrap();
    assert_eq!(
        reader.decode(vec![sealed.clone()]).await.unwrap(),
        [payload("1")]
    );
    let stranger = builder("n")
        .encrypt_with(a)
        .decrypt_formats(FORMATS)
        .build()
        .unwrap();
    let error = stranger.decode(vec![sealed]).await.unwrap_err();
    assert!(
        matches!(&error, Error::Provider(error) if error.kind() == ProviderErrorKind::KeyVersionGone),
        "{error}"
    );
}

#[tokio::test]
async fn any_recipient_opens_and_one_that_is_away_is_skipped() {
    let (_folder, keyring) = keyring();
    let [a, b] = ["a", "b"].map(|name| FaultyKey::over(keyring.key_or_create(name).unwrap()));
    let writer = builder("n")
        .encrypt_with(a.clone())
        .encrypt_with(b.clone())
        .build()
        .unwrap();
    let sealed = seal(&writer, "1").await;
    assert_eq!(sealed.metadata["kms-key.1"], b"local://b");
    assert_eq!(writer.stats().wraps, 2);

    let only_b = builder("n").encrypt_with(b.clone()).build().unwrap();
    assert!(only_b.decode(vec![sealed.clone()]).await.is_ok());

    let reader = || {
        builder("n")
            .encrypt_with(a.clone())
            .encrypt_with(b.clone())
            .build()
            .unwrap()
    };
    a.fail(ProviderErrorKind::Unavailable);
    assert!(reader().decode(vec![sealed.clone()]).await.is_ok());
    b.fail(ProviderErrorKind::KeyDisabled);
    let error = reader().decode(vec![sealed.clone()]).await.unwrap_err();
    assert!(error.is_transient(), "{error}: the first key may come back");
    a.fail(ProviderErrorKind::PermissionDenied);
    assert!(
        !reader()
            .decode(vec![sealed])
            .await
            .unwrap_err()
            .is_transient()
    );
}

#[tokio::test]
async fn while_the_kms_is_away_known_keys_go_on() {
    let (_folder, keyring) = keyring();
    let kms = FaultyKey::over(keyring.key_or_create("k").unwrap());
    let codec = builder("n").encrypt_with(kms.clone()).build().unwrap();
    let sealed = seal(&codec, "1").await;
    kms.fail(ProviderErrorKind::Unavailable);
    assert!(codec.decode(vec![sealed.clone()]).await.is_ok());
    assert!(codec.encode(payloads(3)).await.is_ok());
    assert!(codec.ready().await.unwrap_err().is_transient());
    let fresh = builder("n").encrypt_with(kms.clone()).build().unwrap();
    assert!(fresh.decode(vec![sealed]).await.unwrap_err().is_transient());
    assert!(fresh.encode(payloads(1)).await.unwrap_err().is_transient());
    kms.recover();
    assert!(fresh.encode(payloads(1)).await.is_ok());
    assert_eq!(fresh.stats().rejected, 2);
}

#[tokio::test]
async fn recipients_in_another_order_open_the_same() {
    let (_folder, keyring) = keyring();
    let [a, b] = ["a", "b"].map(|name| keyring.key_or_create(name).unwrap());
    let codec = || {
        let builder = builder("n").encrypt_with(a.clone());
        builder.encrypt_with(b.clone()).build().unwrap()
    };
    let mut sealed = seal(&codec(), "1").await;
    for name in ["kms-key", "encrypted-dek"] {
        let (first, second) = (name.to_owned(), format!("{name}.1"));
        let swapped = sealed.metadata.remove(&first).unwrap();
        let moved = sealed.metadata.insert(second.clone(), swapped).unwrap();
        sealed.metadata.insert(first, moved);
    }
    assert_eq!(codec().decode(vec![sealed]).await.unwrap(), [payload("1")]);
}

#[tokio::test]
async fn the_wrapped_key_of_another_payload_of_the_namespace_is_refused() {
    let (_folder, keyring) = keyring();
    let kms = FaultyKey::over(keyring.key_or_create("k").unwrap());
    let codec = || builder("n").encrypt_with(kms.clone()).build().unwrap();
    let (mut moved, other) = (seal(&codec(), "1").await, seal(&codec(), "2").await);
    let wrapped = other.metadata["encrypted-dek"].clone();
    moved.metadata.insert("encrypted-dek".to_owned(), wrapped);

    let (reader, before) = (codec(), kms.calls());
    for _ in 0..10 {
        let error = refusal(&reader, moved.clone()).await;
        assert_eq!(error, PayloadError::NotAuthentic);
    }
    assert_eq!(
        kms.calls() - before,
        2,
        "the KMS is asked once more, and that is all"
    );
    assert!(reader.decode(vec![other]).await.is_ok());
    assert_eq!(kms.calls() - before, 2);
}

#[tokio::test]
async fn version_1_without_a_key_name_asks_each_key_once() {
    let (_folder, keyring) = keyring();
    let keys = ["a", "b", "c"].map(|name| FaultyKey::over(keyring.key_or_create(name).unwrap()));
    let mut reader = builder("n").decrypt_formats(FORMATS);
    for key in &keys {
        reader = reader.encrypt_with(key.clone());
    }
    let reader = reader.build().unwrap();
    let bogus = Payload {
        metadata: [
            ("encoding".to_owned(), b"binary/envelope-kms".to_vec()),
            ("encrypted-dek".to_owned(), b"made up".to_vec()),
        ]
        .into(),
        data: vec![1; 40],
        external_payloads: vec![],
    };
    for _ in 0..10 {
        let error = refusal(&reader, bogus.clone()).await;
        assert_eq!(error, PayloadError::NotAuthentic);
    }
    assert_eq!(keys.each_ref().map(|key| key.calls()), [1, 1, 1]);
}

#[tokio::test]
async fn a_key_that_is_granted_for_the_context_of_payloads_only_is_ready() {
    let (_folder, keyring) = keyring();
    let kms = FaultyKey::over(keyring.key_or_create("k").unwrap());
    let pairs = [("namespace", "n"), ("tenant", "a")];
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    grant_only(&kms, EncryptionContext::new(pairs.into()).unwrap());
    let codec = |format| {
        let builder = builder("n").context("tenant", "a");
        let builder = builder.encrypt_with(kms.clone()).format(format);
        builder.build().unwrap()
    };
    codec(Format::Envelope).ready().await.unwrap();
    codec(Format::EnvelopeV1).ready().await.unwrap_err();
    grant_only(&kms, EncryptionContext::empty());
    codec(Format::Envelope).ready().await.unwrap_err();
    codec(Format::EnvelopeV1).ready().await.unwrap();
}

#[tokio::test]
async fn a_key_that_verified_a_new_data_key_is_not_put_to_rest() {
    let (_folder, keyring) = keyring();
    let kms = FaultyKey::over(keyring.key_or_create("k").unwrap());
    let codec = || builder("n").encrypt_with(kms.clone()).build().unwrap();
    let (odd, honest) = (seal(&codec(), "1").await, seal(&codec(), "2").await);
    let reader = codec();
    seal(&reader, "3").await;
    fail_opening(&kms, ProviderErrorKind::KeyNotFound);
    reader.decode(vec![odd]).await.unwrap_err();
    kms.recover();
    reader.decode(vec![honest]).await.unwrap();
}

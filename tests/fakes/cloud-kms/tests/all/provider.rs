//! Keys at the emulator through this library's provider.

use std::time::Duration;

use temporal_kms_codec::{
    Dek, EncryptionContext, KeyUri, Scheme, WrappedDek,
    kms::{KeyPurpose, KeySpec, Protection, ProviderErrorKind as Kind},
};

use crate::common::{Cloud, context, kind, options, uri};

const DAY: Duration = Duration::from_hours(24);

#[tokio::test]
async fn wraps_and_unwraps_bound_to_the_context() {
    let cloud = Cloud::start().await;
    let key = cloud.key("k").await;
    let (dek, wrapped) = key.generate_dek(&context("a")).await.unwrap();
    let opened = key.unwrap(&wrapped, &context("a")).await.unwrap();
    assert_eq!(opened.expose(), dek.expose());

    for other in [context("b"), EncryptionContext::empty()] {
        assert_eq!(
            kind(key.unwrap(&wrapped, &other).await),
            Kind::InvalidCiphertext
        );
    }
    let unbound = key.wrap(&dek, &EncryptionContext::empty()).await.unwrap();
    assert!(
        key.unwrap(&unbound, &EncryptionContext::empty())
            .await
            .is_ok()
    );
    assert_eq!(
        kind(key.unwrap(&unbound, &context("a")).await),
        Kind::InvalidCiphertext
    );
}

#[tokio::test]
async fn opens_nothing_that_is_not_its_own() {
    let cloud = Cloud::start().await;
    let (key, other) = (cloud.key("k").await, cloud.key("other").await);
    let dek = Dek::new([7; 32]);
    let wrapped = key.wrap(&dek, &context("a")).await.unwrap();
    assert_eq!(
        kind(other.unwrap(&wrapped, &context("a")).await),
        Kind::InvalidCiphertext
    );

    let bytes = wrapped.as_bytes();
    for position in [0, 5, bytes.len() / 2, bytes.len() - 1] {
        let mut flipped = bytes.to_vec();
        flipped[position] ^= 1;
        let result = key.unwrap(&WrappedDek::new(flipped), &context("a")).await;
        assert_eq!(kind(result), Kind::InvalidCiphertext, "{position}");
        let cut = WrappedDek::new(bytes[..position].to_vec());
        assert_eq!(
            kind(key.unwrap(&cut, &context("a")).await),
            Kind::InvalidCiphertext
        );
    }
    // Authentic, but no data key.
    let short = WrappedDek::new(key.encrypt(b"short").await.unwrap());
    let result = key.unwrap(&short, &EncryptionContext::empty()).await;
    assert_eq!(kind(result), Kind::InvalidCiphertext);

    let before = cloud.emulator.calls().len();
    assert_eq!(
        kind(key.decrypt(&vec![0; 1 << 20]).await),
        Kind::InvalidCiphertext
    );
    assert_eq!(kind(key.decrypt(b"").await), Kind::InvalidCiphertext);
    assert_eq!(
        cloud.emulator.calls().len(),
        before,
        "the service is not asked"
    );
}

#[tokio::test]
async fn direct_encryption_takes_64_kib() {
    let cloud = Cloud::start().await;
    let key = cloud.key("k").await;
    assert_eq!(key.limits().max_plaintext, 65_536);
    for len in [0, 1, 65_536] {
        let plaintext = vec![1; len];
        let sealed = key.encrypt(&plaintext).await.unwrap();
        assert_eq!(*key.decrypt(&sealed).await.unwrap(), plaintext, "{len}");
    }
    assert_eq!(
        kind(key.encrypt(&vec![1; 65_537]).await),
        Kind::Misconfigured
    );
}

#[tokio::test]
async fn learns_that_an_hsm_takes_less() {
    let cloud = Cloud::start().await;
    let protection = Some(Protection::Hsm);
    let spec = KeySpec::default().with_protection(protection);
    cloud.create("hsm", spec).await;
    let key = cloud.open("hsm").await;
    assert_eq!(kind(key.encrypt(&[1; 8193]).await), Kind::Misconfigured);
    assert_eq!(key.limits().max_plaintext, 8192);
    let sealed = key.encrypt(&[1; 8192]).await.unwrap();
    assert_eq!(key.decrypt(&sealed).await.unwrap().len(), 8192);

    let another = cloud.open("hsm").await;
    assert_eq!(
        another.check_usable().await.unwrap().protection,
        Protection::Hsm
    );
    assert_eq!(another.limits().max_plaintext, 8192);
}

#[tokio::test]
async fn rotation_changes_what_encrypts_and_nothing_else() {
    let cloud = Cloud::start().await;
    let key = cloud.key("k").await;
    let old = key.wrap(&Dek::new([1; 32]), &context("a")).await.unwrap();
    assert_eq!(key.check_usable().await.unwrap().primary_version, "1");

    let admin = cloud.admin().await;
    admin.rotate(&uri("k")).await.unwrap();
    assert_eq!(key.check_usable().await.unwrap().primary_version, "2");
    let new = key.wrap(&Dek::new([2; 32]), &context("a")).await.unwrap();
    assert_eq!(
        key.unwrap(&old, &context("a")).await.unwrap().expose(),
        &[1; 32]
    );

    admin.disable(&uri("k"), Some("1")).await.unwrap();
    assert_eq!(
        kind(key.unwrap(&old, &context("a")).await),
        Kind::KeyDisabled
    );
    assert!(
        key.unwrap(&new, &context("a")).await.is_ok(),
        "it is the new version's"
    );
    admin.disable(&uri("k"), Some("2")).await.unwrap();
    assert_eq!(
        kind(key.wrap(&Dek::new([2; 32]), &context("a")).await),
        Kind::KeyDisabled
    );
    assert_eq!(kind(key.check_usable().await), Kind::KeyDisabled);
    assert_eq!(
        kind(key.unwrap(&new, &context("a")).await),
        Kind::KeyDisabled
    );

    admin.enable(&uri("k"), Some("1")).await.unwrap();
    assert!(key.unwrap(&old, &context("a")).await.is_ok());
    admin.destroy(&uri("k"), Some("1")).await.unwrap();
    assert_eq!(
        kind(key.unwrap(&old, &context("a")).await),
        Kind::KeyVersionGone
    );
    cloud.emulator.advance(31 * DAY);
    // The service does not recognise a ciphertext of a version that is gone.
    let result = key.unwrap(&old, &context("a")).await;
    assert_eq!(kind(result), Kind::InvalidCiphertext);
}

#[tokio::test]
async fn a_key_that_is_missing_or_for_something_else() {
    let cloud = Cloud::start().await;
    cloud.key("k").await;
    let missing = cloud.open("missing").await;
    assert_eq!(kind(missing.check_usable().await), Kind::KeyNotFound);
    assert_eq!(kind(missing.encrypt(b"x").await), Kind::KeyNotFound);
    assert_eq!(kind(missing.decrypt(b"x").await), Kind::KeyNotFound);

    cloud.signer("signing").await;
    let signing = cloud.open("signing").await;
    assert_eq!(kind(signing.encrypt(b"x").await), Kind::Misconfigured);
    assert_eq!(kind(signing.check_usable().await), Kind::Misconfigured);

    let encryption = cloud.options.signer(&uri("k")).await.unwrap();
    assert_eq!(kind(encryption.sign(b"x").await), Kind::Misconfigured);
    assert_eq!(kind(encryption.public_key(None).await), Kind::Misconfigured);
}

#[tokio::test]
async fn one_key_serves_many_calls_at_once() {
    let cloud = Cloud::start().await;
    let key = cloud.key("k").await;
    let calls = (0..64_u8).map(|number| {
        let key = key.clone();
        tokio::spawn(async move {
            let plaintext = vec![number; 100];
            let sealed = key.encrypt(&plaintext).await.unwrap();
            assert_eq!(*key.decrypt(&sealed).await.unwrap(), plaintext);
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
}

#[tokio::test]
async fn what_leads_elsewhere_is_refused_before_anything_is_sent() {
    for endpoint in [
        "http://kms.example.com",
        "https://127.0.0.1.example.com",
        "127.0.0.1:80",
    ] {
        let result = options(endpoint).key(&uri("k")).await;
        assert_eq!(kind(result), Kind::Misconfigured, "{endpoint}");
    }
    let cloud = Cloud::start().await;
    for name in ["..", "."] {
        let result = cloud.options.key(&uri(name)).await;
        assert_eq!(kind(result), Kind::Misconfigured, "{name}");
    }
    for name in ["k?x=1", "k%2F", "k#", "k@", "k/cryptoKeyVersions/1"] {
        let place = "projects/p/locations/global/keyRings/temporal/cryptoKeys";
        let named = KeyUri::new(Scheme::GCP_KMS, &format!("{place}/{name}"));
        assert!(named.is_err(), "{name}");
    }
    assert!(cloud.emulator.calls().is_empty());
}

#[test]
fn a_key_outlives_the_runtime_of_its_first_call() {
    let runtime = || tokio::runtime::Runtime::new().unwrap();
    let server = runtime();
    let cloud = server.block_on(Cloud::start());
    let key = runtime().block_on(cloud.key("k"));
    for _ in 0..2 {
        assert!(runtime().block_on(key.encrypt(b"x")).is_ok());
    }
}

#[tokio::test]
async fn an_ed25519_key_is_not_made() {
    let cloud = Cloud::start().await;
    let purpose = KeyPurpose::SignEd25519;
    let spec = KeySpec::default().with_purpose(purpose);
    let made = cloud.admin().await.create(&uri("k"), &spec).await;
    assert_eq!(kind(made), Kind::Unsupported);
    assert!(cloud.emulator.calls().is_empty());
}

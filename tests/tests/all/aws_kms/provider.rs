use fake_aws_kms::KeyState;
use futures::future::try_join_all;
use serde_json::json;
use temporal_kms_codec::{
    Codec, Dek, EncryptionContext, Format, Namespace, Payload, WrappedDek,
    kms::{self, Kms, Protection, ProviderErrorKind as Kind},
};

use super::{HOME, context, kms_options, open, options, scripted, uri};

#[tokio::test]
async fn data_keys_are_bound_to_the_pairs_of_their_context() {
    let (account, server) = scripted().await;
    let key = open(&account.symmetric_key(HOME), options(server.url())).await;

    let (dek, wrapped) = key.generate_dek(&context("a")).await.unwrap();
    assert_eq!(
        key.unwrap(&wrapped, &context("a")).await.unwrap().expose(),
        dek.expose()
    );
    let given = Dek::new([7; 32]);
    let rewrapped = key.wrap(&given, &context("a")).await.unwrap();
    assert_eq!(
        key.unwrap(&rewrapped, &context("a"))
            .await
            .unwrap()
            .expose(),
        &[7; 32]
    );
    let free = key.wrap(&given, &EncryptionContext::empty()).await.unwrap();
    assert_eq!(
        key.unwrap(&free, &EncryptionContext::empty())
            .await
            .unwrap()
            .expose(),
        &[7; 32]
    );

    let pairs = json!({ "namespace": "a", "env": "test" });
    let calls = server.calls();
    let (bound, unbound) = calls.split_at(4);
    assert!(
        bound
            .iter()
            .all(|call| call.input["EncryptionContext"] == pairs),
        "{calls:?}"
    );
    assert!(
        unbound
            .iter()
            .all(|call| call.input.get("EncryptionContext").is_none())
    );
    assert!(
        calls
            .iter()
            .all(|call| call.input["KeyId"] == key.uri().resource()),
        "{calls:?}"
    );

    for other in [context("b"), EncryptionContext::empty()] {
        let error = key.unwrap(&wrapped, &other).await.unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidCiphertext);
        assert!(
            error.to_string().contains("AWS KMS does not tell"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn unwraps_nothing_but_what_the_key_wrapped() {
    let (account, server) = scripted().await;
    let key = open(&account.symmetric_key(HOME), options(server.url())).await;
    let other = open(&account.symmetric_key(HOME), options(server.url())).await;
    let (_, wrapped) = key.generate_dek(&context("a")).await.unwrap();

    let foreign = other.unwrap(&wrapped, &context("a")).await.unwrap_err();
    assert_eq!(foreign.kind(), Kind::KeyVersionGone);
    for position in (0..wrapped.as_bytes().len()).step_by(7) {
        let mut flipped = wrapped.as_bytes().to_vec();
        flipped[position] ^= 1;
        let error = key
            .unwrap(&WrappedDek::new(flipped), &context("a"))
            .await
            .unwrap_err();
        // Where the name of the key in it was altered, it is another key's.
        assert!(
            [Kind::InvalidCiphertext, Kind::KeyVersionGone].contains(&error.kind()),
            "{position}"
        );
    }
    let short = key.encrypt(b"16 bytes, no key").await.unwrap();
    let error = key
        .unwrap(&WrappedDek::new(short), &EncryptionContext::empty())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidCiphertext);

    // What no ciphertext can be is not even sent.
    let before = server.calls().len();
    for nonsense in [vec![], vec![1; 6145]] {
        let error = key
            .unwrap(&WrappedDek::new(nonsense), &context("a"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidCiphertext);
    }
    assert_eq!(server.calls().len(), before);
}

#[tokio::test]
async fn encrypts_directly_within_the_services_limits() {
    let (account, server) = scripted().await;
    let key = open(&account.symmetric_key(HOME), options(server.url())).await;
    let limits = key.limits();
    assert_eq!((limits.min_plaintext, limits.max_plaintext), (1, 4096));
    for plaintext in [vec![5], vec![5; 4096]] {
        let ciphertext = key.encrypt(&plaintext).await.unwrap();
        assert_eq!(*key.decrypt(&ciphertext).await.unwrap(), plaintext);
    }
    let before = server.calls().len();
    for plaintext in [vec![], vec![5; 4097]] {
        assert_eq!(
            key.encrypt(&plaintext).await.unwrap_err().kind(),
            Kind::Misconfigured
        );
    }
    assert_eq!(server.calls().len(), before);
}

#[tokio::test]
async fn a_codec_in_direct_mode_seals_an_envelope_of_what_is_too_long_or_empty() {
    let (account, server) = scripted().await;
    let key = open(&account.symmetric_key(HOME), options(server.url())).await;
    let codec = Codec::builder(Namespace::new("a").unwrap())
        .encrypt_with(key)
        .format(Format::Direct)
        .build()
        .unwrap();
    let payload = |data: Vec<u8>| Payload {
        data,
        ..Payload::default()
    };
    let payloads = vec![
        payload(b"x".to_vec()),
        payload(vec![1; 5000]),
        Payload::default(),
    ];
    let sealed = codec.encode(payloads.clone()).await.unwrap();
    let encodings: Vec<_> = sealed
        .iter()
        .map(|payload| &payload.metadata["encoding"][..])
        .collect();
    assert_eq!(
        encodings,
        [
            &b"binary/aws-kms"[..],
            b"binary/envelope-kms",
            b"binary/envelope-kms"
        ]
    );
    assert_eq!(codec.decode(sealed).await.unwrap(), payloads);
    assert_eq!(codec.stats().direct_fallbacks, 2);
}

#[tokio::test]
async fn keys_that_cannot_be_used_say_why() {
    let (account, server) = scripted().await;
    let arn = account.symmetric_key(HOME);
    let key = open(&arn, options(server.url())).await;
    let (_, wrapped) = key.generate_dek(&context("a")).await.unwrap();
    let described = key.check_usable().await.unwrap();
    assert_eq!(described.protection, Protection::Hsm);

    for state in [KeyState::Disabled, KeyState::PendingDeletion] {
        account.set_state(&arn, state);
        let unwrap = key.unwrap(&wrapped, &context("a")).await.map(drop);
        let generate = key.generate_dek(&context("a")).await.map(drop);
        for outcome in [unwrap, generate, key.check_usable().await.map(drop)] {
            let error = outcome.unwrap_err();
            assert_eq!(error.kind(), Kind::KeyDisabled, "{state:?}: {error}");
        }
    }
    let absent = arn.replace("key/", "key/0");
    let absent = open(&absent, options(server.url())).await;
    assert_eq!(
        absent.check_usable().await.unwrap_err().kind(),
        Kind::KeyNotFound
    );
    assert_eq!(
        absent
            .unwrap(&wrapped, &context("a"))
            .await
            .unwrap_err()
            .kind(),
        Kind::KeyNotFound
    );

    let signing = open(&account.signing_key(HOME), options(server.url())).await;
    assert_eq!(
        signing.check_usable().await.unwrap_err().kind(),
        Kind::Misconfigured
    );
    assert_eq!(
        signing
            .generate_dek(&context("a"))
            .await
            .unwrap_err()
            .kind(),
        Kind::Misconfigured
    );
}

#[tokio::test]
async fn what_was_wrapped_before_a_rotation_opens_after_it() {
    let (account, server) = scripted().await;
    let arn = account.symmetric_key(HOME);
    let options = options(server.url());
    let key = open(&arn, options.clone()).await;
    let (dek, wrapped) = key.generate_dek(&context("a")).await.unwrap();
    let before = key.check_usable().await.unwrap().primary_version;

    let admin = kms_options(options).admin(&uri(&arn)).await.unwrap();
    admin.rotate(&uri(&arn)).await.unwrap();

    assert_ne!(key.check_usable().await.unwrap().primary_version, before);
    let (new_dek, new) = key.generate_dek(&context("a")).await.unwrap();
    for (dek, wrapped) in [(dek, wrapped), (new_dek, new)] {
        assert_eq!(
            key.unwrap(&wrapped, &context("a")).await.unwrap().expose(),
            dek.expose()
        );
    }
}

#[tokio::test]
async fn concurrent_calls_do_not_mix_up_their_keys() {
    let (account, server) = scripted().await;
    let key = open(&account.symmetric_key(HOME), options(server.url())).await;
    let round_trips = (0..48_u8).map(|number| {
        let key = key.clone();
        async move {
            let context = context(&number.to_string());
            let wrapped = key.wrap(&Dek::new([number; 32]), &context).await?;
            let dek = key.unwrap(&wrapped, &context).await?;
            Ok::<_, kms::ProviderError>(*dek.expose() == [number; 32])
        }
    });
    let outcomes = try_join_all(round_trips).await.unwrap();
    assert!(outcomes.into_iter().all(|same| same));
}

#[tokio::test]
async fn wrong_settings_are_found_before_any_call() {
    let (account, server) = scripted().await;
    let arn = account.symmetric_key(HOME);
    let good = options(server.url());
    let mut no_region = good.clone();
    no_region.region = None;
    let mut bad_region = good.clone();
    bad_region.region = Some("evil.example/".to_owned());
    let mut clear = good.clone();
    clear.endpoint = Some("http://kms.example".to_owned());
    let mut clear_sts = good.clone();
    clear_sts.sts_endpoint = Some("http://sts.example".to_owned());
    for (name, options, expected) in [
        ("alias/a", no_region, "AWS_REGION"),
        ("alias/a", bad_region, "write one such as eu-west-1"),
        (arn.as_str(), clear, "this machine only"),
        (arn.as_str(), clear_sts, "this machine only"),
        (
            "arn:aws:kms:eu-west-1:1:key/x",
            good,
            "is not in one of the forms",
        ),
    ] {
        let error = kms_options(options).key(&uri(name)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured);
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.to_string().matches("; ").count(), 1, "{error}");
    }
    // A key of another region is asked for there, whatever the default region is.
    let elsewhere = Kms::default();
    assert!(elsewhere.key(&uri(&arn)).await.is_ok());
    assert!(server.calls().is_empty());
}

use super::*;

#[tokio::test]
async fn a_foreign_namespace_is_refused_before_any_call() {
    let (_folder, keyring) = keyring();
    let kms = Watched::new(keyring.key_or_create("k").unwrap());
    let theirs = seal(
        &builder("theirs").encrypt_with(kms.clone()).build().unwrap(),
        "1",
    )
    .await;
    let before = kms.calls();

    let ours = builder("ours").encrypt_with(kms.clone()).build().unwrap();
    assert_eq!(
        refusal(&ours, theirs.clone()).await,
        foreign_namespace(Some("theirs"), "ours")
    );
    // Claiming another namespace in the clear does not help: the context is authenticated.
    let mut moved = theirs.clone();
    moved.metadata.insert(
        "encryption-context".into(),
        br#"{"namespace":"ours"}"#.to_vec(),
    );
    assert_eq!(refusal(&ours, moved).await, PayloadError::NotAuthentic);
    let mut stripped = theirs.clone();
    stripped.metadata.remove("encryption-context");
    assert_eq!(
        refusal(&ours, stripped).await,
        foreign_namespace(None, "ours")
    );
    assert_eq!(kms.calls(), before + 1, "one call, for the moved payload");

    let both = builder("ours")
        .also_decode(Namespace::new("theirs").unwrap())
        .encrypt_with(kms)
        .build()
        .unwrap();
    assert_eq!(both.decode(vec![theirs]).await.unwrap(), [payload("1")]);
}

#[tokio::test]
async fn pairs_of_the_context_must_agree_where_both_have_them() {
    let (_folder, keyring) = keyring();
    let key = keyring.key_or_create("k").unwrap();
    let build = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .fold(
                builder("n").encrypt_with(key.clone()),
                |b, (name, value)| b.context(*name, *value),
            )
            .build()
            .unwrap()
    };
    let plain = build(&[]);
    let staging = build(&[("env", "staging")]);
    let production = build(&[("env", "production"), ("team", "a")]);
    let sealed = seal(&staging, "1").await;
    assert_eq!(
        sealed.metadata["encryption-context"],
        br#"{"env":"staging","namespace":"n"}"#
    );
    assert_eq!(
        refusal(&production, sealed.clone()).await,
        PayloadError::ForeignContext("env".into())
    );
    assert!(plain.decode(vec![sealed]).await.is_ok());
    assert!(
        production
            .decode(vec![seal(&plain, "1").await])
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_key_outside_the_policy_is_never_called() {
    let (_folder, keyring) = keyring();
    let (ours, theirs) = (
        Watched::new(keyring.key_or_create("ours").unwrap()),
        Watched::new(keyring.key_or_create("theirs").unwrap()),
    );
    let codec = builder("n")
        .encrypt_with(ours.clone())
        .decrypt_formats(FORMATS)
        .build()
        .unwrap();
    for format in FORMATS {
        let writer = builder("n")
            .encrypt_with(theirs.clone())
            .format(format)
            .build()
            .unwrap();
        assert_eq!(
            refusal(&codec, seal(&writer, "1").await).await,
            key_not_allowed("local://theirs")
        );
    }
    assert_eq!(ours.calls(), 0);
}

#[tokio::test]
async fn plaintext_is_refused_unless_it_is_allowed() {
    let (_folder, keyring) = keyring();
    let key = keyring.key_or_create("k").unwrap();
    let lenient = builder("n")
        .encrypt_with(key.clone())
        .plaintext(PlaintextPolicy::Allow)
        .build()
        .unwrap();
    assert_eq!(lenient.decode(payloads(3)).await.unwrap(), payloads(3));
    assert_eq!(lenient.stats().passed_through, 3);

    let strict = builder("n").encrypt_with(key).build().unwrap();
    assert_eq!(
        refusal(&strict, payload("1")).await,
        PayloadError::PlaintextRefused
    );
    assert!(strict.decode(vec![seal(&lenient, "1").await]).await.is_ok());
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let (_folder, keyring) = keyring();
    let [a, b] = ["a", "b"].map(|name| keyring.key_or_create(name).unwrap());
    let refused = |builder: CodecBuilder| -> ConfigurationError {
        match builder.build() {
            Err(Error::Configuration(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    let two = || builder("n").encrypt_with(a.clone()).encrypt_with(b.clone());
    assert!(refused(builder("n")).reason().contains("there is none"));
    assert!(
        refused(two().encrypt_with(a.clone()))
            .reason()
            .contains("local://a is named twice")
    );
    assert!(
        refused(two().format(Format::Direct))
            .reason()
            .contains("several recipients")
    );
    assert!(
        refused(two().format(Format::EnvelopeV1))
            .reason()
            .contains("several recipients")
    );
    assert!(
        refused(two().context("namespace", "x"))
            .reason()
            .contains("set by the codec itself")
    );
    assert!(
        refused(two().compression(Compression::Zstd {
            level: 99,
            min_bytes: 0
        }))
        .reason()
        .contains("level")
    );
    assert!(
        refused(two().cache_limits(crate::CacheLimits {
            max_keys: 0,
            ..Default::default()
        }))
        .reason()
        .contains("max_keys")
    );
}

use super::*;

#[tokio::test]
async fn a_foreign_namespace_is_refused_before_any_call() {
    let (_folder, keyring) = keyring();
    let kms = FaultyKey::over(keyring.key_or_create("k").unwrap());
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
async fn a_required_pair_keeps_out_payloads_without_it() {
    let (_folder, keyring) = keyring();
    let kms = FaultyKey::over(keyring.key_or_create("k").unwrap());
    let ours = || {
        builder("n")
            .encrypt_with(kms.clone())
            .context("tenant", "a")
            .context("env", "production")
    };
    let without = builder("n").encrypt_with(kms.clone()).build().unwrap();
    let without_env = builder("n")
        .encrypt_with(kms.clone())
        .context("tenant", "a")
        .build()
        .unwrap();
    let bare = seal(&without, "1").await;
    let half = seal(&without_env, "1").await;
    let whole = seal(&ours().build().unwrap(), "1").await;
    let before = kms.calls();

    let all = ours().require_context(true).build().unwrap();
    let tenant = ours()
        .require_context(RequiredContext::named(["tenant"]))
        .build()
        .unwrap();
    let missing = |name: &str| PayloadError::MissingContext(name.into());
    assert_eq!(refusal(&all, bare.clone()).await, missing("env"));
    assert_eq!(refusal(&all, half.clone()).await, missing("env"));
    assert_eq!(refusal(&tenant, bare.clone()).await, missing("tenant"));
    assert_eq!(kms.calls(), before, "refused without a call");
    assert!(tenant.decode(vec![half]).await.is_ok());
    assert!(all.decode(vec![whole]).await.is_ok());
    let any = ours().require_context(false).build().unwrap();
    assert!(any.decode(vec![bare]).await.is_ok());
}

#[test]
fn a_requirement_that_cannot_hold_is_refused() {
    let (_folder, keyring) = keyring();
    let key = keyring.key_or_create("k").unwrap();
    let codec = || builder("n").encrypt_with(key.clone());
    for (builder, expected) in [
        (codec().require_context(true), "no context pair"),
        (
            codec()
                .context("tenant", "a")
                .require_context(RequiredContext::named(["tenant"; 0])),
            "no pair is named",
        ),
        (
            codec()
                .context("tenant", "a")
                .require_context(",".parse::<RequiredContext>().unwrap()),
            "no pair is named",
        ),
        (
            codec()
                .context("env", "production")
                .require_context(RequiredContext::named(["tenant"])),
            "`tenant` is not configured",
        ),
        (
            codec()
                .context("tenant", "a")
                .require_context(true)
                .format(Format::EnvelopeV1),
            "`envelope-v1` carry no context",
        ),
        (
            codec()
                .context("tenant", "a")
                .require_context(true)
                .decrypt_formats([Format::Envelope, Format::Direct]),
            "`direct` carry no context",
        ),
    ] {
        match builder.build() {
            Err(Error::Configuration(error)) => {
                assert_eq!(error.setting(), "require_context");
                assert!(error.reason().contains(expected), "{error}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_format_that_is_not_opened_costs_no_call() {
    let (_folder, keyring) = keyring();
    let kms = FaultyKey::over(keyring.key_or_create("k").unwrap());
    let codec = builder("n").encrypt_with(kms.clone()).build().unwrap();
    for format in [Format::EnvelopeV1, Format::Direct] {
        let writer = builder("n")
            .encrypt_with(kms.clone())
            .format(format)
            .build()
            .unwrap();
        let sealed = seal(&writer, "1").await;
        let before = kms.calls();
        let refused = refusal(&codec, sealed).await;
        assert_eq!(refused, PayloadError::FormatNotAllowed { format });
        let text = refused.to_string();
        let setting = format!("the format `{format}`, which is not opened here");
        assert!(text.contains(&setting), "{text}");
        assert!(text.contains("TEMPORAL_CODEC_DECRYPT_FORMATS"), "{text}");
        assert_eq!(kms.calls(), before);
    }
}

#[tokio::test]
async fn errors_name_the_keys_of_a_payload_within_a_bound() {
    let (_folder, keyring) = keyring();
    let codec = builder("n")
        .encrypt_with(keyring.key_or_create("k").unwrap())
        .build()
        .unwrap();
    let foreign = (0..10).fold(builder("n"), |builder, n| {
        builder.encrypt_with(keyring.key_or_create(&format!("key{n}")).unwrap())
    });
    let sealed = seal(&foreign.build().unwrap(), "1").await;
    let refused = refusal(&codec, sealed).await;
    assert_eq!(
        refused,
        key_not_allowed("local://key0, local://key1, local://key2, 7 more")
    );
    assert!(refused.to_string().contains("add it under `decrypt`"));
}

#[tokio::test]
async fn errors_show_a_foreign_namespace_shortened_and_without_control_characters() {
    let (_folder, keyring) = keyring();
    let codec = builder("ours")
        .encrypt_with(keyring.key_or_create("k").unwrap())
        .build()
        .unwrap();
    let mut sealed = seal(&codec, "1").await;
    let name = format!("\u{202e}\u{1b}{}", "x".repeat(5000));
    let pairs = [("namespace".to_owned(), name)].into();
    let context = EncryptionContext::new(pairs).unwrap();
    sealed
        .metadata
        .insert("encryption-context".into(), context.as_bytes().to_vec());
    let text = refusal(&codec, sealed).await.to_string();
    assert!(text.len() < 250, "{text}");
    assert!(text.contains(r"\u{202e}\u{1b}xxx"), "{text}");
    assert!(text.contains("`ours`"), "{text}");
}

#[tokio::test]
async fn a_storage_reference_is_a_payload_like_any_other() {
    let (_folder, keyring) = keyring();
    let codec = builder("n")
        .encrypt_with(keyring.key_or_create("k").unwrap())
        .build()
        .unwrap();
    let mut reference = payload("{\"driver\":\"s3\"}");
    reference.metadata.insert(
        "encoding".into(),
        b"json/external-storage-reference".to_vec(),
    );
    assert_eq!(
        refusal(&codec, reference.clone()).await,
        PayloadError::PlaintextRefused
    );
    let sealed = codec.encode(vec![reference.clone()]).await.unwrap();
    assert_eq!(sealed[0].encoding(), Some("binary/envelope-kms"));
    assert_eq!(codec.decode(sealed).await.unwrap(), [reference]);
}

#[tokio::test]
async fn a_key_outside_the_policy_is_never_called() {
    let (_folder, keyring) = keyring();
    let (ours, theirs) = (
        FaultyKey::over(keyring.key_or_create("ours").unwrap()),
        FaultyKey::over(keyring.key_or_create("theirs").unwrap()),
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
    let none = refused(builder("n"));
    assert!(none.reason().contains("no encrypting key is set"), "{none}");
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
        .contains("more than zero")
    );
}

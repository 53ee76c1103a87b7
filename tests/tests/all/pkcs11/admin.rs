use super::*;

#[test]
fn versions_are_disabled_enabled_and_destroyed() {
    isolated(|hsm| async move {
        generate(&hsm, "key-wrap", b"\x01", &only_wraps());
        made(&hsm, "gcm").await;
        let admin = admin(&hsm).await;
        for label in ["gcm", "key-wrap"] {
            let (key, uri) = (open(&hsm, label).await, hsm.key(label));
            let wrapped = wrap(&*key).await;
            let version = key.check_usable().await.expect("described").primary_version;

            admin.disable(&uri, Some(&version)).await.expect("disabled");
            let state = admin.versions(&uri).await.expect("versions")[0].state;
            assert_eq!(state, KeyState::Disabled);
            assert_eq!(unwrap(&*key, &wrapped).await, Err(Kind::KeyDisabled));
            let error = key
                .wrap(&Dek::new([7; 32]), &context("a"))
                .await
                .expect_err("disabled");
            assert_eq!(error.kind(), Kind::KeyDisabled);
            assert_eq!(admin.details(&uri).await.expect("details").primary, None);

            admin.enable(&uri, None).await.expect("enabled");
            assert_eq!(unwrap(&*key, &wrapped).await, Ok([7; 32]));
            assert_eq!(
                wrap(&*key).await.as_bytes()[1],
                wrapped.as_bytes()[1],
                "the same method"
            );

            admin.rotate(&uri).await.expect("rotated");
            admin
                .destroy(&uri, Some(&version))
                .await
                .expect("destroyed");
            assert_eq!(unwrap(&*key, &wrapped).await, Err(Kind::KeyVersionGone));
            assert_eq!(admin.versions(&uri).await.expect("versions").len(), 1);
            let error = admin.disable(&uri, Some(&version)).await.expect_err("gone");
            assert_eq!(error.kind(), Kind::KeyNotFound);

            admin.destroy(&uri, None).await.expect("destroyed");
            assert_eq!(unwrap(&*key, &wrapped).await, Err(Kind::KeyNotFound));
        }
    });
}

#[test]
fn keys_never_leave_the_token() {
    isolated(|hsm| async move {
        made(&hsm, "k").await;
        made_signer(&hsm, "s").await;
        let session = hsm.session();
        let aes = SoftHsm::objects(&session, ObjectClass::SECRET_KEY, "k");
        let private = SoftHsm::objects(&session, ObjectClass::PRIVATE_KEY, "s");
        let wanted = [
            AttributeType::Sensitive,
            AttributeType::Extractable,
            AttributeType::Private,
        ];
        for handle in [aes[0], private[0]] {
            let attributes = session.get_attributes(handle, &wanted).expect("attributes");
            let expected = [
                Attribute::Sensitive(true),
                Attribute::Extractable(false),
                Attribute::Private(true),
            ];
            assert_eq!(attributes, expected);
        }
        let may = [
            AttributeType::Encrypt,
            AttributeType::Wrap,
            AttributeType::Unwrap,
        ];
        let attributes = session.get_attributes(aes[0], &may).expect("attributes");
        assert_eq!(
            attributes,
            [
                Attribute::Encrypt(true),
                Attribute::Wrap(false),
                Attribute::Unwrap(false)
            ]
        );
    });
}

#[test]
fn lists_and_describes_keys() {
    isolated(|hsm| async move {
        let admin = admin(&hsm).await;
        assert_eq!(admin.list(&hsm.key("any")).await.expect("listed"), []);
        made(&hsm, "a%20key").await;
        made_signer(&hsm, "s").await;
        let listed = admin.list(&hsm.key("any")).await.expect("listed");
        let names: Vec<_> = listed
            .iter()
            .map(|key| (key.uri.to_string(), key.purpose))
            .collect();
        assert_eq!(
            names,
            [
                (
                    "pkcs11:token=tests;object=a%20key;type=secret-key".to_owned(),
                    KeyPurpose::Encrypt
                ),
                (
                    "pkcs11:token=tests;object=s;type=private".to_owned(),
                    KeyPurpose::SignP256
                ),
            ]
        );
        for key in &listed {
            assert_eq!(admin.details(&key.uri).await.expect("details"), *key);
            assert_eq!(key.protection, Protection::Software);
            assert_eq!(
                key.primary.as_ref().expect("a version").created,
                key.created
            );
        }
        // What is listed can be opened.
        options(hsm.options())
            .key(&listed[0].uri)
            .await
            .expect("a key")
            .check_usable()
            .await
            .expect("it is there");

        let error = admin
            .create(&hsm.key("s"), &KeySpec::default())
            .await
            .expect_err("there");
        assert!(error.to_string().contains("already"), "{error}");
        let elsewhere = "pkcs11:token=other;object=k".parse().expect("a key");
        let error = admin.details(&elsewhere).await.expect_err("elsewhere");
        assert_eq!(error.kind(), Kind::Misconfigured);
    });
}

#[test]
fn says_what_a_token_does_not_have() {
    isolated(|hsm| async move {
        made(&hsm, "k").await;
        let (admin, key) = (admin(&hsm).await, hsm.key("k"));
        let specs = [
            KeySpec::default().with_purpose(KeyPurpose::SignEd25519),
            KeySpec::default().with_protection(Some(Protection::Hsm)),
            KeySpec::default().with_rotation_period(Some(Duration::from_hours(24))),
            KeySpec::default().with_labels(BTreeMap::from([("a".into(), "b".into())])),
            KeySpec::default().with_multi_region(true),
        ];
        for spec in specs {
            let error = admin
                .create(&hsm.key("new"), &spec)
                .await
                .expect_err("unsupported");
            assert_eq!(error.kind(), Kind::Unsupported, "{spec:?}");
            assert_eq!(error.to_string().matches("; ").count(), 1, "{error}");
        }
        let day = Some(Duration::from_hours(24));
        for error in [
            admin
                .set_rotation(&key, day)
                .await
                .expect_err("unsupported"),
            admin.replicate(&key, "eu").await.expect_err("unsupported"),
            admin
                .grant(&key, "me", KeyRole::Signer)
                .await
                .expect_err("unsupported"),
        ] {
            assert_eq!(error.kind(), Kind::Unsupported, "{error}");
            assert_eq!(error.to_string().matches("; ").count(), 1, "{error}");
        }
        admin.set_rotation(&key, None).await.expect("no rotation");
    });
}

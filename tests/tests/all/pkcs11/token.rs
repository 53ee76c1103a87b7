use super::*;

#[test]
fn survives_restarts_of_the_token_and_the_end_of_its_login() {
    isolated(|hsm| async move {
        let key = made(&hsm, "k").await;
        let signer = made_signer(&hsm, "s").await;
        let wrapped = wrap(&*key).await;
        for _ in 0..3 {
            hsm.stop();
            hsm.initialize();
            assert_eq!(unwrap(&*key, &wrapped).await, Ok([7; 32]));
            signer.sign(b"data").await.expect("signed");
        }
        // Nobody else initializes the module again.
        hsm.stop();
        assert_eq!(unwrap(&*key, &wrapped).await, Ok([7; 32]));
        // The login ends for all sessions of the process.
        hsm.session().logout().expect("logged out");
        assert_eq!(unwrap(&*key, &wrapped).await, Ok([7; 32]));
        hsm.session().logout().expect("logged out");
        wrap(&*key).await;
    });
}

#[test]
fn many_calls_share_a_few_sessions() {
    isolated(|hsm| async move {
        made(&hsm, "k").await;
        let few = hsm.options().with_max_sessions(3);
        let key = options(few).key(&hsm.key("k")).await.expect("a key");
        let calls: Vec<_> = (0..64u8)
            .map(|byte| {
                let key = key.clone();
                tokio::spawn(async move {
                    let context = context(&byte.to_string());
                    let wrapped = key
                        .wrap(&Dek::new([byte; 32]), &context)
                        .await
                        .expect("wrapped");
                    let dek = key.unwrap(&wrapped, &context).await.expect("unwrapped");
                    assert_eq!(dek.expose(), &[byte; 32]);
                })
            })
            .collect();
        for call in calls {
            call.await.expect("it succeeds");
        }
    });
}

#[test]
fn a_refused_pin_is_not_sent_twice() {
    isolated(|hsm| async move {
        generate(&hsm, "k", b"\x01", &only_encrypts());
        hsm.session().logout().expect("logged out");
        let key = open(&hsm, "k").await;
        let refused = |error: ProviderError| {
            assert_eq!(error.kind(), Kind::Misconfigured, "{error}");
            assert!(!format!("{error} {error:?}").contains("112233"), "{error}");
            error.to_string()
        };
        let call = async || {
            key.wrap(&Dek::new([7; 32]), &EncryptionContext::empty())
                .await
        };
        hsm.write_wrong_pin(Some("112233"));
        assert!(refused(call().await.expect_err("wrong")).contains("refuses the PIN"));
        for _ in 0..20 {
            assert!(refused(call().await.expect_err("wrong")).contains("not tried again"));
        }
        hsm.write_wrong_pin(None);
        call().await.expect("the right PIN");

        fs::set_permissions(hsm.pin_file(), fs::Permissions::from_mode(0o604)).expect("opened");
        hsm.stop();
        assert!(refused(call().await.expect_err("public")).contains("open to all users"));
    });
}

#[test]
fn says_what_is_missing() {
    isolated(|hsm| async move {
        generate(&hsm, "k", b"\x01", &only_encrypts());
        generate(
            &hsm,
            "useless",
            b"\x01",
            &[
                Attribute::Encrypt(true),
                Attribute::Decrypt(false),
                Attribute::Wrap(false),
                Attribute::Unwrap(false),
            ],
        );
        let error = |label: &'static str| {
            let uri = match label.strip_prefix("pkcs11:") {
                Some(_) => label.parse().expect("a key"),
                None => hsm.key(label),
            };
            let options = options(hsm.options());
            async move {
                let key = options.key(&uri).await?;
                key.check_usable().await.map(|_| panic!("{uri} is there"))
            }
        };
        let kind = |answer: Result<(), ProviderError>| answer.expect_err("missing").kind();
        assert_eq!(kind(error("absent").await), Kind::KeyNotFound);
        assert_eq!(kind(error("useless").await), Kind::KeyDisabled);
        assert_eq!(
            kind(error("pkcs11:token=absent;object=k").await),
            Kind::KeyNotFound
        );
        assert_eq!(
            kind(error("pkcs11:token=tests;serial=0;object=k").await),
            Kind::KeyNotFound
        );
        assert_eq!(
            kind(error("pkcs11:token=tests;object=k;type=private").await),
            Kind::Misconfigured
        );

        let no_module = Pkcs11Options::default();
        let wrong_module = hsm.options().with_module("/etc/passwd");
        let absent_module = hsm.options().with_module("/nonexistent.so");
        for (pkcs11, text) in [
            (no_module, "PKCS11_MODULE"),
            (wrong_module, "cannot be loaded"),
            (absent_module, "no PKCS#11 module /nonexistent.so"),
        ] {
            let error = options(pkcs11)
                .key(&hsm.key("k"))
                .await
                .expect_err("no module");
            assert_eq!(error.kind(), Kind::Misconfigured);
            assert!(error.to_string().contains(text), "{error}");
            assert_eq!(error.to_string().matches("; ").count(), 1, "{error}");
        }
        // Without a login the token shows no private object.
        hsm.session().logout().expect("logged out");
        let mut anonymous = hsm.options();
        anonymous.pin = None;
        let key = options(anonymous).key(&hsm.key("k")).await.expect("a key");
        let error = key.check_usable().await.expect_err("private");
        assert_eq!(error.kind(), Kind::KeyNotFound);
        assert!(error.remedy().contains("PIN"), "{error}");
        assert!(error.is_key_missing(), "{error}");
    });
}

//! PKCS#11 keys in `SoftHSM`.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test"
)]

use std::{
    collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, sync::Arc, time::Duration,
};

use cryptoki::{
    mechanism::Mechanism,
    object::{Attribute, AttributeType, ObjectClass},
};
use integration_tests::softhsm::{SoftHsm, isolated};
use temporal_kms_codec::{
    Codec, Dek, EncryptionContext, Format, KeyUri, Namespace, Payload, WrappedDek,
    kms::{
        self, KeyAdmin, KeyProvider, KeyPurpose, KeyRole, KeySpec, KeyState, KmsOptions,
        Protection, ProviderError, ProviderErrorKind as Kind, Signature, Signer,
        pkcs11::Pkcs11Options,
    },
};

fn options(pkcs11: Pkcs11Options) -> KmsOptions {
    KmsOptions {
        pkcs11,
        ..KmsOptions::default()
    }
}

async fn open(hsm: &SoftHsm, label: &str) -> Arc<dyn KeyProvider> {
    kms::open(&hsm.key(label), &options(hsm.options()))
        .await
        .expect("a key")
}

async fn open_signer(hsm: &SoftHsm, label: &str) -> Arc<dyn Signer> {
    kms::open_signer(&hsm.key(label), &options(hsm.options()))
        .await
        .expect("a key")
}

async fn admin(hsm: &SoftHsm) -> Arc<dyn KeyAdmin> {
    kms::open_admin(&hsm.key("any"), &options(hsm.options()))
        .await
        .expect("the token")
}

/// A key that encrypts, made by the provider.
async fn made(hsm: &SoftHsm, label: &str) -> Arc<dyn KeyProvider> {
    let spec = KeySpec::default();
    admin(hsm)
        .await
        .create(&hsm.key(label), &spec)
        .await
        .expect("made");
    open(hsm, label).await
}

async fn made_signer(hsm: &SoftHsm, label: &str) -> Arc<dyn Signer> {
    let spec = KeySpec {
        purpose: KeyPurpose::SignP256,
        ..KeySpec::default()
    };
    admin(hsm)
        .await
        .create(&hsm.key(label), &spec)
        .await
        .expect("made");
    open_signer(hsm, label).await
}

/// A key that another program made.
fn generate(hsm: &SoftHsm, label: &str, id: &[u8], usage: &[Attribute]) {
    let mut template = vec![
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::ValueLen(32.into()),
        Attribute::Label(label.into()),
        Attribute::Id(id.to_vec()),
    ];
    template.extend_from_slice(usage);
    let session = hsm.session();
    session
        .generate_key(&Mechanism::AesKeyGen, &template)
        .expect("generated");
}

fn only_encrypts() -> [Attribute; 4] {
    [
        Attribute::Encrypt(true),
        Attribute::Decrypt(true),
        Attribute::Wrap(false),
        Attribute::Unwrap(false),
    ]
}

fn only_wraps() -> [Attribute; 4] {
    [
        Attribute::Encrypt(false),
        Attribute::Decrypt(false),
        Attribute::Wrap(true),
        Attribute::Unwrap(true),
    ]
}

fn context(namespace: &str) -> EncryptionContext {
    EncryptionContext::parse(format!(r#"{{"namespace":"{namespace}"}}"#).as_bytes())
        .expect("a context")
}

async fn wrap(key: &dyn KeyProvider) -> WrappedDek {
    key.wrap(&Dek::new([7; 32]), &context("a"))
        .await
        .expect("wrapped")
}

async fn unwrap(key: &dyn KeyProvider, wrapped: &WrappedDek) -> Result<[u8; 32], Kind> {
    let dek = key.unwrap(wrapped, &context("a")).await;
    dek.map(|dek| *dek.expose()).map_err(|error| error.kind())
}

#[test]
fn unwraps_nothing_but_what_it_wrapped_under_the_same_context() {
    isolated(
        "unwraps_nothing_but_what_it_wrapped_under_the_same_context",
        |hsm| async move {
            generate(&hsm, "gcm", b"\x01", &only_encrypts());
            generate(&hsm, "key-wrap", b"\x01", &only_wraps());
            generate(&hsm, "other", b"\x01", &only_encrypts());
            let other = open(&hsm, "other").await;
            for (label, method) in [("gcm", 1), ("key-wrap", 2)] {
                let key = open(&hsm, label).await;
                let wrapped = wrap(&*key).await;
                assert_eq!(wrapped.as_bytes()[..4], [1, method, 1, 1], "{label}");
                assert_eq!(unwrap(&*key, &wrapped).await, Ok([7; 32]));
                assert_ne!(wrap(&*key).await.as_bytes(), wrapped.as_bytes());

                for context in [context("b"), EncryptionContext::empty()] {
                    let error = key.unwrap(&wrapped, &context).await.expect_err("bound");
                    assert_eq!(error.kind(), Kind::InvalidCiphertext, "{label}: {error}");
                }
                assert!(unwrap(&*other, &wrapped).await.is_err());
                for position in 0..wrapped.as_bytes().len() {
                    let mut flipped = wrapped.as_bytes().to_vec();
                    flipped[position] ^= 1;
                    let answer = unwrap(&*key, &WrappedDek::new(flipped)).await;
                    assert_eq!(
                        answer,
                        Err(Kind::InvalidCiphertext),
                        "{label}, byte {position}"
                    );
                }
                for len in 0..wrapped.as_bytes().len() {
                    let cut = WrappedDek::new(wrapped.as_bytes()[..len].to_vec());
                    assert_eq!(
                        unwrap(&*key, &cut).await,
                        Err(Kind::InvalidCiphertext),
                        "{label}, {len} bytes"
                    );
                }
                // After all this the sessions are still good.
                assert_eq!(unwrap(&*key, &wrapped).await, Ok([7; 32]));
            }
        },
    );
}

#[test]
fn encrypts_directly_up_to_its_limit() {
    isolated("encrypts_directly_up_to_its_limit", |hsm| async move {
        generate(&hsm, "gcm", b"\x01", &only_encrypts());
        generate(&hsm, "key-wrap", b"\x01", &only_wraps());
        for label in ["gcm", "key-wrap"] {
            let key = open(&hsm, label).await;
            for len in [0, 1, key.max_plaintext()] {
                let plaintext = vec![5; len];
                let ciphertext = key.encrypt(&plaintext).await.expect("encrypted");
                assert_eq!(
                    *key.decrypt(&ciphertext).await.expect("decrypted"),
                    plaintext
                );
            }
            let error = key
                .encrypt(&vec![5; key.max_plaintext() + 1])
                .await
                .expect_err("too long");
            assert_eq!(error.kind(), Kind::Misconfigured);
            for foreign in [vec![], vec![1; 70], vec![0; 1 << 20]] {
                let error = key.decrypt(&foreign).await.expect_err("foreign");
                assert_eq!(error.kind(), Kind::InvalidCiphertext);
            }
        }
    });
}

#[test]
fn rotation_keeps_old_versions() {
    isolated("rotation_keeps_old_versions", |hsm| async move {
        let key = made(&hsm, "k").await;
        let first = key.describe().await.expect("described").primary_version;
        let old = wrap(&*key).await;
        let admin = admin(&hsm).await;
        admin.rotate(&hsm.key("k")).await.expect("rotated");

        let second = key.describe().await.expect("described").primary_version;
        assert_ne!(first, second);
        let new = wrap(&*key).await;
        assert_ne!(old.as_bytes()[3..19], new.as_bytes()[3..19]);
        assert_eq!(hex::encode(&new.as_bytes()[3..19]), second);
        for wrapped in [&old, &new] {
            assert_eq!(unwrap(&*key, wrapped).await, Ok([7; 32]));
        }
        let versions = admin.versions(&hsm.key("k")).await.expect("versions");
        let ids: Vec<_> = versions.iter().map(|version| version.id.clone()).collect();
        assert_eq!(ids, [second.clone(), first]);
        assert!(versions.iter().all(|version| version.created.is_some()));

        // A name with an id is one version only.
        let id = &old.as_bytes()[3..19];
        let encoded: Vec<_> = id.iter().map(|byte| format!("%{byte:02x}")).collect();
        let encoded = encoded.concat();
        let uri: KeyUri = format!("{};id={encoded}", hsm.key("k"))
            .parse()
            .expect("a key");
        let pinned = kms::open(&uri, &options(hsm.options()))
            .await
            .expect("a version");
        assert_eq!(unwrap(&*pinned, &old).await, Ok([7; 32]));
        assert_eq!(unwrap(&*pinned, &new).await, Err(Kind::InvalidCiphertext));
        assert_eq!(wrap(&*pinned).await.as_bytes()[3..19], *id);
    });
}

#[test]
fn versions_of_other_programs_are_ordered_by_their_ids() {
    isolated(
        "versions_of_other_programs_are_ordered_by_their_ids",
        |hsm| async move {
            for id in [&b"\x02"[..], b"\x10", b"\x01"] {
                generate(&hsm, "k", id, &only_encrypts());
            }
            let key = open(&hsm, "k").await;
            let old = wrap(&*key).await;
            assert_eq!(
                key.describe().await.expect("described").primary_version,
                "10"
            );
            admin(&hsm)
                .await
                .rotate(&hsm.key("k"))
                .await
                .expect("rotated");
            assert_ne!(
                key.describe().await.expect("described").primary_version,
                "10"
            );
            assert_eq!(unwrap(&*key, &old).await, Ok([7; 32]));
        },
    );
}

#[test]
fn survives_restarts_of_the_token_and_the_end_of_its_login() {
    isolated(
        "survives_restarts_of_the_token_and_the_end_of_its_login",
        |hsm| async move {
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
        },
    );
}

#[test]
fn many_calls_share_a_few_sessions() {
    isolated("many_calls_share_a_few_sessions", |hsm| async move {
        made(&hsm, "k").await;
        let few = Pkcs11Options {
            max_sessions: Some(3),
            ..hsm.options()
        };
        let key = kms::open(&hsm.key("k"), &options(few))
            .await
            .expect("a key");
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
    isolated("a_refused_pin_is_not_sent_twice", |hsm| async move {
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
    isolated("says_what_is_missing", |hsm| async move {
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
                let key = kms::open(&uri, &options).await?;
                key.describe().await.map(|_| panic!("{uri} is there"))
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
        let wrong_module = Pkcs11Options {
            module: Some("/etc/passwd".into()),
            ..hsm.options()
        };
        let absent_module = Pkcs11Options {
            module: Some("/nonexistent.so".into()),
            ..hsm.options()
        };
        for (pkcs11, text) in [
            (no_module, "PKCS11_MODULE"),
            (wrong_module, "cannot be loaded"),
            (absent_module, "no PKCS#11 module /nonexistent.so"),
        ] {
            let error = kms::open(&hsm.key("k"), &options(pkcs11))
                .await
                .expect_err("no module");
            assert_eq!(error.kind(), Kind::Misconfigured);
            assert!(error.to_string().contains(text), "{error}");
        }
        // Without a login the token shows no private object.
        hsm.session().logout().expect("logged out");
        let anonymous = Pkcs11Options {
            pin: None,
            ..hsm.options()
        };
        let key = kms::open(&hsm.key("k"), &options(anonymous))
            .await
            .expect("a key");
        let error = key.describe().await.expect_err("private");
        assert_eq!(error.kind(), Kind::KeyNotFound);
        assert!(error.to_string().contains("PIN"), "{error}");
    });
}

#[test]
fn versions_are_disabled_enabled_and_destroyed() {
    isolated(
        "versions_are_disabled_enabled_and_destroyed",
        |hsm| async move {
            generate(&hsm, "key-wrap", b"\x01", &only_wraps());
            made(&hsm, "gcm").await;
            let admin = admin(&hsm).await;
            for label in ["gcm", "key-wrap"] {
                let (key, uri) = (open(&hsm, label).await, hsm.key(label));
                let wrapped = wrap(&*key).await;
                let version = key.describe().await.expect("described").primary_version;

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
                assert_eq!(unwrap(&*key, &wrapped).await, Err(Kind::InvalidCiphertext));
                assert_eq!(admin.versions(&uri).await.expect("versions").len(), 1);
                let error = admin.disable(&uri, Some(&version)).await.expect_err("gone");
                assert_eq!(error.kind(), Kind::KeyNotFound);

                admin.destroy(&uri, None).await.expect("destroyed");
                assert_eq!(unwrap(&*key, &wrapped).await, Err(Kind::KeyNotFound));
            }
        },
    );
}

#[test]
fn signs_and_verifies() {
    isolated("signs_and_verifies", |hsm| async move {
        let key = made_signer(&hsm, "s").await;
        let other = made_signer(&hsm, "t").await;
        let old = key.sign(b"data").await.expect("signed");
        let offline = key.public_key(None).await.expect("a public key");
        assert!(offline.verify(b"data", &old));
        assert!(!offline.verify(b"Data", &old));

        let admin = admin(&hsm).await;
        admin.rotate(&hsm.key("s")).await.expect("rotated");
        let new = key.sign(b"data").await.expect("signed");
        assert_ne!(old.version, new.version);
        assert!(!offline.verify(b"data", &new), "another version");
        for signature in [&old, &new] {
            assert!(key.verify(b"data", signature).await.expect("told"));
            assert!(!key.verify(b"", signature).await.expect("told"));
            assert!(!other.verify(b"data", signature).await.expect("told"));
            for version in ["", "00", "no id"] {
                let version = Some(version.to_owned());
                let renamed = Signature {
                    version,
                    ..signature.clone()
                };
                assert!(!key.verify(b"data", &renamed).await.expect("told"));
            }
            for position in 0..signature.bytes.len() {
                let mut flipped = signature.clone();
                flipped.bytes[position] ^= 1;
                assert!(
                    !key.verify(b"data", &flipped).await.expect("told"),
                    "byte {position}"
                );
            }
        }

        let version = old.version.clone().expect("a version");
        admin
            .disable(&hsm.key("s"), Some(&version))
            .await
            .expect("disabled");
        let error = key.verify(b"data", &old).await.expect_err("disabled");
        assert_eq!(error.kind(), Kind::KeyDisabled);
        admin
            .destroy(&hsm.key("s"), Some(&version))
            .await
            .expect("destroyed");
        assert!(!key.verify(b"data", &old).await.expect("told"));
        let session = hsm.session();
        for class in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
            assert_eq!(SoftHsm::objects(&session, class, "s").len(), 1);
        }
    });
}

#[test]
fn keys_never_leave_the_token() {
    isolated("keys_never_leave_the_token", |hsm| async move {
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
    isolated("lists_and_describes_keys", |hsm| async move {
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
        kms::open(&listed[0].uri, &options(hsm.options()))
            .await
            .expect("a key")
            .describe()
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
    isolated("says_what_a_token_does_not_have", |hsm| async move {
        made(&hsm, "k").await;
        let (admin, key) = (admin(&hsm).await, hsm.key("k"));
        let specs = [
            KeySpec {
                purpose: KeyPurpose::SignEd25519,
                ..KeySpec::default()
            },
            KeySpec {
                protection: Some(Protection::Hsm),
                ..KeySpec::default()
            },
            KeySpec {
                rotation_period: Some(Duration::from_hours(24)),
                ..KeySpec::default()
            },
            KeySpec {
                labels: BTreeMap::from([("a".into(), "b".into())]),
                ..KeySpec::default()
            },
            KeySpec {
                multi_region: true,
                ..KeySpec::default()
            },
        ];
        for spec in specs {
            let error = admin
                .create(&hsm.key("new"), &spec)
                .await
                .expect_err("unsupported");
            assert_eq!(error.kind(), Kind::Unsupported, "{spec:?}");
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
        }
        admin.set_rotation(&key, None).await.expect("it has none");
    });
}

#[test]
fn a_codec_seals_and_opens_with_the_token() {
    isolated("a_codec_seals_and_opens_with_the_token", |hsm| async move {
        let key = made(&hsm, "k").await;
        for format in [Format::Envelope, Format::EnvelopeV1, Format::Direct] {
            let codec = Codec::builder(Namespace::new("default").expect("a namespace"))
                .encrypt_with(key.clone())
                .format(format)
                .build()
                .expect("a codec");
            let payload = Payload {
                data: b"\"secret\"".to_vec(),
                ..Payload::default()
            };
            let sealed = codec.encode(vec![payload.clone()]).await.expect("sealed");
            let name = String::from_utf8(sealed[0].metadata["kms-key"].clone()).expect("text");
            assert!(name.ends_with("token=tests;object=k"), "{name}");
            assert_eq!(codec.decode(sealed).await.expect("opened"), [payload]);
        }
    });
}

#[test]
fn a_configurations_uri_reaches_the_token_and_payloads_do_not_say_how() {
    isolated(
        "a_configurations_uri_reaches_the_token_and_payloads_do_not_say_how",
        |hsm| async move {
            made(&hsm, "k").await;
            let codec = Codec::from_env().await.expect("a codec");
            let sealed = codec
                .encode(vec![Payload::default()])
                .await
                .expect("sealed");
            let name = sealed[0].metadata["kms-key"].clone();
            assert_eq!(
                String::from_utf8(name).expect("text"),
                "pkcs11:token=tests;object=k"
            );
            assert_eq!(
                codec.decode(sealed.clone()).await.expect("opened"),
                [Payload::default()]
            );

            let mut hostile = sealed;
            let name = b"pkcs11:token=tests;object=k?module-path=/tmp/evil.so".to_vec();
            hostile[0].metadata.insert("kms-key".to_owned(), name);
            codec
                .decode(hostile)
                .await
                .expect_err("a query in a payload");
        },
    );
}

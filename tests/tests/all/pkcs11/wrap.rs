use super::*;

#[test]
fn unwraps_nothing_but_what_it_wrapped_under_the_same_context() {
    isolated(|hsm| async move {
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
            let refused = unwrap(&*other, &wrapped).await;
            assert_eq!(refused, Err(Kind::InvalidCiphertext), "{label}");
            for position in 0..wrapped.as_bytes().len() {
                let mut flipped = wrapped.as_bytes().to_vec();
                flipped[position] ^= 1;
                let answer = unwrap(&*key, &WrappedDek::new(flipped)).await;
                // These two are the length of the version's id, and the id.
                let refused = if [2, 3].contains(&position) {
                    Kind::KeyVersionGone
                } else {
                    Kind::InvalidCiphertext
                };
                assert_eq!(answer, Err(refused), "{label}, byte {position}");
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
    });
}

#[test]
fn encrypts_directly_up_to_its_limit() {
    isolated(|hsm| async move {
        generate(&hsm, "gcm", b"\x01", &only_encrypts());
        generate(&hsm, "key-wrap", b"\x01", &only_wraps());
        for label in ["gcm", "key-wrap"] {
            let key = open(&hsm, label).await;
            for len in [0, 1, key.limits().max_plaintext] {
                let plaintext = vec![5; len];
                let ciphertext = key.encrypt(&plaintext).await.expect("encrypted");
                assert_eq!(
                    *key.decrypt(&ciphertext).await.expect("decrypted"),
                    plaintext
                );
            }
            let error = key
                .encrypt(&vec![5; key.limits().max_plaintext + 1])
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
    isolated(|hsm| async move {
        let key = made(&hsm, "k").await;
        let first = key.check_usable().await.expect("described").primary_version;
        let old = wrap(&*key).await;
        let admin = admin(&hsm).await;
        admin.rotate(&hsm.key("k")).await.expect("rotated");

        let second = key.check_usable().await.expect("described").primary_version;
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
        let pinned = options(hsm.options()).key(&uri).await.expect("a version");
        assert_eq!(unwrap(&*pinned, &old).await, Ok([7; 32]));
        assert_eq!(unwrap(&*pinned, &new).await, Err(Kind::KeyVersionGone));
        assert_eq!(wrap(&*pinned).await.as_bytes()[3..19], *id);
    });
}

#[test]
fn versions_of_other_programs_are_ordered_by_their_ids() {
    isolated(|hsm| async move {
        for id in [&b"\x02"[..], b"\x10", b"\x01"] {
            generate(&hsm, "k", id, &only_encrypts());
        }
        let key = open(&hsm, "k").await;
        let old = wrap(&*key).await;
        assert_eq!(
            key.check_usable().await.expect("described").primary_version,
            "10"
        );
        admin(&hsm)
            .await
            .rotate(&hsm.key("k"))
            .await
            .expect("rotated");
        assert_ne!(
            key.check_usable().await.expect("described").primary_version,
            "10"
        );
        assert_eq!(unwrap(&*key, &old).await, Ok([7; 32]));
    });
}

#[test]
fn a_codec_seals_and_opens_with_the_token() {
    isolated(|hsm| async move {
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
    isolated(|hsm| async move {
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
    });
}

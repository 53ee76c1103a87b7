use super::*;

#[test]
fn signs_and_verifies() {
    isolated(|hsm| async move {
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

//! What moto does as AWS does it.

use std::{fs, time::Duration};

use integration_tests::moto::Moto;
use temporal_kms_codec::{
    Codec, Dek, EncryptionContext, KeyUri, Namespace, Payload, WrappedDek,
    kms::{
        KeyPurpose, KeyRole, KeySpec, ProviderError, ProviderErrorKind as Kind,
        aws::{AwsCredentials, AwsKms, AwsRole, WebIdentityToken},
    },
};

use super::{context, kms_options, open, options, uri};

const DAY: Duration = Duration::from_hours(24);

fn alias() -> KeyUri {
    uri("alias/workflows")
}

#[tokio::test]
async fn keys_wrap_by_alias_and_by_arn() {
    let moto = Moto::start();
    let options = options(moto.url());
    let kms = AwsKms::new(options.clone());
    let arn = kms
        .admin()
        .create(&alias(), &KeySpec::default())
        .await
        .unwrap()
        .uri;
    let alias_arn = format!(
        "{}:alias/workflows",
        arn.resource().split_once(":key/").unwrap().0
    );
    for name in [arn.resource(), "alias/workflows", &alias_arn] {
        let key = kms.key(&uri(name)).await.unwrap();
        let (dek, wrapped) = key.generate_dek(&context("a")).await.unwrap();
        assert_eq!(
            key.unwrap(&wrapped, &context("a")).await.unwrap().expose(),
            dek.expose()
        );
        let rewrapped = key.wrap(&Dek::new([7; 32]), &context("a")).await.unwrap();
        assert_eq!(
            key.unwrap(&rewrapped, &context("a"))
                .await
                .unwrap()
                .expose(),
            &[7; 32]
        );
        for other in [context("b"), EncryptionContext::empty()] {
            let error = key.unwrap(&wrapped, &other).await.unwrap_err();
            assert_eq!(error.kind(), Kind::InvalidCiphertext);
        }
        let nonsense = WrappedDek::new(vec![9; 180]);
        // moto answers a ciphertext whose key it does not find with a denial.
        let error = key.unwrap(&nonsense, &context("a")).await.unwrap_err();
        assert_eq!(error.kind(), Kind::PermissionDenied);
        let ciphertext = key.encrypt(&[5; 4096]).await.unwrap();
        assert_eq!(*key.decrypt(&ciphertext).await.unwrap(), [5; 4096]);
        assert_eq!(key.check_usable().await.unwrap().uri, uri(name));
    }
    let absent = open("alias/absent", options).await;
    assert_eq!(
        absent.check_usable().await.unwrap_err().kind(),
        Kind::KeyNotFound
    );
    assert_eq!(
        absent.generate_dek(&context("a")).await.unwrap_err().kind(),
        Kind::KeyNotFound
    );
}

#[tokio::test]
async fn a_codec_seals_and_opens() {
    let moto = Moto::start();
    let kms = AwsKms::new(options(moto.url()));
    kms.admin()
        .create(&alias(), &KeySpec::default())
        .await
        .unwrap();
    let codec = || async {
        let key = kms.key(&alias()).await.unwrap();
        let builder = Codec::builder(Namespace::new("a").unwrap()).encrypt_with(key);
        builder.build().unwrap()
    };
    let payload = Payload {
        data: b"x".to_vec(),
        ..Payload::default()
    };
    let writer = codec().await;
    writer.ready().await.unwrap();
    let sealed = writer.encode(vec![payload.clone(); 20]).await.unwrap();
    assert_eq!(writer.stats().wraps, 1);
    let reader = codec().await;
    assert_eq!(reader.decode(sealed).await.unwrap(), vec![payload; 20]);
    assert_eq!(reader.stats().unwraps, 1);
}

/// moto hashes a digest once more, so its signatures cannot be verified; its public keys are right.
#[tokio::test]
async fn a_signing_key_has_a_public_key() {
    let moto = Moto::start();
    let kms = AwsKms::new(options(moto.url()));
    let spec = KeySpec::default().with_purpose(KeyPurpose::SignP256);
    let made = kms.admin().create(&alias(), &spec).await.unwrap();
    assert_eq!(made.purpose, KeyPurpose::SignP256);
    let signer = kms.signer(&alias()).await.unwrap();
    let key = signer.public_key(None).await.unwrap();
    assert!(
        key.to_pem()
            .unwrap()
            .starts_with("-----BEGIN PUBLIC KEY-----")
    );
    let signature = signer.sign(b"data").await.unwrap();
    assert_eq!(signature.key, alias());
}

#[tokio::test]
async fn keys_are_looked_after() {
    let moto = Moto::start();
    let admin = AwsKms::new(options(moto.url())).admin();
    let spec = KeySpec::default()
        .with_rotation_period(Some(DAY * 90))
        .with_labels([("team".to_owned(), "platform".to_owned())].into());
    let made = admin.create(&alias(), &spec).await.unwrap();
    assert_eq!(made.labels, spec.labels);
    // moto rotates, but keeps no period: it is the default one.
    assert_eq!(made.rotation_period, Some(DAY * 365));
    let again = admin.create(&alias(), &spec).await.unwrap_err();
    assert_eq!(again.kind(), Kind::AlreadyExists);
    assert_eq!(admin.list(&alias()).await.unwrap().len(), 1);

    admin.rotate(&alias()).await.unwrap();
    let versions = admin.versions(&alias()).await.unwrap();
    let ids: Vec<_> = versions.iter().map(|version| version.id.as_str()).collect();
    assert_eq!(ids, ["2", "1"]);
    admin.set_rotation(&alias(), None).await.unwrap();
    assert_eq!(admin.details(&alias()).await.unwrap().rotation_period, None);
    // moto disables and deletes keys by their bare ids only; admin.rs does that elsewhere.
}

#[tokio::test]
async fn a_grant_is_given_once() {
    let moto = Moto::start();
    let admin = AwsKms::new(options(moto.url())).admin();
    admin.create(&alias(), &KeySpec::default()).await.unwrap();
    let worker = "arn:aws:iam::123456789012:role/worker";
    for role in [KeyRole::Encrypter, KeyRole::Decrypter] {
        assert!(
            admin.grant(&alias(), worker, role).await.unwrap(),
            "{role:?}"
        );
        assert!(
            !admin.grant(&alias(), worker, role).await.unwrap(),
            "{role:?}"
        );
    }
    let api = "arn:aws:iam::123456789012:role/api";
    assert!(
        admin
            .grant(&alias(), api, KeyRole::Encrypter)
            .await
            .unwrap()
    );
    for (member, role) in [
        (worker, KeyRole::Signer),
        ("worker@example.com", KeyRole::Decrypter),
    ] {
        let error = admin.grant(&alias(), member, role).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured);
    }
}

#[tokio::test]
async fn a_grant_is_listed_and_revoked() {
    let moto = Moto::start();
    let admin = AwsKms::new(options(moto.url())).admin();
    let key = alias();
    admin.create(&key, &KeySpec::default()).await.unwrap();
    let worker = "arn:aws:iam::123456789012:role/worker";
    for role in [KeyRole::Encrypter, KeyRole::Decrypter] {
        admin.grant(&key, worker, role).await.unwrap();
    }
    let prod = context("prod");
    let granted = admin.grant_for_context(&key, worker, KeyRole::Decrypter, &prod);
    // The grant without a context permits the same already.
    assert!(!granted.await.unwrap());
    let roles = async || {
        let listed = admin.grants(&key).await.unwrap().grants;
        assert!(listed.iter().any(|grant| grant.source == "key policy"));
        let of_worker = listed.into_iter().filter(|grant| grant.member == worker);
        of_worker.filter_map(|grant| grant.role).collect::<Vec<_>>()
    };
    assert_eq!(roles().await, [KeyRole::Encrypter, KeyRole::Decrypter]);
    for (role, left) in [
        (KeyRole::Encrypter, vec![KeyRole::Decrypter]),
        (KeyRole::Decrypter, vec![]),
    ] {
        assert!(admin.revoke(&key, worker, role).await.unwrap());
        assert!(!admin.revoke(&key, worker, role).await.unwrap());
        assert_eq!(roles().await, left);
    }
}

#[tokio::test]
async fn a_token_is_exchanged_for_a_session() {
    let moto = Moto::start();
    let admin = AwsKms::new(options(moto.url())).admin();
    admin.create(&alias(), &KeySpec::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    fs::write(&path, "eyJhbGciOiJSUzI1NiJ9.e30.c2ln").unwrap();
    let role = AwsRole::new("arn:aws:iam::123456789012:role/keys");
    let token = WebIdentityToken::File(path);
    let options = options(moto.url())
        .with_credentials(AwsCredentials::WebIdentity {
            role: role.clone(),
            token,
        })
        .with_role(role);
    let key = open("alias/workflows", options).await;
    key.generate_dek(&context("a")).await.unwrap();
}

#[tokio::test]
async fn whoever_iam_does_not_know_is_denied() {
    let moto = Moto::start_with(&[("INITIAL_NO_AUTH_ACTION_COUNT", "0")]);
    let key = open("alias/workflows", options(moto.url())).await;
    // moto calls an unknown access key a token that is not valid.
    let is_denied = |error: &ProviderError| {
        [Kind::PermissionDenied, Kind::Misconfigured].contains(&error.kind())
    };
    let error = key.check_usable().await.unwrap_err();
    assert!(is_denied(&error), "{error}");
    let admin = kms_options(options(moto.url()))
        .admin(&alias())
        .await
        .unwrap();
    let error = admin.list(&alias()).await.unwrap_err();
    assert!(is_denied(&error), "{error}");
}

use std::{collections::BTreeMap, fs, time::Duration};

use super::{AES_GCM, VALUE, keyring, mode, says_what_to_do, tink_keyset, write};
use temporal_kms::{
    Dek, EncryptionContext, KeyAdmin as _, KeyPurpose, KeyRole, KeySpec, KeyState, KeyUri,
    Protection, ProviderError, ProviderErrorKind as Kind,
};

fn uri(name: &str) -> KeyUri {
    format!("local://{name}").parse().unwrap()
}

#[tokio::test]
async fn makes_lists_and_describes_keys_of_each_purpose() {
    let (_folder, keyring) = keyring();
    let error = keyring.list(&uri("x")).await.unwrap_err();
    assert!(error.is_key_missing(), "{error}");
    let folder = keyring.folder.display();
    assert_eq!(
        error.to_string(),
        format!("no keyring {folder}; correct the name of the folder")
    );
    for (name, purpose) in [
        ("c", KeyPurpose::Encrypt),
        ("b", KeyPurpose::SignP256),
        ("a", KeyPurpose::SignEd25519),
    ] {
        let spec = KeySpec::default().with_purpose(purpose);
        let made = keyring.create(&uri(name), &spec).await.unwrap();
        assert_eq!(made.purpose, purpose);
        assert_eq!(made.protection, Protection::File);
        assert_eq!(made, keyring.details(&uri(name)).await.unwrap());
        assert_eq!(mode(&keyring.folder.join(format!("{name}.json"))), 0o600);

        let again = keyring.create(&uri(name), &spec).await.unwrap_err();
        assert!(again.to_string().contains("already"), "{again}");
    }
    // A change leaves a lock file, which is not a key.
    keyring.rotate("c").unwrap();
    let listed = keyring.list(&uri("x")).await.unwrap();
    let names: Vec<_> = listed.iter().map(|key| key.uri.resource()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    let error = keyring.details(&uri("absent")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::KeyNotFound);
}

#[tokio::test]
async fn versions_are_disabled_enabled_and_destroyed() {
    let (_folder, keyring) = keyring();
    let key = keyring.key_or_create("k").unwrap();
    let context = EncryptionContext::empty();
    let wrapped = key.wrap(&Dek::new([1; 32]), &context).await.unwrap();
    let old = keyring.versions(&uri("k")).await.unwrap().remove(0).id;
    keyring.rotate(uri("k").resource()).unwrap();
    let [new, second] = keyring
        .versions(&uri("k"))
        .await
        .unwrap()
        .try_into()
        .unwrap();
    assert_eq!(second.id, old);
    assert_eq!(new.state, KeyState::Enabled);

    let kind =
        |result: Result<Dek, temporal_kms::ProviderError>| result.map_err(|e| e.kind()).err();
    keyring.disable(&uri("k"), Some(&old)).await.unwrap();
    assert_eq!(
        kind(key.unwrap(&wrapped, &context).await),
        Some(Kind::KeyDisabled)
    );
    keyring.enable(&uri("k"), Some(&old)).await.unwrap();
    assert_eq!(kind(key.unwrap(&wrapped, &context).await), None);
    assert_eq!(keyring.destroy(&uri("k"), Some(&old)).await.unwrap(), None);
    let error = key.unwrap(&wrapped, &context).await.unwrap_err();
    assert_eq!(error.kind(), Kind::KeyVersionGone);
    assert!(error.to_string().contains("may be destroyed"), "{error}");
    let remedy =
        "add this version to the keyset from a backup, and keep the versions that it has now";
    assert_eq!(error.remedy(), remedy);

    let versions = keyring.versions(&uri("k")).await.unwrap();
    assert_eq!(versions, [new]);
    let error = keyring.enable(&uri("k"), Some(&old)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::KeyNotFound);
}

#[tokio::test]
async fn a_destroyed_keys_material_is_gone_from_the_file() {
    let (_folder, keyring) = keyring();
    write(
        &keyring,
        "k",
        &tink_keyset("ENABLED", "TINK", AES_GCM, VALUE),
        0o600,
    );
    keyring.rotate("k").unwrap();
    let file = || fs::read_to_string(keyring.folder.join("k.json")).unwrap();
    assert!(file().contains(VALUE));
    keyring.destroy(&uri("k"), Some("7")).await.unwrap();
    assert!(!file().contains(VALUE));
}

#[tokio::test]
async fn the_primary_version_stays() {
    let (_folder, keyring) = keyring();
    keyring.key_or_create("k").unwrap();
    let primary = keyring
        .details(&uri("k"))
        .await
        .unwrap()
        .primary
        .unwrap()
        .id;
    let before = fs::read(keyring.folder.join("k.json")).unwrap();
    for error in [
        keyring
            .disable(&uri("k"), Some(&primary))
            .await
            .unwrap_err(),
        keyring
            .destroy(&uri("k"), Some(&primary))
            .await
            .unwrap_err(),
        keyring.destroy(&uri("k"), None).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), Kind::Misconfigured, "{error}");
        says_what_to_do(&error);
    }
    let remedy = |error: ProviderError| error.remedy().to_owned();
    for unnamed in [
        keyring.disable(&uri("k"), None).await,
        keyring.enable(&uri("k"), None).await,
    ] {
        assert_eq!(remedy(unnamed.unwrap_err()), "name a version");
    }
    let unnamed = keyring.destroy(&uri("k"), None).await.unwrap_err();
    assert!(remedy(unnamed).contains("delete the keyset's file"));
    let error = keyring.disable(&uri("k"), Some("no id")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::KeyNotFound);
    assert!(!error.is_key_missing(), "{error}");
    assert_eq!(fs::read(keyring.folder.join("k.json")).unwrap(), before);
}

#[tokio::test]
async fn says_what_a_keyset_does_not_have() {
    let (_folder, keyring) = keyring();
    keyring.key_or_create("k").unwrap();
    let specs = [
        KeySpec::default().with_protection(Some(Protection::Hsm)),
        KeySpec::default().with_rotation_period(Some(Duration::from_hours(24))),
        KeySpec::default().with_labels(BTreeMap::from([("team".into(), "a".into())])),
        KeySpec::default().with_multi_region(true),
    ];
    for spec in specs {
        let error = keyring.create(&uri("new"), &spec).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported, "{spec:?}");
        says_what_to_do(&error);
    }
    let day = Some(Duration::from_hours(24));
    let key = uri("k");
    for error in [
        keyring.set_rotation(&key, day).await.unwrap_err(),
        keyring.replicate(&key, "eu").await.unwrap_err(),
        keyring
            .grant(&key, "me", KeyRole::Signer)
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), Kind::Unsupported, "{error}");
        says_what_to_do(&error);
    }
    keyring.set_rotation(&key, None).await.unwrap();
}

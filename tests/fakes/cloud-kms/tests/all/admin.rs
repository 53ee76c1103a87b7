//! Looking after keys at the emulator.

use std::time::{Duration, SystemTime};

use fake_cloud_kms::{Emulator, Options};
use temporal_kms_codec::{
    Dek,
    kms::{
        KeyPurpose, KeyRole, KeySpec, KeyState, Protection, ProviderErrorKind as Kind,
        RotationPolicy,
    },
};

use crate::common::{Cloud, context, kind, options, uri};

const DAY: Duration = Duration::from_hours(24);
const MEMBER: &str = "serviceAccount:worker@p.iam.gserviceaccount.com";

fn rotating() -> KeySpec {
    KeySpec::default()
        .with_protection(Some(Protection::Hsm))
        .with_rotation_period(Some(90 * DAY))
        .with_labels([("team".to_owned(), "workflows".to_owned())].into())
}

#[tokio::test]
async fn makes_a_key_and_its_ring() {
    let cloud = Cloud::start().await;
    let admin = cloud.admin().await;
    let made = admin.create(&uri("k"), &rotating()).await.unwrap();
    assert_eq!(made.uri, uri("k"));
    assert_eq!(made.purpose, KeyPurpose::Encrypt);
    assert_eq!(made.protection, Protection::Hsm);
    assert_eq!(made.rotation_period, Some(90 * DAY));
    assert_eq!(made.labels["team"], "workflows");
    assert_eq!(made.primary.as_ref().unwrap().state, KeyState::Enabled);
    let until = made
        .next_rotation
        .unwrap()
        .duration_since(SystemTime::now())
        .unwrap();
    assert!(until > 89 * DAY && until <= 90 * DAY, "{until:?}");
    assert_eq!(admin.details(&uri("k")).await.unwrap(), made);
    assert!(!RotationPolicy::default().should_rotate(&made, SystemTime::now()));

    assert_eq!(
        kind(admin.create(&uri("k"), &rotating()).await),
        Kind::AlreadyExists
    );
    cloud.create("second", KeySpec::default()).await;
    cloud.signer("signer").await;
    let listed = admin.list(&uri("not-there")).await.unwrap();
    let names: Vec<_> = listed
        .iter()
        .map(|key| (key.uri.clone(), key.purpose))
        .collect();
    assert_eq!(
        names,
        [
            (uri("k"), KeyPurpose::Encrypt),
            (uri("second"), KeyPurpose::Encrypt),
            (uri("signer"), KeyPurpose::SignP256),
        ]
    );
    assert_eq!(
        kind(admin.details(&uri("missing")).await),
        Kind::KeyNotFound
    );
}

#[tokio::test]
async fn a_ring_that_others_made_is_enough() {
    let cloud = Cloud::start().await;
    cloud.create("first", KeySpec::default()).await;
    cloud.misbehave("deny@CreateKeyRing");
    cloud.create("second", KeySpec::default()).await;

    let bare = Cloud::start().await;
    bare.misbehave("deny@CreateKeyRing");
    let made = bare
        .admin()
        .await
        .create(&uri("k"), &KeySpec::default())
        .await;
    assert_eq!(kind(made), Kind::PermissionDenied);
}

#[tokio::test]
async fn the_service_rotates_by_the_schedule() {
    let cloud = Cloud::start().await;
    let admin = cloud.admin().await;
    cloud.create("k", rotating()).await;
    let key = cloud.open("k").await;
    let old = key.wrap(&Dek::new([1; 32]), &context("a")).await.unwrap();
    cloud.emulator.advance(91 * DAY);
    assert_eq!(key.check_usable().await.unwrap().primary_version, "2");
    assert!(key.unwrap(&old, &context("a")).await.is_ok());

    admin.set_rotation(&uri("k"), None).await.unwrap();
    let details = admin.details(&uri("k")).await.unwrap();
    assert_eq!(
        (details.rotation_period, details.next_rotation),
        (None, None)
    );
    cloud.emulator.advance(1000 * DAY);
    assert_eq!(key.check_usable().await.unwrap().primary_version, "2");
    assert_eq!(
        kind(admin.set_rotation(&uri("k"), Some(DAY / 2)).await),
        Kind::Misconfigured
    );
}

#[tokio::test]
async fn versions_come_and_go() {
    let cloud = Cloud::start().await;
    let admin = cloud.admin().await;
    cloud.create("k", KeySpec::default()).await;
    admin.rotate(&uri("k")).await.unwrap();
    admin.disable(&uri("k"), Some("1")).await.unwrap();
    let states = async || {
        let versions = admin.versions(&uri("k")).await.unwrap();
        versions
            .into_iter()
            .map(|version| (version.id, version.state))
            .collect::<Vec<_>>()
    };
    let named = |id: &str, state| (id.to_owned(), state);
    assert_eq!(
        states().await,
        [
            named("2", KeyState::Enabled),
            named("1", KeyState::Disabled)
        ]
    );
    let when = admin.destroy(&uri("k"), Some("1")).await.unwrap().unwrap();
    assert!(when > SystemTime::now() + 29 * DAY);
    assert_eq!(states().await[1].1, KeyState::DestroyScheduled);
    admin.enable(&uri("k"), Some("1")).await.unwrap();
    assert_eq!(
        states().await[1].1,
        KeyState::Enabled,
        "destruction was taken back"
    );
    admin.destroy(&uri("k"), Some("1")).await.unwrap();
    cloud.emulator.advance(31 * DAY);
    assert_eq!(states().await[1].1, KeyState::Destroyed);
    assert_eq!(
        kind(admin.enable(&uri("k"), Some("1")).await),
        Kind::KeyDisabled
    );

    for version in [None, Some("x"), Some("9")] {
        let refused = [
            admin.disable(&uri("k"), version).await.unwrap_err(),
            admin.enable(&uri("k"), version).await.unwrap_err(),
            admin.destroy(&uri("k"), version).await.unwrap_err(),
        ];
        for error in refused {
            assert!(!error.is_key_missing(), "{version:?}: {error}");
        }
    }
    let error = admin.set_primary(&uri("k"), "9").await.unwrap_err();
    assert!(!error.is_key_missing(), "{error}");
    // Cloud KMS answers the same for a key that does not exist.
    for error in [
        admin.disable(&uri("none"), Some("1")).await.unwrap_err(),
        admin.enable(&uri("none"), Some("1")).await.unwrap_err(),
        admin.destroy(&uri("none"), Some("1")).await.unwrap_err(),
        admin.set_primary(&uri("none"), "1").await.unwrap_err(),
    ] {
        assert!(error.is_key_missing(), "{error}");
    }
    assert_eq!(
        kind(admin.replicate(&uri("k"), "us").await),
        Kind::Unsupported
    );
}

#[tokio::test]
async fn grants_once_and_beside_other_changes() {
    let cloud = Cloud::start().await;
    let admin = cloud.admin().await;
    cloud.create("k", KeySpec::default()).await;
    let roles = [
        KeyRole::Encrypter,
        KeyRole::Decrypter,
        KeyRole::Signer,
        KeyRole::Verifier,
    ];
    for role in roles {
        assert!(admin.grant(&uri("k"), MEMBER, role).await.unwrap());
        assert!(!admin.grant(&uri("k"), MEMBER, role).await.unwrap());
    }
    let writes = |cloud: &Cloud| {
        let calls = cloud.emulator.calls();
        calls
            .iter()
            .filter(|call| call.rpc == "SetIamPolicy")
            .count()
    };
    let before = writes(&cloud);
    cloud.misbehave("status=409*2@SetIamPolicy");
    let other = "user:ops@example.com";
    assert!(
        admin
            .grant(&uri("k"), other, KeyRole::Encrypter)
            .await
            .unwrap()
    );
    assert_eq!(
        writes(&cloud),
        before + 3,
        "read and written again after each conflict"
    );
    cloud.misbehave("status=409@SetIamPolicy");
    let lost = admin
        .grant(&uri("k"), "user:a@example.com", KeyRole::Encrypter)
        .await;
    assert_eq!(kind(lost), Kind::Unavailable);
    cloud.behave();
    let nobody = admin.grant(&uri("k"), "nobody", KeyRole::Encrypter).await;
    assert_eq!(kind(nobody), Kind::Misconfigured);

    // At the same time, and nobody's grant is lost.
    let members: Vec<String> = (0..4).map(|n| format!("user:{n}@example.com")).collect();
    let grants = members.iter().map(|member| {
        let (admin, member) = (admin.clone(), member.clone());
        tokio::spawn(async move { admin.grant(&uri("k"), &member, KeyRole::Decrypter).await })
    });
    for grant in grants.collect::<Vec<_>>() {
        assert!(grant.await.unwrap().unwrap());
    }
    for member in &members {
        assert!(
            !admin
                .grant(&uri("k"), member, KeyRole::Decrypter)
                .await
                .unwrap()
        );
    }
}

#[tokio::test]
async fn a_signer_gets_all_that_signing_takes() {
    let cloud = Cloud::start().await;
    let admin = cloud.admin().await;
    let spec = KeySpec::default().with_purpose(KeyPurpose::SignP256);
    cloud.create("s", spec).await;
    let roles = async || {
        let url = format!(
            "{}/v1/{}:getIamPolicy",
            cloud.emulator.url(),
            uri("s").resource()
        );
        let policy = reqwest::get(url).await.unwrap().text().await.unwrap();
        let policy: serde_json::Value = serde_json::from_str(&policy).unwrap();
        let bindings = policy["bindings"].as_array().unwrap().iter();
        let mut roles: Vec<_> = bindings
            .map(|binding| {
                assert_eq!(binding["members"], serde_json::json!([MEMBER]));
                binding["role"].as_str().unwrap().to_owned()
            })
            .collect();
        roles.sort();
        roles
    };
    assert!(
        admin
            .grant(&uri("s"), MEMBER, KeyRole::Signer)
            .await
            .unwrap()
    );
    assert_eq!(
        roles().await,
        ["roles/cloudkms.signer", "roles/cloudkms.viewer"]
    );
    assert!(
        !admin
            .grant(&uri("s"), MEMBER, KeyRole::Signer)
            .await
            .unwrap()
    );
    assert!(
        admin
            .grant(&uri("s"), MEMBER, KeyRole::Verifier)
            .await
            .unwrap()
    );
    assert_eq!(
        roles().await,
        [
            "roles/cloudkms.publicKeyViewer",
            "roles/cloudkms.signer",
            "roles/cloudkms.viewer"
        ]
    );
    let within = admin
        .grant_for_context(&uri("s"), MEMBER, KeyRole::Signer, &context("a"))
        .await;
    assert_eq!(kind(within), Kind::Unsupported);
}

#[tokio::test]
async fn keys_survive_in_the_state_file() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.json");
    let start = async || {
        let state = Some(file.clone());
        let options = Options {
            state,
            ..Options::default()
        };
        Emulator::start(options).await.unwrap()
    };
    let emulator = start().await;
    let reach = options(&emulator.url());
    let admin = reach.admin(&uri("k")).await.unwrap();
    admin.create(&uri("k"), &rotating()).await.unwrap();
    let key = reach.key(&uri("k")).await.unwrap();
    let wrapped = key.wrap(&Dek::new([5; 32]), &context("a")).await.unwrap();
    admin
        .grant(&uri("k"), MEMBER, KeyRole::Encrypter)
        .await
        .unwrap();
    drop(emulator);
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    let emulator = start().await;
    let reach = options(&emulator.url());
    let key = reach.key(&uri("k")).await.unwrap();
    assert_eq!(
        key.unwrap(&wrapped, &context("a")).await.unwrap().expose(),
        &[5; 32]
    );
    let admin = reach.admin(&uri("k")).await.unwrap();
    assert_eq!(
        admin.details(&uri("k")).await.unwrap().rotation_period,
        Some(90 * DAY)
    );
    assert!(
        !admin
            .grant(&uri("k"), MEMBER, KeyRole::Encrypter)
            .await
            .unwrap()
    );
}

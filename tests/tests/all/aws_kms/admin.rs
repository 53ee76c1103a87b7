use std::{sync::Arc, time::Duration};

use fake_aws_kms::Fault;
use temporal_kms_codec::{
    EncryptionContext, KeyUri,
    kms::{
        KeyAdmin, KeyPurpose, KeyRole, KeySpec, KeyState, Protection, ProviderErrorKind as Kind,
        RotationPolicy, aws::AwsOptions,
    },
};

use super::{HOME, context, kms_options, open, options, scripted, uri};

const DAY: Duration = Duration::from_hours(24);

async fn admin(key: &KeyUri, aws: AwsOptions) -> Arc<dyn KeyAdmin> {
    kms_options(aws).admin(key).await.expect("an admin")
}

fn alias() -> KeyUri {
    uri("alias/workflows")
}

#[tokio::test]
async fn a_key_is_made_by_its_alias_with_everything_that_was_asked_for() {
    let (_account, server) = scripted().await;
    let admin = admin(&alias(), options(server.url())).await;
    let spec = KeySpec {
        protection: Some(Protection::Hsm),
        rotation_period: Some(DAY * 90),
        labels: [("team".to_owned(), "platform".to_owned())].into(),
        multi_region: true,
        ..KeySpec::default()
    };
    let made = admin.create(&alias(), &spec).await.unwrap();
    assert!(
        made.uri.resource().starts_with("arn:aws:kms:eu-west-1:"),
        "{made:?}"
    );
    assert!(made.uri.resource().contains("key/mrk-"), "{made:?}");
    assert_eq!(made.purpose, KeyPurpose::Encrypt);
    assert_eq!(made.protection, Protection::Hsm);
    assert_eq!(made.rotation_period, Some(DAY * 90));
    assert_eq!(
        made.next_rotation,
        made.created.map(|created| created + DAY * 90)
    );
    assert_eq!(made.labels, spec.labels);
    assert_eq!(admin.details(&alias()).await.unwrap(), made);
    let listed = admin.list(&alias()).await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&made));

    let again = admin.create(&alias(), &spec).await.unwrap_err();
    assert_eq!(again.kind(), Kind::AlreadyExists);
    assert_eq!(server.count("CreateKey"), 1);
    let key = open("alias/workflows", options(server.url())).await;
    key.generate_dek(&context("a")).await.unwrap();
}

#[tokio::test]
async fn a_key_that_got_no_alias_is_not_left_behind() {
    let (_account, server) = scripted().await;
    let admin = admin(&alias(), options(server.url())).await;
    server.fail("CreateAlias", Fault::Error("AccessDeniedException"), 1);
    let error = admin
        .create(&alias(), &KeySpec::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::PermissionDenied);
    assert!(error.to_string().contains("kms:CreateAlias"), "{error}");
    let left = &admin.list(&alias()).await.unwrap()[0];
    let primary = left.primary.as_ref().unwrap();
    assert_eq!(primary.state, KeyState::DestroyScheduled);
}

#[tokio::test]
async fn what_aws_cannot_make_is_refused_before_any_call() {
    let (_account, server) = scripted().await;
    let admin = admin(&alias(), options(server.url())).await;
    let named = uri("arn:aws:kms:eu-west-1:111122223333:key/mine");
    let sign = |rotation_period, purpose| KeySpec {
        rotation_period,
        purpose,
        ..KeySpec::default()
    };
    for (key, spec, kind) in [
        (named, KeySpec::default(), Kind::Misconfigured),
        (
            alias(),
            sign(Some(DAY * 89), KeyPurpose::Encrypt),
            Kind::Misconfigured,
        ),
        (
            alias(),
            sign(Some(DAY * 90), KeyPurpose::SignP256),
            Kind::Unsupported,
        ),
        (
            alias(),
            sign(None, KeyPurpose::SignEd25519),
            Kind::Unsupported,
        ),
        (
            alias(),
            KeySpec {
                protection: Some(Protection::Software),
                ..KeySpec::default()
            },
            Kind::Unsupported,
        ),
    ] {
        assert_eq!(admin.create(&key, &spec).await.unwrap_err().kind(), kind);
    }
    assert!(server.calls().is_empty());
}

#[tokio::test]
async fn rotations_are_the_versions_of_a_key() {
    let (account, server) = scripted().await;
    let key = uri(&account.symmetric_key(HOME));
    let admin = admin(&key, options(server.url())).await;
    let first = admin.versions(&key).await.unwrap();
    assert_eq!(first.len(), 1);
    admin.rotate(&key).await.unwrap();
    admin.rotate(&key).await.unwrap();

    let versions = admin.versions(&key).await.unwrap();
    assert_eq!(versions.len(), 3);
    assert_eq!(versions[2], first[0], "the newest comes first");
    assert!(versions.is_sorted_by(|newer, older| newer.created > older.created));
    let details = admin.details(&key).await.unwrap();
    assert_eq!(details.primary.as_ref(), versions.first());
    assert_eq!(details.created, first[0].created);

    admin.set_rotation(&key, Some(DAY * 180)).await.unwrap();
    assert_eq!(
        admin.details(&key).await.unwrap().rotation_period,
        Some(DAY * 180)
    );
    admin.set_rotation(&key, None).await.unwrap();
    assert_eq!(admin.details(&key).await.unwrap().rotation_period, None);

    let signing = uri(&account.signing_key(HOME));
    assert_eq!(admin.versions(&signing).await.unwrap().len(), 1);
    assert_eq!(
        admin.rotate(&signing).await.unwrap_err().kind(),
        Kind::Unsupported
    );
}

#[tokio::test]
async fn a_key_goes_out_of_use_and_comes_back() {
    let (account, server) = scripted().await;
    let arn = account.symmetric_key(HOME);
    let uri = uri(&arn);
    let options = options(server.url()).with_deletion_window_days(7);
    let admin = admin(&uri, options.clone()).await;
    let key = open(&arn, options).await;
    let (_, wrapped) = key.generate_dek(&context("a")).await.unwrap();
    let kind = async || {
        key.unwrap(&wrapped, &context("a"))
            .await
            .err()
            .map(|error| error.kind())
    };

    admin.disable(&uri, None).await.unwrap();
    assert_eq!(kind().await, Some(Kind::KeyDisabled));
    admin.enable(&uri, None).await.unwrap();
    assert_eq!(kind().await, None);

    let at = admin.destroy(&uri, None).await.unwrap().unwrap();
    let created = admin.details(&uri).await.unwrap().created.unwrap();
    assert_eq!(at, created + DAY * 7);
    assert_eq!(kind().await, Some(Kind::KeyDisabled));
    admin.enable(&uri, None).await.unwrap();
    assert_eq!(kind().await, None);

    let version = admin.destroy(&uri, Some("1")).await.unwrap_err();
    assert_eq!(version.kind(), Kind::Unsupported);
}

#[tokio::test]
async fn a_multi_region_key_gets_a_replica_that_opens_the_same() {
    let (account, server) = scripted().await;
    let away = account.serve("us-west-2").await.unwrap();
    let arn = account.multi_region_key(&[HOME]);
    let admin = admin(&uri(&arn), options(server.url())).await;
    let replica = admin.replicate(&uri(&arn), "us-west-2").await.unwrap();
    assert_eq!(replica, uri(&arn.replace(HOME, "us-west-2")));

    let key = open(&arn, options(server.url())).await;
    let there = open(replica.resource(), options(away.url())).await;
    let (dek, wrapped) = key.generate_dek(&context("a")).await.unwrap();
    assert_eq!(
        there
            .unwrap(&wrapped, &context("a"))
            .await
            .unwrap()
            .expose(),
        dek.expose()
    );

    let again = admin.replicate(&uri(&arn), "us-west-2").await.unwrap_err();
    assert_eq!(again.kind(), Kind::AlreadyExists);
    let single = uri(&account.symmetric_key(HOME));
    assert_eq!(
        admin
            .replicate(&single, "us-west-2")
            .await
            .unwrap_err()
            .kind(),
        Kind::Unsupported
    );
}

#[tokio::test]
async fn keys_that_the_caller_may_not_see_are_left_out_of_the_list() {
    let (account, server) = scripted().await;
    let keys = [account.symmetric_key(HOME), account.signing_key(HOME)];
    let admin = admin(&uri(&keys[0]), options(server.url())).await;
    assert_eq!(admin.list(&uri(&keys[0])).await.unwrap().len(), 2);
    server.fail("DescribeKey", Fault::Error("AccessDeniedException"), 1);
    assert_eq!(admin.list(&uri(&keys[0])).await.unwrap().len(), 1);
    server.fail("DescribeKey", Fault::Status(503), 1);
    assert_eq!(
        admin.list(&uri(&keys[0])).await.unwrap_err().kind(),
        Kind::Unavailable
    );
}

/// The policy of a caller that may use and look at a key by its alias alone (`kms:RequestAlias`).
#[tokio::test]
async fn a_key_is_described_by_its_alias_where_nothing_else_is_permitted() {
    let (account, server) = scripted().await;
    let arn = account.symmetric_key(HOME);
    account.alias(HOME, "alias/workflows", &arn);
    let admin = admin(&alias(), options(server.url())).await;
    for operation in [
        "ListKeyRotations",
        "ListResourceTags",
        "GetKeyRotationStatus",
    ] {
        server.fail(operation, Fault::Error("AccessDeniedException"), usize::MAX);
    }
    admin.set_rotation(&alias(), Some(DAY * 90)).await.unwrap();
    let details = admin.details(&alias()).await.unwrap();
    assert_eq!(details.uri, uri(&arn));
    let primary = details.primary.as_ref().unwrap();
    assert_eq!((primary.state, primary.created), (KeyState::Enabled, None));
    assert!(details.labels.is_empty());
    let later = details.created.unwrap() + DAY * 1000;
    assert!(
        !RotationPolicy::default().should_rotate(&details, later),
        "its age is unknown"
    );
    let described: Vec<_> = server
        .calls()
        .into_iter()
        .filter(|call| call.operation == "DescribeKey")
        .map(|call| call.input["KeyId"].clone())
        .collect();
    assert!(
        described.iter().all(|name| name == "alias/workflows"),
        "{described:?}"
    );
    assert_eq!(
        admin.versions(&alias()).await.unwrap_err().kind(),
        Kind::PermissionDenied,
        "a list that is asked for is not made up"
    );
}

#[tokio::test]
async fn a_grant_is_tied_to_a_namespace() {
    let (account, server) = scripted().await;
    let key = uri(&account.symmetric_key(HOME));
    let admin = admin(&key, options(server.url())).await;
    let member = "arn:aws:iam::111122223333:role/worker";
    let within = |namespace: &str| {
        let pairs = [("namespace".to_owned(), namespace.to_owned())];
        EncryptionContext::new(pairs.into()).unwrap()
    };
    let grant = async |namespace: &str| {
        admin
            .grant_for_context(&key, member, KeyRole::Decrypter, &within(namespace))
            .await
            .unwrap()
    };
    assert!(grant("prod").await);
    let created = server
        .calls()
        .into_iter()
        .rfind(|call| call.operation == "CreateGrant");
    let constraints = &created.unwrap().input["Constraints"];
    assert_eq!(constraints["EncryptionContextSubset"]["namespace"], "prod");
    assert!(!grant("prod").await, "it is granted already");
    assert!(grant("test").await, "another namespace is another grant");

    assert!(admin.grant(&key, member, KeyRole::Decrypter).await.unwrap());
    assert!(!grant("dev").await, "every namespace is permitted by now");

    let signing = uri(&account.signing_key(HOME));
    let error = admin
        .grant_for_context(&signing, member, KeyRole::Signer, &within("prod"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(error.to_string().contains("signing has no"), "{error}");
}

#[tokio::test]
async fn what_the_environment_asks_of_new_keys_is_done() {
    let (_account, server) = scripted().await;
    let created = |server: &fake_aws_kms::Server| {
        let calls = server.calls().into_iter();
        let made: Vec<_> = calls.filter(|call| call.operation == "CreateKey").collect();
        made.last().unwrap().input.clone()
    };
    let multi_region = options(server.url()).with_multi_region(true);
    let made = admin(&alias(), multi_region)
        .await
        .create(&alias(), &KeySpec::default())
        .await
        .unwrap();
    assert!(made.uri.resource().contains("key/mrk-"), "{made:?}");
    assert_eq!(created(&server)["MultiRegion"], true);

    let cloud_hsm = options(server.url()).with_custom_key_store("cks-1234");
    let other = uri("alias/hsm");
    admin(&other, cloud_hsm)
        .await
        .create(&other, &KeySpec::default())
        .await
        .unwrap();
    assert_eq!(created(&server)["CustomKeyStoreId"], "cks-1234");
    assert_eq!(created(&server)["Origin"], "AWS_CLOUDHSM");
}

use std::{sync::Arc, time::Duration};

use aws_kms_script::Fault;
use temporal_kms_codec::{
    KeyUri,
    kms::{
        self, KeyAdmin, KeyPurpose, KeySpec, KeyState, Protection, ProviderErrorKind as Kind,
        aws::AwsOptions,
    },
};

use super::{HOME, context, kms_options, open, options, scripted, uri};

const DAY: Duration = Duration::from_hours(24);

async fn admin(key: &KeyUri, aws: AwsOptions) -> Arc<dyn KeyAdmin> {
    kms::open_admin(key, &kms_options(aws))
        .await
        .expect("an admin")
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
    assert_eq!(again.kind(), Kind::Misconfigured);
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
    let options = AwsOptions {
        deletion_window_days: Some(7),
        ..options(server.url())
    };
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
    assert_eq!(again.kind(), Kind::Misconfigured);
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

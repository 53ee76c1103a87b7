use std::{fs, path::PathBuf};

use fake_aws_kms::{Fault, Server};
use temporal_kms_codec::kms::{
    ProviderErrorKind as Kind,
    aws::{AwsCredentials, AwsKms, AwsOptions, AwsRole, WebIdentityToken},
};
use zeroize::Zeroizing;

use super::{HOME, open, options, scripted, uri};

const ROLE: &str = "arn:aws:iam::111122223333:role/keys";

fn web_identity(server: &Server, token: WebIdentityToken) -> AwsOptions {
    options(server.url()).with_credentials(AwsCredentials::WebIdentity {
        role: AwsRole::new(ROLE),
        token,
    })
}

fn access_keys(server: &Server, operation: &str) -> Vec<Option<String>> {
    let calls = server.calls().into_iter();
    calls
        .filter(|call| call.operation == operation)
        .map(|call| call.access_key)
        .collect()
}

#[tokio::test]
async fn a_role_is_taken_on_for_an_hour_and_its_session_reused() {
    let (account, server) = scripted().await;
    let arn = account.symmetric_key(HOME);
    let role = AwsRole::new(ROLE)
        .with_external_id("partner")
        .with_session_name("worker-1");
    let kms = AwsKms::new(options(server.url()).with_role(role));
    for _ in 0..2 {
        let key = kms.key(&uri(&arn)).await.unwrap();
        key.check_usable().await.unwrap();
    }
    let calls = server.calls();
    let asked = &calls[0].input;
    assert_eq!(asked["RoleArn"], ROLE);
    assert_eq!(asked["ExternalId"], "partner");
    assert_eq!(asked["RoleSessionName"], "worker-1");
    assert_eq!(asked["DurationSeconds"], "3600");
    assert_eq!(calls[0].access_key.as_deref(), Some("AKIAIOSFODNN7EXAMPLE"));
    assert_eq!(server.count("AssumeRole"), 1);
    let session = Some("ASIASESSION1".to_owned());
    assert_eq!(
        access_keys(&server, "DescribeKey"),
        [session.clone(), session]
    );
}

#[tokio::test]
async fn all_keys_of_some_options_share_one_session() {
    let (account, server) = scripted().await;
    let kms = super::kms_options(options(server.url()).with_role(AwsRole::new(ROLE)));
    for _ in 0..3 {
        let arn = uri(&account.symmetric_key(HOME));
        let key = kms.clone().key(&arn).await.unwrap();
        key.check_usable().await.unwrap();
        let admin = kms.admin(&arn).await.unwrap();
        admin.details(&arn).await.unwrap();
    }
    let signing = uri(&account.signing_key(HOME));
    let signer = kms.signer(&signing).await.unwrap();
    signer.public_key(None).await.unwrap();
    assert_eq!(server.count("AssumeRole"), 1);

    let role = AwsRole::new("arn:aws:iam::111122223333:role/other");
    let other = super::kms_options(options(server.url()).with_role(role));
    let arn = uri(&account.symmetric_key(HOME));
    let key = other.key(&arn).await.unwrap();
    key.check_usable().await.unwrap();
    assert_eq!(server.count("AssumeRole"), 2, "another caller");
}

#[tokio::test]
async fn a_web_identity_is_renewed_with_the_token_of_the_day() {
    let (account, server) = scripted().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    fs::write(&path, "first").unwrap();
    let options = web_identity(&server, WebIdentityToken::File(path.clone()));
    let key = open(&account.symmetric_key(HOME), options).await;

    server.expire_sessions("2000-01-01T00:00:00Z");
    key.check_usable().await.unwrap();
    fs::write(&path, "second\n").unwrap();
    key.check_usable().await.unwrap();

    let calls = server.calls().into_iter();
    let asked: Vec<_> = calls
        .filter(|call| call.operation == "AssumeRoleWithWebIdentity")
        .map(|call| (call.access_key, call.input))
        .collect();
    let tokens: Vec<_> = asked
        .iter()
        .map(|(_, input)| input["WebIdentityToken"].as_str().unwrap())
        .collect();
    assert_eq!(tokens, ["first", "second"]);
    for (access_key, input) in &asked {
        assert_eq!(*access_key, None, "the token alone proves it");
        assert_eq!(input["DurationSeconds"], "3600");
        assert_eq!(input["RoleArn"], ROLE);
    }
    let sessions = ["ASIASESSION1", "ASIASESSION2"].map(|key| Some(key.to_owned()));
    assert_eq!(access_keys(&server, "DescribeKey"), sessions);
}

#[tokio::test]
async fn a_web_identity_may_take_on_a_further_role() {
    let (account, server) = scripted().await;
    let token = WebIdentityToken::Text(Zeroizing::new("jwt".to_owned()));
    let options = web_identity(&server, token)
        .with_role(AwsRole::new("arn:aws:iam::444455556666:role/owner"));
    let key = open(&account.symmetric_key(HOME), options).await;
    key.check_usable().await.unwrap();
    let operations: Vec<_> = server
        .calls()
        .into_iter()
        .map(|call| call.operation)
        .collect();
    assert_eq!(
        operations,
        ["AssumeRoleWithWebIdentity", "AssumeRole", "DescribeKey"]
    );
}

#[tokio::test]
async fn what_fails_on_the_way_to_a_session_is_told_apart() {
    let (account, server) = scripted().await;
    let arn = account.symmetric_key(HOME);
    let text = || WebIdentityToken::Text(Zeroizing::new("sEcReT-jwt".to_owned()));
    for (fault, kind, expected) in [
        (
            Fault::Error("AccessDenied"),
            Kind::PermissionDenied,
            "trust policy",
        ),
        (
            Fault::Error("InvalidIdentityToken"),
            Kind::Misconfigured,
            "web identity token",
        ),
        (
            Fault::Error("ExpiredTokenException"),
            Kind::Misconfigured,
            "expired",
        ),
        (Fault::Error("IDPCommunicationError"), Kind::Unavailable, ""),
        (Fault::Status(503), Kind::Unavailable, "HTTP 503"),
        (
            Fault::Html(403, "<html>sEcReT"),
            Kind::Integrity,
            "is not AWS's",
        ),
        (Fault::Hangup, Kind::Unavailable, ""),
    ] {
        let key = open(&arn, web_identity(&server, text())).await;
        server.fail("AssumeRoleWithWebIdentity", fault, 1);
        let error = key.check_usable().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{fault:?}: {error}");
        assert!(error.to_string().contains(expected), "{fault:?}: {error}");
        assert_eq!(error.to_string().matches("; ").count(), 1, "{error}");
        assert!(!format!("{error} {error:?}").contains("sEcReT"));
    }
    let absent = WebIdentityToken::File(PathBuf::from("/nonexistent/token"));
    let key = open(&arn, web_identity(&server, absent)).await;
    let error = key.check_usable().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(
        error.to_string().contains("OIDC token cannot be read"),
        "{error}"
    );
    assert_eq!(server.count("DescribeKey"), 0);
}

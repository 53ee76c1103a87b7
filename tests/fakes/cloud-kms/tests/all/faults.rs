//! How the provider reports failures of the service.

use std::{sync::Arc, time::Duration};

use fake_cloud_kms::{Canned, Fault};
use temporal_kms_codec::{
    Dek,
    kms::{CallPolicy, FailureCause, KmsMetrics, ProviderErrorKind as Kind},
};
use tokio::{io::AsyncReadExt as _, net::TcpListener};

use crate::common::{Cloud, context, kind, options, uri};

/// How every method must report a fault.
const EVERYWHERE: [(&str, Kind); 11] = [
    ("status=401", Kind::Misconfigured),
    ("status=429", Kind::Throttled),
    ("status=500", Kind::Unavailable),
    ("status=503", Kind::Unavailable),
    ("status=504", Kind::DeadlineExceeded),
    ("deny", Kind::PermissionDenied),
    ("service-disabled", Kind::Misconfigured),
    ("wrong-name", Kind::Integrity),
    ("garbage", Kind::Integrity),
    ("truncated", Kind::Integrity),
    ("dead", Kind::Unavailable),
];

#[tokio::test]
async fn every_failure_has_its_kind_in_every_method() {
    let cloud = Cloud::start().await;
    let (key, signer) = (cloud.key("k").await, cloud.signer("s").await);
    let (dek, wrapped) = key.generate_dek(&context("a")).await.unwrap();
    signer.sign(b"x").await.unwrap();
    for (fault, expected) in EVERYWHERE {
        cloud.misbehave(fault);
        assert_eq!(
            kind(key.wrap(&dek, &context("a")).await),
            expected,
            "{fault}"
        );
        assert_eq!(kind(key.check_usable().await), expected, "{fault}");
        assert_eq!(kind(signer.sign(b"x").await), expected, "{fault}");
        assert_eq!(
            kind(signer.public_key(Some("1")).await),
            expected,
            "{fault}"
        );
        // An answer to `Decrypt` names no key.
        if fault != "wrong-name" {
            assert_eq!(
                kind(key.unwrap(&wrapped, &context("a")).await),
                expected,
                "{fault}"
            );
        }
        cloud.behave();
        key.wrap(&dek, &context("a")).await.unwrap();
    }
}

#[tokio::test]
async fn what_a_proxy_answers_is_not_googles_word() {
    let cloud = Cloud::start().await;
    let key = cloud.key("k").await;
    let page = include_str!("../../../../../kms/gcp/tests/data/404.html");
    for (status, expected) in [
        (403, Kind::Integrity),
        (404, Kind::Integrity),
        (407, Kind::Integrity),
        (200, Kind::Integrity),
        (429, Kind::Throttled),
        (502, Kind::Unavailable),
    ] {
        cloud
            .emulator
            .answer_everything_with(Canned::html(status, page));
        for failed in [
            key.encrypt(b"x").await.err(),
            key.check_usable().await.err(),
        ] {
            let error = failed.unwrap();
            assert_eq!(
                (error.kind(), error.cause()),
                (expected, Some(FailureCause::Proxy)),
                "{status}: {error}"
            );
        }
    }
}

#[tokio::test]
async fn a_quota_project_is_told_from_the_keys_project() {
    let cloud = Cloud::start().await;
    let key = cloud.key("k").await;
    for (answer, project) in [
        (
            include_str!(
                "../../../../../kms/gcp/tests/data/403-service-disabled-in-other-project.json"
            ),
            "999999",
        ),
        (
            include_str!("../../../../../kms/gcp/tests/data/403-user-project-denied.json"),
            "other-billing-project",
        ),
    ] {
        cloud
            .emulator
            .answer_everything_with(Canned::json(403, answer));
        let error = key.encrypt(b"x").await.unwrap_err();
        assert_eq!(error.cause(), Some(FailureCause::QuotaProject), "{error}");
        assert_eq!(error.project(), Some(project));
        assert!(error.to_string().contains(project), "{error}");
    }
    cloud.emulator.answer_everything_with(None);
    cloud.misbehave("service-disabled");
    let error = key.encrypt(b"x").await.unwrap_err();
    assert_eq!(
        error.cause(),
        Some(FailureCause::ServiceDisabled),
        "{error}"
    );
}

#[tokio::test]
async fn damage_in_either_direction_is_noticed() {
    let cloud = Cloud::start().await;
    let (key, signer) = (cloud.key("k").await, cloud.signer("s").await);
    let (dek, wrapped) = key.generate_dek(&context("a")).await.unwrap();
    signer.sign(b"x").await.unwrap();
    for fault in ["wrong-crc", "request-damaged"] {
        cloud.misbehave(fault);
        assert_eq!(
            kind(key.wrap(&dek, &context("a")).await),
            Kind::Integrity,
            "{fault}"
        );
        assert_eq!(kind(key.encrypt(b"x").await), Kind::Integrity, "{fault}");
        assert_eq!(
            kind(key.unwrap(&wrapped, &context("a")).await),
            Kind::Integrity,
            "{fault}"
        );
        assert_eq!(kind(signer.sign(b"x").await), Kind::Integrity, "{fault}");
        assert_eq!(
            kind(signer.public_key(Some("1")).await),
            Kind::Integrity,
            "{fault}"
        );
    }
    cloud.misbehave("unverified");
    assert_eq!(kind(key.wrap(&dek, &context("a")).await), Kind::Integrity);
    assert_eq!(kind(key.encrypt(b"x").await), Kind::Integrity);
    assert_eq!(kind(signer.sign(b"x").await), Kind::Integrity);
}

#[tokio::test]
async fn an_answer_of_another_length_is_refused() {
    let cloud = Cloud::start().await;
    let key = cloud.key("k").await;
    let (dek, wrapped) = key.generate_dek(&context("a")).await.unwrap();
    for len in [0, 31, 33, 4097] {
        cloud.misbehave(&format!("length={len}"));
        let refused = kind(key.unwrap(&wrapped, &context("a")).await);
        assert_eq!(refused, Kind::InvalidCiphertext, "{len} bytes");
    }
    for len in [0, 1_000_000] {
        cloud.misbehave(&format!("length={len}"));
        let refused = kind(key.wrap(&dek, &context("a")).await);
        assert_eq!(refused, Kind::Integrity, "{len} bytes");
    }
    cloud.behave();
    key.unwrap(&wrapped, &context("a")).await.unwrap();
}

#[tokio::test]
async fn the_provider_itself_calls_once() {
    let cloud = Cloud::start().await;
    let key = cloud.key("k").await;
    for fault in ["status=503", "status=429", "wrong-crc", "dead", "garbage"] {
        cloud.misbehave(fault);
        let before = cloud.emulator.calls().len();
        kind(key.encrypt(b"x").await);
        assert_eq!(cloud.emulator.calls().len(), before + 1, "{fault}");
    }
}

#[tokio::test]
async fn transient_failures_are_retried_by_the_decorators() {
    let cloud = Cloud::start().await;
    let policy = CallPolicy::default().with_base_delay(Duration::from_millis(1));
    let key = policy
        .decorate(cloud.key("k").await, &Arc::new(KmsMetrics::default()))
        .unwrap();
    for fault in [
        "wrong-crc*2",
        "unverified*2",
        "status=503*2",
        "status=429*3",
        "dead*1",
    ] {
        cloud.misbehave(fault);
        let sealed = key.encrypt(b"x").await.unwrap();
        assert_eq!(*key.decrypt(&sealed).await.unwrap(), b"x", "{fault}");
    }
    for fault in ["deny", "status=401"] {
        cloud.misbehave(fault);
        let before = cloud.emulator.calls().len();
        kind(key.encrypt(b"x").await);
        assert_eq!(
            cloud.emulator.calls().len(),
            before + 1,
            "{fault} is for good"
        );
    }
    cloud.misbehave("wrong-crc");
    assert_eq!(
        kind(key.encrypt(b"x").await),
        Kind::Integrity,
        "damage that stays is an error"
    );
}

#[tokio::test]
async fn one_denied_permission_leaves_the_other() {
    let cloud = Cloud::start().await;
    let key = cloud.key("k").await;
    let sealed = key.encrypt(b"x").await.unwrap();
    cloud.misbehave("deny@Decrypt");
    assert!(key.encrypt(b"x").await.is_ok());
    let error = key.decrypt(&sealed).await.unwrap_err();
    assert_eq!(error.kind(), Kind::PermissionDenied);
    assert!(
        error
            .to_string()
            .contains("roles/cloudkms.cryptoKeyDecrypter"),
        "{error}"
    );
}

#[tokio::test]
async fn nobody_listens() {
    let cloud = Cloud::start().await;
    let key = cloud.key("k").await;
    let never = options("http://127.0.0.1:1");
    let unreachable = never.key(&uri("k")).await.unwrap();
    assert_eq!(kind(unreachable.encrypt(b"x").await), Kind::Unavailable);
    drop(cloud);
    assert_eq!(
        kind(key.encrypt(b"x").await),
        Kind::Unavailable,
        "it went away"
    );
}

#[tokio::test]
async fn a_slow_service_meets_the_callers_deadline() {
    let cloud = Cloud::start().await;
    let policy = CallPolicy::default()
        // The first call connects, on a machine that may be busy.
        .with_attempt_timeout(Duration::from_secs(1))
        .with_max_attempts(1);
    let key = policy
        .decorate(cloud.key("k").await, &Arc::new(KmsMetrics::default()))
        .unwrap();
    key.encrypt(b"x").await.unwrap();
    cloud.misbehave("latency=60000ms");
    assert_eq!(kind(key.encrypt(b"x").await), Kind::DeadlineExceeded);
    cloud.behave();
    key.encrypt(b"x").await.unwrap();
}

/// A server that accepts connections and never answers, and a clock that jumps ahead when all tasks wait.
#[tokio::test(start_paused = true)]
async fn a_call_that_nobody_limits_ends_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let silent = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = Vec::new();
        drop(stream.read_to_end(&mut heard).await);
        heard
    });
    let key = options(&url).key(&uri("k")).await.unwrap();
    let error = key.encrypt(b"x").await.unwrap_err();
    assert_eq!(error.kind(), Kind::DeadlineExceeded, "{error}");
    drop(silent);
}

#[tokio::test]
async fn faults_can_be_set_while_it_runs() {
    let cloud = Cloud::start().await;
    let key = cloud.key("k").await;
    let faults = ["status=503*1@Encrypt", "status=429*1@Encrypt"];
    cloud
        .emulator
        .set_faults(faults.map(|fault| fault.parse::<Fault>().unwrap()));
    assert_eq!(kind(key.encrypt(b"x").await), Kind::Unavailable);
    assert_eq!(kind(key.encrypt(b"x").await), Kind::Throttled);
    key.encrypt(b"x").await.unwrap();
}

#[tokio::test]
async fn a_data_key_survives_a_bad_minute() {
    let cloud = Cloud::start().await;
    let key = cloud.key("k").await;
    let wrapped = key.wrap(&Dek::new([3; 32]), &context("a")).await.unwrap();
    cloud.misbehave("wrong-crc*1@Decrypt");
    assert_eq!(
        kind(key.unwrap(&wrapped, &context("a")).await),
        Kind::Integrity
    );
    let opened = key.unwrap(&wrapped, &context("a")).await.unwrap();
    assert_eq!(opened.expose(), &[3; 32]);
}

use std::{error::Error, sync::Arc, time::Duration};

use fake_aws_kms::Fault;
use temporal_kms_codec::{
    Codec, Dek, Format, Namespace, Payload,
    kms::{CallPolicy, FailureCause, KmsMetrics, ProviderErrorKind as Kind},
};

use super::{HOME, context, open, options, scripted};

#[tokio::test]
async fn every_failure_is_told_apart_and_no_call_is_repeated() {
    let (account, server) = scripted().await;
    let key = open(&account.symmetric_key(HOME), options(server.url())).await;
    let (_, wrapped) = key.generate_dek(&context("a")).await.unwrap();

    for (fault, kind) in [
        (
            Fault::Error("AccessDeniedException"),
            Kind::PermissionDenied,
        ),
        (Fault::XmlDenial, Kind::PermissionDenied),
        (Fault::Status(403), Kind::PermissionDenied),
        (Fault::Error("NotFoundException"), Kind::KeyNotFound),
        (Fault::Error("DisabledException"), Kind::KeyDisabled),
        (Fault::Error("KMSInvalidStateException"), Kind::KeyDisabled),
        (
            Fault::Error("InvalidCiphertextException"),
            Kind::InvalidCiphertext,
        ),
        (Fault::Error("IncorrectKeyException"), Kind::KeyVersionGone),
        (Fault::Error("ThrottlingException"), Kind::Throttled),
        (Fault::Status(429), Kind::Throttled),
        (Fault::Error("KeyUnavailableException"), Kind::Unavailable),
        (Fault::Error("KMSInternalException"), Kind::Unavailable),
        (Fault::Status(503), Kind::Unavailable),
        (Fault::Status(500), Kind::Unavailable),
        (Fault::Hangup, Kind::Unavailable),
        (
            Fault::Error("DependencyTimeoutException"),
            Kind::DeadlineExceeded,
        ),
        (
            Fault::Error("InvalidKeyUsageException"),
            Kind::Misconfigured,
        ),
        (
            Fault::Error("UnrecognizedClientException"),
            Kind::Misconfigured,
        ),
        (Fault::Error("ExpiredTokenException"), Kind::Misconfigured),
        (Fault::Error("UnknownOperationException"), Kind::Unsupported),
        (Fault::Error("AnErrorOfTomorrow"), Kind::Misconfigured),
        (Fault::Garbage, Kind::Integrity),
        (Fault::Empty, Kind::Integrity),
        (Fault::Cut, Kind::Unavailable),
        (Fault::Endless, Kind::Integrity),
        (Fault::OtherKey, Kind::Integrity),
    ] {
        let before = server.count("Decrypt");
        server.fail("Decrypt", fault, 1);
        let error = key.unwrap(&wrapped, &context("a")).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{fault:?}: {error}");
        assert_eq!(server.count("Decrypt"), before + 1, "{fault:?}");
    }
    key.unwrap(&wrapped, &context("a")).await.unwrap();
}

#[tokio::test]
async fn an_answer_of_another_length_is_refused() {
    let (account, server) = scripted().await;
    let key = open(&account.symmetric_key(HOME), options(server.url())).await;
    let dek = Dek::new([7; Dek::LEN]);
    let wrapped = key.wrap(&dek, &context("a")).await.unwrap();
    for len in [0, 31, 33, 4097] {
        server.fail("Decrypt", Fault::Length(len), 1);
        let error = key.unwrap(&wrapped, &context("a")).await.unwrap_err();
        let refusals = [Kind::InvalidCiphertext, Kind::Integrity];
        assert!(refusals.contains(&error.kind()), "{len} bytes: {error}");
        server.fail("GenerateDataKey", Fault::Length(len), 1);
        let error = key.generate_dek(&context("a")).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Integrity, "{len} bytes: {error}");
    }
    for len in [0, 6145] {
        server.fail("Encrypt", Fault::Length(len), 1);
        let error = key.wrap(&dek, &context("a")).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Integrity, "{len} bytes: {error}");
    }

    let codec = |format| {
        let builder = Codec::builder(Namespace::new("a").unwrap()).encrypt_with(key.clone());
        builder.format(format).build().unwrap()
    };
    let payload = Payload {
        data: b"x".to_vec(),
        ..Payload::default()
    };
    for format in [Format::Envelope, Format::EnvelopeV1, Format::Direct] {
        let sealed = codec(format).encode(vec![payload.clone()]).await.unwrap();
        for len in [31, 32, 33, 4097] {
            // A direct payload of 32 bytes would be a data key, and 32 bytes are any data key.
            server.fail("Decrypt", Fault::Length(len), 2);
            codec(format).decode(sealed.clone()).await.unwrap_err();
            server.heal();
        }
    }
}

#[tokio::test]
async fn errors_say_what_to_do_and_nothing_that_the_service_said() {
    let (account, server) = scripted().await;
    let key = open(&account.symmetric_key(HOME), options(server.url())).await;
    for (fault, expected) in [
        (
            Fault::Message("AccessDeniedException", "sEcReT"),
            "kms:GenerateDataKey",
        ),
        (
            Fault::Message("InvalidSignatureException", "Signature expired: sEcReT"),
            "clock is wrong",
        ),
        (
            Fault::Message("InvalidSignatureException", "does not match sEcReT"),
            "does not accept the credentials",
        ),
    ] {
        server.fail("GenerateDataKey", fault, 1);
        let error = key.generate_dek(&context("a")).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!format!("{error} {error:?}").contains("sEcReT"), "{error}");
        assert!(error.source().is_none());
    }
}

#[tokio::test]
async fn a_page_of_a_proxy_is_not_the_word_of_aws() {
    const PAGE: &str = "<!DOCTYPE html><title>sEcReT</title>";
    let (account, server) = scripted().await;
    let key = open(&account.symmetric_key(HOME), options(server.url())).await;
    for (status, kind) in [
        (401, Kind::Integrity),
        (403, Kind::Integrity),
        (407, Kind::Integrity),
        (429, Kind::Throttled),
        (502, Kind::Unavailable),
        (504, Kind::DeadlineExceeded),
    ] {
        server.fail("GenerateDataKey", Fault::Html(status, PAGE), 1);
        let error = key.generate_dek(&context("a")).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.cause()),
            (kind, Some(FailureCause::Proxy)),
            "{status}: {error}"
        );
        assert!(error.to_string().contains("is not AWS's"), "{error}");
    }
    server.fail("GenerateDataKey", Fault::Html(404, PAGE), 1);
    let error = key.generate_dek(&context("a")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured, "a wrong endpoint");
    server.fail("GenerateDataKey", Fault::Html(403, "Forbidden"), 1);
    let error = key.generate_dek(&context("a")).await.unwrap_err();
    assert_eq!(error.cause(), Some(FailureCause::Proxy));
    server.fail("GenerateDataKey", Fault::XmlDenial, 1);
    let error = key.generate_dek(&context("a")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::PermissionDenied, "AWS writes XML, too");
}

#[tokio::test]
async fn a_service_that_failed_is_not_called_unreachable() {
    let (account, server) = scripted().await;
    let key = open(&account.symmetric_key(HOME), options(server.url())).await;
    server.fail(
        "GenerateDataKey",
        Fault::Message("KMSInternalException", "sEcReT"),
        1,
    );
    let text = key
        .generate_dek(&context("a"))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("failed with HTTP 500, request ID scripted-request"),
        "{text}"
    );
    assert!(
        !text.contains("cannot be reached") && !text.contains("sEcReT"),
        "{text}"
    );
}

#[tokio::test]
async fn an_operator_can_find_the_call_in_the_logs_of_aws() {
    let (account, server) = scripted().await;
    let key = open(&account.symmetric_key(HOME), options(server.url())).await;
    server.fail(
        "GenerateDataKey",
        Fault::Message("AccessDeniedException", "User sEcReT is not authorized"),
        1,
    );
    let error = key.generate_dek(&context("a")).await.unwrap_err();
    let answered = error.service_error().unwrap();
    assert_eq!(answered.http_status(), Some(400));
    assert_eq!(answered.code(), Some("AccessDeniedException"));
    assert_eq!(answered.request_id(), Some("scripted-request"));
    assert!(!format!("{answered:?}").contains("sEcReT"));

    drop(server);
    let error = key.generate_dek(&context("a")).await.unwrap_err();
    assert_eq!(error.service_error(), None, "nothing answered");
}

#[tokio::test]
async fn a_server_that_is_gone_or_hangs_is_transient() {
    let (account, server) = scripted().await;
    let key = open(&account.symmetric_key(HOME), options(server.url())).await;
    let policy = CallPolicy::default()
        .with_attempt_timeout(Duration::from_millis(200))
        .with_total_timeout(Duration::from_millis(500));
    let patient = policy
        .decorate(key.clone(), &Arc::new(KmsMetrics::default()))
        .unwrap();
    server.fail("*", Fault::Hang, usize::MAX);
    let error = patient.check_usable().await.unwrap_err();
    assert_eq!(error.kind(), Kind::DeadlineExceeded);

    drop(server);
    let error = key.check_usable().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.is_transient());
}

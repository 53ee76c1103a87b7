use std::{error::Error, sync::Arc, time::Duration};

use aws_kms_script::Fault;
use temporal_kms_codec::kms::{CallPolicy, KmsMetrics, ProviderErrorKind as Kind};

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
        (
            Fault::Error("IncorrectKeyException"),
            Kind::InvalidCiphertext,
        ),
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
        let sources = causes(&error);
        let sources: String = sources.map(ToString::to_string).collect();
        assert!(sources.contains("scripted-request"), "{sources}");
    }
}

/// The plaintext of an answer that cannot be read must not live on in the error.
#[tokio::test]
async fn a_damaged_answer_leaves_no_plaintext_behind() {
    let (account, server) = scripted().await;
    let key = open(&account.symmetric_key(HOME), options(server.url())).await;
    for fault in [Fault::Cut, Fault::OtherKey, Fault::Endless] {
        server.fail("GenerateDataKey", fault, 1);
        let error = key.generate_dek(&context("a")).await.unwrap_err();
        let sources = causes(&error);
        let shown: Vec<_> = sources
            .map(|source| format!("{source} {source:?}"))
            .collect();
        assert!(
            !shown.concat().contains("Plaintext"),
            "{fault:?}: {shown:?}"
        );
    }
}

#[tokio::test]
async fn a_server_that_is_gone_or_hangs_is_transient() {
    let (account, server) = scripted().await;
    let key = open(&account.symmetric_key(HOME), options(server.url())).await;
    let policy = CallPolicy {
        attempt_timeout: Duration::from_millis(200),
        total_timeout: Duration::from_millis(500),
        ..CallPolicy::default()
    };
    let patient = policy
        .decorate(key.clone(), &Arc::new(KmsMetrics::default()))
        .unwrap();
    server.fail("*", Fault::Hang, usize::MAX);
    let error = patient.describe().await.unwrap_err();
    assert_eq!(error.kind(), Kind::DeadlineExceeded);

    drop(server);
    let error = key.describe().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.is_transient());
}

/// The errors that `error` was made from, outermost first.
fn causes(error: &dyn Error) -> impl Iterator<Item = &dyn Error> {
    std::iter::successors(error.source(), |&cause| cause.source())
}

//! No error holds what a service answered or what a payload holds: neither its text, nor any error that it was made from.
//! Each error of a key says what to do.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that panics has failed, as it should"
)]

use std::{error::Error, fs, os::unix::fs::PermissionsExt as _};

use fake_aws_kms::{Account, Fault};
use fake_cloud_kms::{Canned, Emulator, Options};
use integration_tests::aws::{HOME, options};
use serde_json::json;
use temporal_kms_codec::{
    Codec, EncryptionContext, KeyUri, Namespace, Payload,
    kms::{
        CallPolicy, KeySpec, Kms, ProviderError, PublicKey,
        aws::AwsKms,
        gcp::{GcpKms, GcpOptions},
        local::LocalKeyring,
    },
};

/// What no error may show.
const MARKER: &str = "sEcReT";

/// Walks the error and everything below it, as loggers and the Temporal SDK do.
#[track_caller]
fn assert_clean(error: &(dyn Error + 'static)) {
    for error in std::iter::successors(Some(error), |&error| error.source()) {
        let shown = format!("{error} {error:#} {error:?} {error:#?}");
        for word in [MARKER, "\"Plaintext\"", "<html"] {
            assert!(!shown.contains(word), "{shown}");
        }
        if let Some(error) = error.downcast_ref::<ProviderError>() {
            assert!(error.source().is_none(), "{error}");
            let answered = format!("{:?}", error.service_error());
            assert!(!answered.contains(MARKER), "{answered}");
            let parts = format!("{}; {}", error.what_happened(), error.remedy());
            assert_eq!(error.to_string(), parts);
            assert_eq!(parts.matches("; ").count(), 1, "{parts}");
        }
    }
}

fn uri(uri: &str) -> KeyUri {
    uri.parse().unwrap()
}

/// Asks everything that a key of `uri` can be asked, and looks at each failure.
async fn fail_everything(uri: &KeyUri, kms: &Kms) -> usize {
    let context = EncryptionContext::empty();
    let mut failures = Vec::new();
    match kms.key(uri).await {
        Ok(key) => {
            failures.extend(key.generate_dek(&context).await.err());
            failures.extend(key.encrypt(b"sEcReT-payload").await.err());
            failures.extend(key.decrypt(b"sEcReT-ciphertext").await.err());
            failures.extend(key.check_usable().await.err());
        }
        Err(error) => failures.push(error),
    }
    match kms.signer(uri).await {
        Ok(signer) => {
            failures.extend(signer.sign(b"sEcReT-data").await.err());
            failures.extend(signer.public_key(None).await.err());
        }
        Err(error) => failures.push(error),
    }
    match kms.admin(uri).await {
        Ok(admin) => {
            failures.extend(admin.details(uri).await.err());
            failures.extend(admin.versions(uri).await.err());
            failures.extend(admin.list(uri).await.err());
            failures.extend(admin.create(uri, &KeySpec::default()).await.err());
        }
        Err(error) => failures.push(error),
    }
    for failure in &failures {
        assert_clean(failure);
        assert_clean(&temporal_kms_codec::Error::from(failure.clone()));
    }
    failures.len()
}

#[tokio::test]
async fn no_answer_of_aws_is_in_an_error() {
    let account = Account::new();
    let server = account.serve(HOME).await.unwrap();
    let key = uri(&format!("aws-kms://{}", account.symmetric_key(HOME)));
    let kms = Kms::builder()
        .with_service(AwsKms::new(options(server.url())))
        .calls(CallPolicy::once())
        .build();
    for code in [
        "AccessDeniedException",
        "NotFoundException",
        "DisabledException",
        "KMSInvalidStateException",
        "InvalidCiphertextException",
        "IncorrectKeyException",
        "ThrottlingException",
        "KMSInternalException",
        "ServiceUnavailable",
        "DependencyTimeoutException",
        "ConflictException",
        "InvalidKeyUsageException",
        "LimitExceededException",
        "InvalidSignatureException",
        "ExpiredTokenException",
        "UnknownOperationException",
        "ValidationException",
        "SomethingNewException",
        "sEcReT-code",
    ] {
        server.fail("*", Fault::Message(code, "User sEcReT may not"), usize::MAX);
        assert!(fail_everything(&key, &kms).await >= 9, "{code}");
        server.heal();
    }
    for fault in [
        Fault::Html(403, "<html>sEcReT"),
        Fault::Html(502, "<html>sEcReT"),
        Fault::Garbage,
        Fault::Cut,
        Fault::OtherKey,
        Fault::Endless,
        Fault::Hangup,
    ] {
        server.fail("*", fault, usize::MAX);
        assert!(fail_everything(&key, &kms).await > 0, "{fault:?}");
        server.heal();
    }
}

#[tokio::test]
async fn no_answer_of_google_is_in_an_error() {
    let key = uri("gcp-kms://projects/p/locations/global/keyRings/r/cryptoKeys/k");
    let mut answers = vec![
        Canned::html(200, "<html>sEcReT"),
        Canned::html(403, "<html>sEcReT"),
        Canned::html(404, "<html>sEcReT"),
        Canned::html(502, "<html>sEcReT"),
        Canned::json(200, r#"{"plaintext": "sEcReT"}"#),
        Canned::json(500, r#"{"sEcReT": 1}"#),
    ];
    for (status, code) in [
        (400, "INVALID_ARGUMENT"),
        (400, "FAILED_PRECONDITION"),
        (401, "UNAUTHENTICATED"),
        (403, "PERMISSION_DENIED"),
        (404, "NOT_FOUND"),
        (409, "ABORTED"),
        (409, "ALREADY_EXISTS"),
        (429, "RESOURCE_EXHAUSTED"),
        (500, "INTERNAL"),
        (500, "DATA_LOSS"),
        (503, "UNAVAILABLE"),
        (504, "DEADLINE_EXCEEDED"),
    ] {
        for reason in ["SERVICE_DISABLED", "USER_PROJECT_DENIED", "sEcReT"] {
            let body = json!({"error": {
                "code": status, "status": code, "message": "denied on sEcReT",
                "details": [
                    {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason,
                        "domain": "sEcReT", "metadata": {"consumer": "projects/sEcReT", "x": "sEcReT"}},
                    {"@type": "type.googleapis.com/google.rpc.PreconditionFailure", "violations":
                        [{"type": "sEcReT", "subject": "sEcReT", "description": "sEcReT"}]},
                    {"@type": "type.googleapis.com/google.rpc.RequestInfo",
                        "requestId": "sEcReT <b>", "servingData": "sEcReT"},
                ],
            }});
            answers.push(Canned::json(status, body.to_string()));
        }
    }
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let kms = Kms::builder()
        .with_service(GcpKms::new(
            GcpOptions::default().with_endpoint(emulator.url()),
        ))
        .calls(CallPolicy::once())
        .build();
    for answer in answers {
        emulator.answer_everything_with(answer.clone());
        assert!(fail_everything(&key, &kms).await >= 5, "{answer:?}");
    }
}

#[tokio::test]
async fn no_content_of_a_key_file_is_in_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let kms = Kms::builder()
        .local_keyring(folder.path().to_owned())
        .build();
    let file = folder.path().join("default.json");
    for content in [
        "sEcReT",
        r#"{"primaryKeyId": "sEcReT"}"#,
        r#"{"primaryKeyId": 1, "key": [{"keyData": {"value": "sEcReT"}, "status": "sEcReT"}]}"#,
    ] {
        fs::write(&file, content).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let failed = fail_everything(&uri("local://default"), &kms).await;
        assert!(failed > 3, "{content}: {failed}");
    }
}

#[tokio::test]
async fn no_byte_of_a_payload_is_in_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = LocalKeyring::open(folder.path());
    let codec = Codec::builder(Namespace::new("default").unwrap())
        .encrypt_with(keyring.key_or_create("default").unwrap())
        .context("env", "prod")
        .build()
        .unwrap();
    let plain = Payload {
        metadata: [("encoding".to_owned(), b"json/sEcReT".to_vec())].into(),
        data: b"sEcReT".to_vec(),
        ..Payload::default()
    };
    let sealed = codec.encode(vec![plain.clone()]).await.unwrap().remove(0);
    let mut hostile = vec![plain];
    for name in sealed.metadata.keys() {
        for value in [
            &b"sEcReT and more"[..],
            b"{\"sEcReT\": \"sEcReT\"}",
            &[0xff; 7],
        ] {
            let mut altered = sealed.clone();
            altered.metadata.insert(name.clone(), value.to_vec());
            hostile.push(altered);
        }
        let mut without = sealed.clone();
        without.metadata.remove(name);
        hostile.push(without);
    }
    for position in 0..sealed.data.len() {
        let mut altered = sealed.clone();
        altered.data[position] ^= 1;
        hostile.push(altered);
    }
    for payload in hostile {
        if let Err(error) = codec.decode(vec![payload]).await {
            assert_clean(&error);
        }
    }
}

#[test]
fn no_refused_setting_is_in_an_error() {
    let uris = [
        "sEcReT",
        "local://sEcReT/..",
        "gcp-kms://sEcReT",
        "aws-kms://sEcReT:x@alias/a",
        "awskms://alias/a?awssdk=sEcReT",
        "pkcs11:token=t;object=o;pin-value=sEcReT",
        "pkcs11:token=t;object=o&pin-value=sEcReT",
        "pkcs11:token=t;object=o?pin-value=sEcReT",
        "https://user:sEcReT@example.com",
    ];
    for uri in uris {
        assert_clean(&uri.parse::<KeyUri>().unwrap_err());
        assert_clean(&Kms::default().read_key(uri).unwrap_err());
        assert!(!KeyUri::redact(uri).contains("pin-value=sEcReT"), "{uri}");
    }
    for (name, value) in [
        ("KMS_AUTH_MODE", "sEcReT"),
        ("KMS_ENABLE_CLOUDHSM", "sEcReT"),
        ("KMS_ENABLE_MULTI_REGION", "sEcReT"),
        ("AWS_USE_FIPS_ENDPOINT", "sEcReT"),
        ("PKCS11_MODULE", "sEcReT"),
    ] {
        let options = Kms::from_variables(&|asked| (asked == name).then(|| value.to_owned()));
        assert_clean(&options.unwrap_err());
    }
    assert_clean(&Namespace::new(&"sEcReT".repeat(1000)).unwrap_err());
    assert_clean(&PublicKey::from_pem("sEcReT").unwrap_err());
}

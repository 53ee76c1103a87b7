//! What each answer of Google means, and what none of its errors shows.

use google_cloud_gax::error::rpc::Status;
use temporal_kms::FailureCause;

use super::*;

fn uri() -> KeyUri {
    "gcp-kms://projects/my-project/locations/l/keyRings/r/cryptoKeys/k"
        .parse()
        .unwrap()
}

fn mapped(code: Code, message: &str, call: CallKind) -> ProviderError {
    let uri = uri();
    let status = Status::default().set_code(code).set_message(message);
    map(&GaxError::service(status), &uri, call)
}

#[test]
fn every_status_has_a_kind() {
    for (code, call, kind) in [
        (
            Code::InvalidArgument,
            CallKind::Decrypt,
            Kind::InvalidCiphertext,
        ),
        (
            Code::InvalidArgument,
            CallKind::Encrypt,
            Kind::Misconfigured,
        ),
        (Code::NotFound, CallKind::Encrypt, Kind::KeyNotFound),
        (
            Code::PermissionDenied,
            CallKind::Decrypt,
            Kind::PermissionDenied,
        ),
        (
            Code::FailedPrecondition,
            CallKind::Encrypt,
            Kind::KeyDisabled,
        ),
        (Code::ResourceExhausted, CallKind::Encrypt, Kind::Throttled),
        (Code::Unavailable, CallKind::Encrypt, Kind::Unavailable),
        (Code::Internal, CallKind::Encrypt, Kind::Unavailable),
        (Code::Unknown, CallKind::Encrypt, Kind::Unavailable),
        (
            Code::DeadlineExceeded,
            CallKind::Encrypt,
            Kind::DeadlineExceeded,
        ),
        (
            Code::Unauthenticated,
            CallKind::Encrypt,
            Kind::Misconfigured,
        ),
        (Code::Unimplemented, CallKind::Administer, Kind::Unsupported),
    ] {
        let error = mapped(code, "answer: sk-secret", call);
        assert_eq!(error.kind(), kind, "{code:?}");
        assert!(!format!("{error} {error:?}").contains("sk-secret"));
    }
}

#[test]
fn a_checksum_that_the_service_refuses_is_worth_a_retry() {
    let words =
        "The checksum in field ciphertext_crc32c did not match the data in field ciphertext.";
    for call in [CallKind::Decrypt, CallKind::Encrypt, CallKind::Sign] {
        let error = mapped(Code::InvalidArgument, words, call);
        assert_eq!(error.kind(), Kind::Integrity);
        assert!(error.is_transient());
    }
}

#[test]
fn tells_what_to_put_right() {
    for (code, cause) in [
        (
            Code::Unauthenticated,
            Some(FailureCause::RefusedCredentials),
        ),
        (Code::PermissionDenied, None),
        (Code::NotFound, None),
        (Code::Unavailable, None),
    ] {
        assert_eq!(
            mapped(code, "", CallKind::Encrypt).cause(),
            cause,
            "{code:?}"
        );
    }
}

#[test]
fn conflicts_are_told_from_outages() {
    assert!(is_conflict(&mapped(
        Code::Aborted,
        "",
        CallKind::Administer
    )));
    assert!(!is_conflict(&mapped(
        Code::Unavailable,
        "",
        CallKind::Administer
    )));
    assert!(already_exists(&mapped(
        Code::AlreadyExists,
        "",
        CallKind::Administer
    )));
}

/// Recorded answers of Google.
fn refused(body: &str) -> ProviderError {
    map(&answered(body), &uri(), CallKind::Encrypt)
}

fn answered(body: &str) -> GaxError {
    let body = bytes::Bytes::copy_from_slice(body.as_bytes());
    GaxError::service(Status::try_from(&body).unwrap())
}

#[test]
fn the_project_that_calls_are_charged_to_is_told_from_the_keys() {
    let disabled = refused(include_str!(
        "../../tests/data/403-service-disabled-in-other-project.json"
    ));
    assert_eq!(disabled.cause(), Some(FailureCause::QuotaProject));
    assert_eq!(disabled.project(), Some("999999"));
    let text = disabled.to_string();
    for part in [
        "in project 999999",
        "--project=999999",
        "GOOGLE_CLOUD_QUOTA_PROJECT",
    ] {
        assert!(text.contains(part), "{text}");
    }

    let denied = refused(include_str!(
        "../../tests/data/403-user-project-denied.json"
    ));
    assert_eq!(denied.cause(), Some(FailureCause::QuotaProject));
    assert_eq!(denied.project(), Some("other-billing-project"));
    let text = denied.to_string();
    for part in [
        "other-billing-project",
        "serviceUsageConsumer",
        "set-quota-project",
    ] {
        assert!(text.contains(part), "{text}");
    }
    for error in [&disabled, &denied] {
        assert_eq!(error.kind(), Kind::Misconfigured);
    }
}

#[test]
fn a_perimeter_is_told_from_a_missing_role() {
    let error = refused(include_str!(
        "../../tests/data/403-vpc-service-controls.json"
    ));
    assert_eq!(error.kind(), Kind::PermissionDenied);
    assert_eq!(error.cause(), Some(FailureCause::Perimeter));
    let text = error.to_string();
    assert!(text.contains("VPC Service Controls"), "{text}");
    assert!(!text.contains("roles/"), "{text}");
    assert!(!text.contains("prohibited by organization"), "{text}");
    let id = error.service_error().and_then(ServiceError::request_id);
    assert!(id.is_some_and(|id| id.starts_with("4cHmBXqY")), "{id:?}");
}

#[test]
fn the_keys_own_project_is_named_as_such() {
    for metadata in [
        r#""consumer": "projects/my-project""#,
        r#""consumer": "<b>sEcReT""#,
    ] {
        let error = refused(&format!(
            r#"{{"error": {{"code": 403, "status": "PERMISSION_DENIED", "message": "sEcReT", "details":
            [{{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED",
            "domain": "googleapis.com", "metadata": {{{metadata}}}}}]}}}}"#
        ));
        assert_eq!(
            error.cause(),
            Some(FailureCause::ServiceDisabled),
            "{error}"
        );
        assert!(error.to_string().contains("the key's project"), "{error}");
        assert!(!error.to_string().contains("sEcReT"), "{error}");
    }
}

#[test]
fn a_page_for_people_is_not_googles_word() {
    let page = include_str!("../../tests/data/404.html");
    for (status, kind) in [
        (401, Kind::Integrity),
        (403, Kind::Integrity),
        (404, Kind::Integrity),
        (407, Kind::Integrity),
        (302, Kind::Integrity),
        (429, Kind::Throttled),
        (500, Kind::Unavailable),
        (502, Kind::Unavailable),
        (504, Kind::DeadlineExceeded),
    ] {
        let answer = GaxError::http(status, http::HeaderMap::new(), page.into());
        let error = map(&answer, &uri(), CallKind::Decrypt);
        assert_eq!(
            (error.kind(), error.cause()),
            (kind, Some(FailureCause::Proxy)),
            "{status}"
        );
        assert!(error.to_string().contains("is not Google's"), "{error}");
        assert!(!error.to_string().contains("Not Found"), "{error}");
    }
}

#[test]
fn a_destroyed_version_is_told_from_an_altered_ciphertext() {
    let destroyed = r#"{"error": {"code": 400, "status": "FAILED_PRECONDITION", "message": "", "details":
        [{"@type": "type.googleapis.com/google.rpc.PreconditionFailure", "violations":
        [{"type": "KEY_DESTROYED", "subject": "", "description": ""}]}]}}"#;
    let destroyed = answered(destroyed);
    for (call, kind) in [
        (CallKind::Decrypt, Kind::KeyVersionGone),
        (CallKind::Encrypt, Kind::KeyDisabled),
        (CallKind::Sign, Kind::KeyDisabled),
    ] {
        assert_eq!(map(&destroyed, &uri(), call).kind(), kind, "{call:?}");
    }
    assert_eq!(
        mapped(Code::InvalidArgument, "", CallKind::Decrypt).kind(),
        Kind::InvalidCiphertext
    );
}

//! Every error of Cloud KMS says what to do, and says it once.

use google_cloud_gax::error::rpc::Status;

use super::*;

fn uri() -> KeyUri {
    "gcp-kms://projects/my-project/locations/l/keyRings/r/cryptoKeys/k"
        .parse()
        .unwrap()
}

fn of_code(code: Code, message: &str, call: CallKind) -> ProviderError {
    let status = Status::default().set_code(code).set_message(message);
    map(&GaxError::service(status), &uri(), call)
}

fn answered(body: &str) -> GaxError {
    let body = bytes::Bytes::copy_from_slice(body.as_bytes());
    GaxError::service(Status::try_from(&body).unwrap())
}

const CALLS: [CallKind; 6] = [
    CallKind::Encrypt,
    CallKind::Decrypt,
    CallKind::Sign,
    CallKind::PublicKey,
    CallKind::Describe,
    CallKind::Administer,
];

/// Each error says once what to do. A wrong setting has a remedy of its own.
#[track_caller]
fn says_what_to_do(error: &ProviderError) {
    let text = error.to_string();
    assert_eq!(text.matches("; ").count(), 1, "{text}");
    if error.kind() == Kind::Misconfigured {
        let general = ProviderError::new(Kind::Misconfigured, &uri());
        assert_ne!(error.remedy(), general.remedy(), "{text}");
    }
}

#[test]
fn every_status_says_what_to_do() {
    for code in [
        Code::InvalidArgument,
        Code::OutOfRange,
        Code::NotFound,
        Code::AlreadyExists,
        Code::PermissionDenied,
        Code::Unauthenticated,
        Code::FailedPrecondition,
        Code::ResourceExhausted,
        Code::DeadlineExceeded,
        Code::Unimplemented,
        Code::DataLoss,
        Code::Aborted,
        Code::Unavailable,
        Code::Internal,
    ] {
        for call in CALLS {
            for message in ["", "crc32c"] {
                says_what_to_do(&of_code(code, message, call));
            }
        }
    }
}

#[test]
fn every_reason_says_what_to_do() {
    for (status, code, detail) in [
        (
            403,
            "PERMISSION_DENIED",
            r#""@type": "type.googleapis.com/google.rpc.ErrorInfo", "domain": "", "reason": "REASON", "metadata": {"consumer": "projects/CONSUMER"}"#,
        ),
        (
            400,
            "FAILED_PRECONDITION",
            r#""@type": "type.googleapis.com/google.rpc.PreconditionFailure", "violations": [{"type": "REASON", "subject": "", "description": ""}]"#,
        ),
    ] {
        for reason in [
            "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
            PERIMETER,
            "SERVICE_DISABLED",
            "USER_PROJECT_DENIED",
            "BILLING_DISABLED",
            "CONSUMER_INVALID",
            "CONSUMER_SUSPENDED",
            "RESOURCE_PROJECT_INVALID",
            "KEY_DISABLED",
            "KEY_DESTROYED",
            "ANOTHER",
        ] {
            for consumer in ["my-project", "999999"] {
                let detail = detail.replace("REASON", reason);
                let detail = detail.replace("CONSUMER", consumer);
                let answer = answered(&format!(
                    r#"{{"error": {{"code": {status}, "status": "{code}", "message": "", "details": [{{{detail}}}]}}}}"#
                ));
                for call in CALLS {
                    says_what_to_do(&map(&answer, &uri(), call));
                }
            }
        }
    }
}

#[test]
fn every_other_answer_says_what_to_do() {
    for status in 100..600 {
        let answer = GaxError::http(status, http::HeaderMap::new(), "<html>".into());
        says_what_to_do(&map(&answer, &uri(), CallKind::Encrypt));
    }
    says_what_to_do(&integrity(&uri(), "the answer is another key's"));
}

#[test]
fn a_missing_role_is_what_to_grant() {
    assert_eq!(
        of_code(Code::PermissionDenied, "", CallKind::Describe).to_string(),
        format!(
            "{}: permission denied; grant the caller roles/cloudkms.viewer",
            uri()
        )
    );
}

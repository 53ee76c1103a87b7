//! Refusals, in the forms of both APIs.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use serde_json::json;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    NoBucket,
    NoObject,
    /// The bucket exists.
    Conflict,
    /// The condition of the request does not hold.
    Precondition,
    Invalid,
    /// This server does not have the operation.
    Unknown,
}

impl Refusal {
    /// The status, the code of the XML API, and the reason of the JSON API.
    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::NoBucket => (StatusCode::NOT_FOUND, "NoSuchBucket", "notFound"),
            Self::NoObject => (StatusCode::NOT_FOUND, "NoSuchKey", "notFound"),
            Self::Conflict => (StatusCode::CONFLICT, "BucketAlreadyOwnedByYou", "conflict"),
            Self::Precondition => (
                StatusCode::PRECONDITION_FAILED,
                "PreconditionFailed",
                "conditionNotMet",
            ),
            Self::Invalid => (StatusCode::BAD_REQUEST, "InvalidArgument", "invalid"),
            Self::Unknown => (
                StatusCode::NOT_IMPLEMENTED,
                "NotImplemented",
                "notImplemented",
            ),
        }
    }

    pub(crate) fn xml(self) -> Response {
        let (status, code, _) = self.parts();
        let body = format!(
            "<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{code}</Message></Error>"
        );
        (status, [("content-type", "application/xml")], body).into_response()
    }

    pub(crate) fn json(self) -> Response {
        let (status, message, reason) = self.parts();
        let body = json!({"error": {
            "code": status.as_u16(),
            "message": message,
            "errors": [{"message": message, "domain": "global", "reason": reason}],
        }});
        (status, Json(body)).into_response()
    }
}

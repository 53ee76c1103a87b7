use axum::{
    body::Body,
    http::{Response, header::CONTENT_TYPE},
};
use serde_json::{Value, json};

/// A JSON object.
pub(crate) type Object = serde_json::Map<String, Value>;

/// The codes of `google.rpc.Code` that the service answers, with their HTTP statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    InvalidArgument,
    DeadlineExceeded,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    Aborted,
    Unimplemented,
    Internal,
    Unavailable,
    Unauthenticated,
}

impl Code {
    pub(crate) const fn status(self) -> u16 {
        match self {
            Self::InvalidArgument | Self::FailedPrecondition => 400,
            Self::Unauthenticated => 401,
            Self::PermissionDenied => 403,
            Self::NotFound => 404,
            Self::AlreadyExists | Self::Aborted => 409,
            Self::ResourceExhausted => 429,
            Self::Internal => 500,
            Self::Unimplemented => 501,
            Self::Unavailable => 503,
            Self::DeadlineExceeded => 504,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::Aborted => "ABORTED",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::Unauthenticated => "UNAUTHENTICATED",
        }
    }
}

/// An error as the service answers it.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) details: Vec<Value>,
}

impl ApiError {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            details: Vec::new(),
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    pub(crate) fn not_found(kind: &str, name: &str) -> Self {
        Self::new(Code::NotFound, format!("{kind} {name} not found."))
    }

    /// A field of the request with an invalid value.
    pub(crate) fn field(field: &str, description: impl Into<String>) -> Self {
        let description = description.into();
        let mut error = Self::invalid(format!("{field}: {description}"));
        error.details.push(json!({
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": field, "description": description}],
        }));
        error
    }

    /// A key or version whose state does not permit the request.
    pub(crate) fn precondition(
        violation: &str,
        subject: &str,
        description: impl Into<String>,
    ) -> Self {
        let description = description.into();
        let mut error = Self::new(Code::FailedPrecondition, &description);
        error.details.push(json!({
            "@type": "type.googleapis.com/google.rpc.PreconditionFailure",
            "violations": [{"type": violation, "subject": subject, "description": description}],
        }));
        error
    }

    pub(crate) fn permission_denied(permission: &str, resource: &str) -> Self {
        let mut error = Self::new(
            Code::PermissionDenied,
            format!(
                "Permission '{permission}' denied on resource '{resource}' (or it may not exist)."
            ),
        );
        error.details.push(error_info(
            "IAM_PERMISSION_DENIED",
            &json!({"permission": permission, "resource": resource}),
        ));
        error
    }

    /// The project has not enabled the API.
    pub(crate) fn service_disabled(project: &str) -> Self {
        let mut error = Self::new(
            Code::PermissionDenied,
            format!(
                "Cloud Key Management Service (KMS) API has not been used in project {project} before or it is disabled."
            ),
        );
        error.details.push(error_info(
            "SERVICE_DISABLED",
            &json!({"service": "cloudkms.googleapis.com", "consumer": format!("projects/{project}")}),
        ));
        error
    }

    pub(crate) fn body(&self) -> Value {
        let mut error = Object::new();
        error.insert("code".to_owned(), self.code.status().into());
        error.insert("message".to_owned(), self.message.clone().into());
        error.insert("status".to_owned(), self.code.name().into());
        if !self.details.is_empty() {
            error.insert("details".to_owned(), self.details.clone().into());
        }
        json!({ "error": error })
    }
}

fn error_info(reason: &str, metadata: &Value) -> Value {
    json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "cloudkms.googleapis.com",
        "metadata": metadata,
    })
}

/// A response with a JSON body.
pub(crate) fn json_response(status: u16, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status.try_into().unwrap_or_default();
    response.headers_mut().insert(
        CONTENT_TYPE,
        axum::http::HeaderValue::from_static("application/json; charset=UTF-8"),
    );
    response
}

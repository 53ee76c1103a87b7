//! How to find a failed call in the service's own logs. It holds no text of the answer.

/// The status, error code and request id of an answer that reported a failure.
///
/// An error does not show it. [`ProviderError::service_error`](super::ProviderError::service_error) returns it to an
/// operator who asks. The text of the answer is never kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceError {
    http_status: Option<u16>,
    code: Option<Box<str>>,
    request_id: Option<Box<str>>,
}

impl ServiceError {
    /// A failure with this HTTP status.
    #[must_use]
    pub fn new(http_status: Option<u16>) -> Self {
        Self {
            http_status,
            ..Self::default()
        }
    }

    /// Adds the service's error code, such as `AccessDeniedException`. A text without the form of an error code is
    /// dropped.
    #[must_use]
    pub fn with_code(mut self, code: Option<&str>) -> Self {
        self.code = code.filter(|code| is_code(code)).map(Into::into);
        self
    }

    /// Adds the request's id in the service's logs. A text without the form of an id is dropped.
    #[must_use]
    pub fn with_request_id(mut self, id: Option<&str>) -> Self {
        self.request_id = id.filter(|id| is_request_id(id)).map(Into::into);
        self
    }

    /// The HTTP status of the answer.
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        self.http_status
    }

    /// The service's error code.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// The request's id in the service's logs.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }
}

fn is_code(code: &str) -> bool {
    (1..=64).contains(&code.len())
        && code.starts_with(|first: char| first.is_ascii_uppercase())
        && code
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn is_request_id(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_never_kept() {
        let kept = ServiceError::new(Some(403))
            .with_code(Some("AccessDeniedException"))
            .with_request_id(Some("1b2c-3d4e"));
        assert_eq!(kept.http_status(), Some(403));
        assert_eq!(kept.code(), Some("AccessDeniedException"));
        assert_eq!(kept.request_id(), Some("1b2c-3d4e"));
        let long = "A".repeat(65);
        for text in ["", "denied", "User x is not", "<html>", "A.b", &long] {
            let dropped = ServiceError::new(None)
                .with_code(Some(text))
                .with_request_id(Some(&format!("{text} \u{1b}")));
            assert_eq!(dropped, ServiceError::default(), "{text}");
        }
    }
}

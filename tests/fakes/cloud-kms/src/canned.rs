use axum::{
    body::Body,
    http::{HeaderValue, Response, header::CONTENT_TYPE},
};

/// A recorded answer of Google or of a proxy, which is sent for any request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canned {
    status: u16,
    content_type: &'static str,
    body: String,
}

impl Canned {
    /// An answer with this HTTP status and JSON body.
    #[must_use]
    pub fn json(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            content_type: "application/json; charset=UTF-8",
            body: body.into(),
        }
    }

    /// An answer with this HTTP status and a page for people.
    #[must_use]
    pub fn html(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            content_type: "text/html; charset=UTF-8",
            body: body.into(),
        }
    }

    pub(crate) fn response(&self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body.clone()));
        *response.status_mut() = self.status.try_into().unwrap_or_default();
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        response
    }
}

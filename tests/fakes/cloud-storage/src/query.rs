//! The query of a request.

use std::str::FromStr;

use axum::http::Uri;

use crate::refusal::Refusal;

/// The names and values of a query.
#[derive(Debug)]
pub(crate) struct Queries(Vec<(String, String)>);

impl Queries {
    pub(crate) fn of(uri: &Uri) -> Self {
        let query = uri.query().unwrap_or_default();
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        Self(pairs.into_owned().collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first value of this name.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let mut pairs = self.0.iter();
        pairs.find_map(|(found, value)| (found == name).then_some(value.as_str()))
    }

    /// As [`text`](Self::text), as a number.
    pub(crate) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, Refusal> {
        let number = self.text(name).map(str::parse).transpose();
        number.map_err(|_| Refusal::Invalid)
    }
}

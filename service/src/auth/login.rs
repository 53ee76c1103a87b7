//! Signing in with a browser: OpenID Connect's authorization code flow with PKCE.

use http::{HeaderMap, HeaderValue, StatusCode};
use thiserror::Error;

/// Signs people in. The server routes `GET /auth/login`, `GET /auth/callback` and `POST /auth/logout` here.
#[derive(Clone, Debug)]
pub struct Login {}

/// Where to send the browser, and the cookies to set: answer 303 with `Location`, each `Set-Cookie`, and
/// `Cache-Control: no-store`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Redirect {
    /// The header `Location`.
    pub location: HeaderValue,
    /// The headers `Set-Cookie`.
    pub cookies: Vec<HeaderValue>,
}

/// A login that failed. The text is for the user.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LoginError {
    /// The place to return to is not allowed.
    #[error("return_to must be a path of this server or a page of an allowed origin")]
    ReturnTo,
}

impl LoginError {
    /// 400, 401, 403 or 502.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::BAD_REQUEST
    }
}

impl Login {
    /// Begins a login: `GET /auth/login?return_to=…` with the request's query.
    ///
    /// # Errors
    /// When the place to return to is not allowed, or the issuer cannot be reached.
    pub async fn begin(&self, query: Option<&str>) -> Result<Redirect, LoginError> {
        let _ = query;
        Err(LoginError::ReturnTo)
    }

    /// Ends a login: `GET /auth/callback?code=…&state=…` with the request's query and headers.
    ///
    /// # Errors
    /// When the answer does not belong to a login of this browser, or the issuer does not vouch for the user.
    pub async fn finish(
        &self,
        query: Option<&str>,
        headers: &HeaderMap,
    ) -> Result<Redirect, LoginError> {
        let _ = (query, headers);
        Err(LoginError::ReturnTo)
    }

    /// Ends the session in this browser: `POST /auth/logout?return_to=…`. The server checks the origin first.
    ///
    /// # Errors
    /// When the place to return to is not allowed.
    pub fn end(&self, query: Option<&str>) -> Result<Redirect, LoginError> {
        let _ = query;
        Err(LoginError::ReturnTo)
    }
}

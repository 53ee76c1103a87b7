//! Why a login failed.

use http::StatusCode;
use thiserror::Error;

use crate::auth::{refused::Refused, web::WebError};

/// A login that failed. The text is for the user.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LoginError {
    /// The place to return to is not allowed.
    #[error(
        "return_to must be a path of this server, or a page of an origin in return_origins of [auth.login]"
    )]
    ReturnTo,
    /// The query is not that of a login.
    #[error("this is not the address of a login; begin at /auth/login")]
    Query,
    /// The browser has no cookie of a login that has begun, or it is too old.
    #[error(
        "no login has begun in this browser, or it took too long; begin again at /auth/login, and allow cookies"
    )]
    NotBegun,
    /// The answer belongs to another login.
    #[error("this answer belongs to another login; begin again at /auth/login")]
    OtherLogin,
    /// The issuer did not sign the user in.
    #[error("the issuer did not sign you in; begin again at /auth/login, or ask an administrator")]
    Declined,
    /// The issuer did not accept the code or this server's client.
    #[error(
        "the issuer did not accept the login; begin again at /auth/login. An administrator finds the reason in this server's log"
    )]
    Exchange,
    /// The issuer cannot be reached.
    #[error("the issuer cannot be reached; try again later")]
    Unavailable,
    /// Too many logins end at the same time.
    #[error("too many people sign in at the moment; try again in a moment")]
    Busy,
    /// The ID token is not valid.
    #[error("{0}")]
    Token(#[from] Refused),
    /// The user may do nothing here.
    #[error("you are signed in, but this server gives you no role. Ask its administrator for one")]
    NoPermission {
        /// The user, for logs.
        subject: String,
        /// The issuer's name in the configuration.
        issuer: String,
    },
    /// The session does not fit into a cookie.
    #[error(
        "you are in too many groups for a session; ask an administrator to name fewer groups in this server's configuration"
    )]
    TooLarge,
}

impl LoginError {
    /// 400, 401, 403, 502 or 503.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::ReturnTo | Self::Query | Self::NotBegun | Self::OtherLogin => {
                StatusCode::BAD_REQUEST
            }
            Self::Declined | Self::NoPermission { .. } | Self::TooLarge => StatusCode::FORBIDDEN,
            Self::Exchange | Self::Unavailable => StatusCode::BAD_GATEWAY,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Token(refused) => refused.status(),
        }
    }

    /// The issuer's answer has an error. Only the codes of the standards are logged: the rest may hold anything.
    pub(super) fn declined(issuer: &str, code: &str) -> Self {
        let is_code = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        let code = if code.len() <= 40 && code.bytes().all(is_code) {
            code
        } else {
            "other"
        };
        tracing::info!(issuer, code, "the issuer declined a login");
        Self::Declined
    }

    pub(super) fn exchange(issuer: &str, error: &WebError) -> Self {
        tracing::warn!(issuer, %error, "the code of a login cannot be exchanged; check client_id, client_secret_file and redirect_url");
        match error {
            WebError::Unreachable { .. } => Self::Unavailable,
            _ => Self::Exchange,
        }
    }
}

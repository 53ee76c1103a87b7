//! Authentication and authorisation of callers.
//!
//! [`AuthConfig`] reads the sections `[auth]`, `[auth.issuers.NAME]`, `[auth.tokens.NAME]`, … of a configuration.
//! [`Authenticator::open`] makes an [`Authenticator`] of it. For each request, the server collects the proofs in
//! [`Presented`], asks [`Authenticator::identify`] who the caller is, and asks [`Identity::allows`] whether the caller
//! may do what it asks for:
//!
//! ```no_run
//! # use temporal_kms_codec_service::auth::{Authenticator, Action, Presented};
//! # async fn f(authenticator: Authenticator, headers: http::HeaderMap) -> Result<(), Box<dyn std::error::Error>> {
//! let presented = Presented::in_headers(&headers)?;            // 401: `Refused::status`, `Refused::challenge`
//! let identity = authenticator.identify(&presented).await?;    // 401 or 503
//! identity.allows(Action::DECODE, &"payments".parse()?)?;   // 403
//! # Ok(()) }
//! ```
//!
//! [`Login`] signs people in with a browser.

mod address;
mod authenticator;
mod certificate;
mod config;
mod connection;
mod cookie;
mod examine;
mod examined;
mod identity;
mod issuer;
mod login;
mod permissions;
mod presented;
mod refused;
mod role;
mod secret;
mod token;
mod web;

#[cfg(test)]
mod tests;

pub use authenticator::Authenticator;
pub use certificate::{CertificateName, ClientCertificate, UnreadableCertificate};
pub use config::AuthConfig;
pub use examined::{
    ExaminedIssuer, ExaminedLogin, IssuerAnswer, IssuerClock, IssuerFault, LoginAnswer,
};
pub use identity::{CallerId, Denied, Identity, Method};
pub use login::{Login, LoginError, Redirect};
pub use permissions::{Permission, Permissions};
pub use presented::{AUTHORIZATION_EXTRAS, Presented, UnixPeer};
pub use refused::{Refused, TokenFault};
pub use role::{Action, Role, Roles};
pub use token::NewToken;

#[cfg(fuzzing)]
#[doc(hidden)]
pub use issuer::verified_claims;

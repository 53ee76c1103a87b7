//! What is to be known about issuers and logins: for a diagnosis.

use std::time::{Duration, SystemTime};

/// An issuer of the configuration, and what it answered.
#[derive(Debug)]
#[non_exhaustive]
pub struct ExaminedIssuer {
    /// NAME of `[auth.issuers.NAME]`.
    pub name: String,
    /// The claim `iss` of its tokens.
    pub issuer: String,
    /// The audience of tokens in `Authorization`.
    pub audience: Vec<String>,
    /// The audience of ID tokens in `Authorization-Extras`.
    pub id_token_audience: Vec<String>,
    /// The algorithms that the configuration accepts.
    pub algorithms: Vec<&'static str>,
    /// How far the issuer's clock may differ.
    pub clock_skew: Duration,
    /// Its documents, or why they cannot be used.
    pub answer: Result<IssuerAnswer, IssuerFault>,
    /// Which time it told, if it did.
    pub clock: Option<IssuerClock>,
}

/// What an issuer's documents say.
#[derive(Debug)]
#[non_exhaustive]
pub struct IssuerAnswer {
    /// How many of its keys check signatures.
    pub keys: usize,
    /// The accepted algorithms that one of the keys fits.
    pub fitting: Vec<&'static str>,
    /// The algorithms that it says it signs with.
    pub announced: Option<Vec<String>>,
    /// What it says about logins. `None` when its other document was not asked for.
    pub login: Option<LoginAnswer>,
}

/// What an issuer says about logins.
#[derive(Debug)]
#[non_exhaustive]
pub struct LoginAnswer {
    /// Whether it has the two endpoints that a login takes.
    pub has_endpoints: bool,
    /// Whether it says that it supports PKCE with S256. `None` when it does not say.
    pub supports_pkce: Option<bool>,
    /// The scopes that it says it supports.
    pub scopes: Option<Vec<String>>,
}

/// Why an issuer's documents cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IssuerFault {
    /// Why, for the user. It holds nothing of the documents.
    pub message: String,
    /// Whether the same configuration may work later.
    pub is_transient: bool,
}

/// The time that an issuer told.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct IssuerClock {
    /// Its header `Date`.
    pub date: SystemTime,
    /// When it was asked.
    pub before: SystemTime,
    /// When its answer was there.
    pub after: SystemTime,
}

/// How people sign in with a browser.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ExaminedLogin {
    /// NAME of `[auth.issuers.NAME]`.
    pub issuer: String,
    /// Where the issuer sends browsers back.
    pub redirect_url: String,
    /// The host of that.
    pub host: String,
    /// Whether that is `https://`.
    pub is_secure: bool,
    /// Whether the secret of the cookies is in a file.
    pub has_secret_file: bool,
    /// Whether the client has a secret.
    pub has_client_secret: bool,
    /// The origins beside the server's own that a login may return to.
    pub return_origins: Vec<String>,
    /// What is asked for at the issuer.
    pub scopes: Vec<String>,
}

//! How the issuer fails.

use std::str::FromStr;

/// A failure of all of the issuer's answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 500.
    Error,
    /// A redirect to this path of the issuer.
    Redirect,
    /// Text that is not JSON.
    NotJson,
    /// An answer of 2 MiB.
    Huge,
    /// No answer.
    Silent,
    /// The discovery document names another issuer.
    OtherIssuer,
    /// The discovery document has keys at a URL without TLS elsewhere.
    PlainKeys,
    /// No keys.
    NoKeys,
    /// The header `Date` is an hour ahead.
    WrongClock,
    /// The discovery document says that PKCE is not supported.
    NoPkce,
    /// The discovery document has no endpoints for logins.
    NoLogin,
}

impl FromStr for Fault {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "error" => Ok(Self::Error),
            "redirect" => Ok(Self::Redirect),
            "not-json" => Ok(Self::NotJson),
            "huge" => Ok(Self::Huge),
            "silent" => Ok(Self::Silent),
            "other-issuer" => Ok(Self::OtherIssuer),
            "plain-keys" => Ok(Self::PlainKeys),
            "no-keys" => Ok(Self::NoKeys),
            "wrong-clock" => Ok(Self::WrongClock),
            "no-pkce" => Ok(Self::NoPkce),
            "no-login" => Ok(Self::NoLogin),
            _ => Err("there is no such fault"),
        }
    }
}

//! `[auth.login]`: signing in with a browser.

use std::{path::PathBuf, time::Duration};

use url::Url;

use crate::{
    auth::{address, examined::ExaminedLogin},
    settings::{Section, values},
};

/// The client of an issuer that this server is.
#[derive(Clone, Debug)]
pub(in crate::auth) struct LoginConfig {
    /// `issuer`: NAME of `[auth.issuers.NAME]`.
    pub(in crate::auth) issuer: String,
    /// `client_id`.
    pub(super) client_id: String,
    /// `client_secret_file`. Default: a public client, which PKCE protects.
    pub(super) client_secret_file: Option<PathBuf>,
    /// `redirect_url`: this server's `/auth/callback` as browsers see it.
    pub(super) redirect_url: Url,
    /// `scopes`. Default: `openid`, `email` and `profile`.
    pub(super) scopes: Vec<String>,
    /// `session_lifetime`. Default: 8 h.
    pub(super) session_lifetime: Duration,
    /// `secret_file`: the secret of the cookies, one a line. Default: random for each process.
    pub(super) secret_file: Option<PathBuf>,
    /// `return_origins`: origins beside this server that a login may return to, such as that of the Web UI.
    pub(super) return_origins: Vec<String>,
}

impl LoginConfig {
    /// What a diagnosis looks at.
    pub(in crate::auth) fn examined(&self) -> ExaminedLogin {
        ExaminedLogin {
            issuer: self.issuer.clone(),
            redirect_url: self.redirect_url.to_string(),
            host: self.redirect_url.host_str().unwrap_or_default().to_owned(),
            is_secure: self.redirect_url.scheme() == "https",
            has_secret_file: self.secret_file.is_some(),
            has_client_secret: self.client_secret_file.is_some(),
            return_origins: self.return_origins.clone(),
            scopes: self.scopes.clone(),
        }
    }

    /// `None` when it has mistakes, which are reported.
    pub(in crate::auth) fn read(mut section: Section<'_>) -> Option<Self> {
        let text = |text: &str| Ok::<_, String>(text.to_owned());
        let issuer = section.text("issuer", text);
        let client_id = section.text("client_id", text);
        let client_secret_file = section.text("client_secret_file", values::absolute_path);
        let redirect_url = section.text("redirect_url", redirect_url);
        let scopes = section.list("scopes", scope);
        let mut session_lifetime = Duration::from_hours(8);
        section.set("session_lifetime", &mut session_lifetime, lifetime);
        let secret_file = section.text("secret_file", values::absolute_path);
        let return_origins = section.list("return_origins", origin);
        for (key, what) in [
            ("issuer", "NAME of [auth.issuers.NAME]"),
            ("client_id", "the id of this server's client at the issuer"),
            (
                "redirect_url",
                "the URL of /auth/callback, such as https://codec.example.com/auth/callback",
            ),
        ] {
            if !section.holds(key) {
                section.report(format!("`{key}` is missing; add {what}"));
            }
        }
        section.finish();
        let mut scopes =
            scopes.unwrap_or_else(|| ["openid", "email", "profile"].map(str::to_owned).into());
        if !scopes.iter().any(|scope| scope == "openid") {
            scopes.insert(0, "openid".to_owned());
        }
        Some(Self {
            issuer: issuer?,
            client_id: client_id?,
            client_secret_file,
            redirect_url: redirect_url?,
            scopes,
            session_lifetime,
            secret_file,
            return_origins: return_origins.unwrap_or_default(),
        })
    }
}

fn redirect_url(text: &str) -> Result<Url, String> {
    let url = address::parse(text)?;
    if url.path() != "/auth/callback" || url.query().is_some() {
        return Err(
            "it must end in /auth/callback, such as https://codec.example.com/auth/callback"
                .to_owned(),
        );
    }
    Ok(url)
}

/// A scope (RFC 6749, section 3.3).
fn scope(text: &str) -> Result<String, String> {
    let is_scope = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    if !text.is_empty() && text.bytes().all(is_scope) {
        return Ok(text.to_owned());
    }
    Err("expected a scope without spaces, such as \"email\"".to_owned())
}

fn lifetime(text: &str) -> Result<Duration, String> {
    match values::timeout(text)? {
        lifetime if lifetime > Duration::from_hours(7 * 24) => {
            Err("it must be at most 7d, because a session cannot be ended from outside".to_owned())
        }
        lifetime => Ok(lifetime),
    }
}

fn origin(text: &str) -> Result<String, String> {
    let url = address::parse(text)?;
    let origin = url.origin().ascii_serialization();
    if origin == text {
        return Ok(origin);
    }
    Err(format!(
        "expected an origin without a path, such as {origin}"
    ))
}

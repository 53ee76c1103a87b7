//! `[auth]` and the sections below it.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    connection::{CertificateConfig, PeerConfig},
    issuer::IssuerConfig,
    login::LoginConfig,
    token::TokenConfig,
    web::WebConfig,
};
use crate::settings::{Fault, Section, values};

/// Who may call, and what each caller may do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AuthConfig {
    /// `max_token`: bytes of one token. Default: 16 KiB.
    pub max_token: usize,
    /// `[auth.http]`.
    pub(super) web: WebConfig,
    /// `[auth.issuers.NAME]`.
    pub(super) issuers: BTreeMap<String, IssuerConfig>,
    /// `[auth.tokens.NAME]`.
    pub(super) tokens: BTreeMap<String, TokenConfig>,
    /// `[auth.certificates.NAME]`.
    pub(super) certificates: BTreeMap<String, CertificateConfig>,
    /// `[auth.peers.NAME]`.
    pub(super) peers: BTreeMap<String, PeerConfig>,
    /// `[auth.login]`.
    pub(super) login: Option<LoginConfig>,
    /// What a caller is told to send, where issuers are known.
    pub(super) issuer_remedy: &'static str,
    /// Whether a caller without a token is told to open `/auth/login`, where a login is configured.
    pub(super) advises_login: bool,
    /// Whether the file has the section, and no caller in it.
    is_empty_section: bool,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            max_token: 16 << 10,
            web: WebConfig::default(),
            issuers: BTreeMap::new(),
            tokens: BTreeMap::new(),
            certificates: BTreeMap::new(),
            peers: BTreeMap::new(),
            login: None,
            issuer_remedy: "Send `Authorization: Bearer TOKEN` with a token of an issuer that this server knows",
            advises_login: true,
            is_empty_section: false,
        }
    }
}

impl AuthConfig {
    /// Reads `document.section("auth")` with all sections below it, such as `[auth.issuers.NAME]`.
    #[must_use]
    pub fn read(mut section: Section<'_>) -> Self {
        let mut auth = Self::default();
        section.set("max_token", &mut auth.max_token, token_bytes);
        auth.web = WebConfig::read(section.table("http"));
        auth.issuers = unique(&mut section, "issuers", IssuerConfig::read, |config| {
            vec![format!("issuer {}", config.issuer)]
        });
        auth.tokens = unique(&mut section, "tokens", TokenConfig::read, |config| {
            config.hashes.iter().map(hex::encode).collect()
        });
        auth.certificates = unique(
            &mut section,
            "certificates",
            CertificateConfig::read,
            |config| config.names.iter().map(ToString::to_string).collect(),
        );
        auth.peers = unique(&mut section, "peers", PeerConfig::read, |config| {
            config.users.clone()
        });
        let login = section.table("login");
        if section.holds("login") {
            auth.login = LoginConfig::read(login);
        }
        if let Some(login) = &auth.login
            && !auth.issuers.contains_key(&login.issuer)
            && !section.holds_table("issuers", &login.issuer)
        {
            section.report(format!(
                "`login.issuer` names `{0}`; add [auth.issuers.{0}], or correct the name",
                login.issuer
            ));
        }
        // A caller with a mistake is reported already.
        let callers = ["issuers", "tokens", "certificates", "peers"];
        auth.is_empty_section = section.is_present()
            && !section.holds("login")
            && !callers.iter().any(|key| section.holds_tables(key));
        section.finish();
        auth
    }

    /// Replaces the advice that a server with issuers gives a caller without a token. Each program knows how its callers get
    /// one.
    #[must_use]
    pub fn with_issuer_remedy(mut self, remedy: &'static str) -> Self {
        self.issuer_remedy = remedy;
        self
    }

    /// For a program that does not serve `/auth/login`: a caller without a token is not told to open it, although the
    /// configuration has a section `[auth.login]`.
    #[must_use]
    pub fn without_login_advice(mut self) -> Self {
        self.advises_login = false;
        self
    }

    /// Whether the configuration has no way to authenticate, so that every caller would have every role. Listen on
    /// loopback only then.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.issuers.is_empty()
            && self.tokens.is_empty()
            && self.certificates.is_empty()
            && self.peers.is_empty()
            && self.login.is_none()
    }

    /// Whether issuers are called. If not, their client is not set up: it reads all certificates of the system, which takes
    /// longer than the rest of the start.
    pub(super) fn calls_issuers(&self) -> bool {
        // A file of authorities is examined even if nobody needs it.
        !self.issuers.is_empty() || self.web != WebConfig::default()
    }

    /// A section that authenticates nobody. Its author expects authentication.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        let message = "the section names no caller, so everybody could decrypt; add [auth.issuers.NAME], \
                       [auth.tokens.NAME], [auth.certificates.NAME] or [auth.peers.NAME], or remove the section";
        self.is_empty_section.then(|| Fault::new("auth", message))
    }

    /// Whether a connection alone can prove who calls, by its certificate or its user. Requests must then be addressed to
    /// names that are known.
    #[must_use]
    pub fn trusts_connections(&self) -> bool {
        !(self.certificates.is_empty() && self.peers.is_empty())
    }

    /// Whether client certificates count, so that TLS must ask for them.
    #[must_use]
    pub fn has_certificates(&self) -> bool {
        !self.certificates.is_empty()
    }
}

/// The sections `[auth.KEY.NAME]`. What `keys` gives of one section must not be in another one too: which caller would it
/// be?
fn unique<T>(
    section: &mut Section<'_>,
    key: &'static str,
    read: impl Fn(Section<'_>) -> Option<T>,
    keys: impl Fn(&T) -> Vec<String>,
) -> BTreeMap<String, T> {
    let (mut all, mut seen) = (BTreeMap::new(), BTreeSet::new());
    for (name, table) in section.tables(key) {
        if name.is_empty() || name.len() > 100 || name.chars().any(char::is_control) {
            table.report_name("expected a name of 1 to 100 characters");
        }
        let Some(config) = read(table) else {
            continue;
        };
        for found in keys(&config) {
            if !seen.insert(found.clone()) {
                section.report(format!(
                    "`{key}.{name}` has {found}, which is listed already; remove it from one of the two"
                ));
            }
        }
        all.insert(name, config);
    }
    all
}

fn token_bytes(text: &str) -> Result<usize, String> {
    match values::bytes(text)? {
        bytes if bytes < 1 << 10 => Err("it must be at least 1KiB".to_owned()),
        bytes if bytes > 1 << 20 => Err("it must be at most 1MiB".to_owned()),
        bytes => Ok(bytes),
    }
}

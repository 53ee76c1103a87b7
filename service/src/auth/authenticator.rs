//! Finds out who sent a request.

use std::{sync::Arc, time::SystemTime};

use futures::future::join_all;
use http::HeaderValue;

use super::{
    config::AuthConfig,
    connection::{Certificates, Peers},
    identity::{Identity, Method},
    issuer::{self, Issuer, Kind, User, looks_like_jwt},
    login::Login,
    presented::Presented,
    refused::{Refused, TokenFault},
    token::Tokens,
    web::{Web, WebConfig},
};
use crate::settings::Fault;

const AUTHORIZATION: &str = "the header Authorization";
const EXTRAS: &str = "the header Authorization-Extras";

/// Knows all callers. Cheap to clone; a reload replaces it by a new one.
#[derive(Clone, Debug)]
pub struct Authenticator(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    is_open: bool,
    web: WebConfig,
    max_token: usize,
    issuers: Vec<Arc<Issuer>>,
    tokens: Tokens,
    certificates: Certificates,
    peers: Peers,
    login: Option<Login>,
    issuer_remedy: &'static str,
    advises_login: bool,
}

/// A user that an issuer vouches for.
struct Vouched<'i> {
    issuer: &'i Issuer,
    user: User,
}

impl Authenticator {
    /// Opens the files that the configuration names. Nothing is fetched yet.
    ///
    /// # Errors
    /// Every file that is missing or cannot be used, with its setting.
    pub fn open(config: &AuthConfig) -> Result<Self, Vec<Fault>> {
        Self::open_after(None, config)
    }

    /// As [`open`](Self::open), for a configuration that changed. The keys of issuers that did not change are kept, and
    /// sessions do not end: an issuer that is unreachable during a reload locks no user out.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn reopen(&self, config: &AuthConfig) -> Result<Self, Vec<Fault>> {
        Self::open_after(Some(&self.0), config)
    }

    fn open_after(previous: Option<&Inner>, config: &AuthConfig) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let peers = Peers::open(&config.peers).unwrap_or_else(|found| {
            faults.extend(found);
            Peers::default()
        });
        let web = match config.calls_issuers().then(|| Web::open(&config.web)) {
            None => None,
            Some(Ok(web)) => Some(web),
            Some(Err(fault)) => {
                faults.push(fault);
                return Err(faults);
            }
        };
        let known = previous.filter(|previous| previous.web == config.web);
        let issuers = web.iter().flat_map(|web| {
            let issuers = config.issuers.iter();
            issuers.map(move |(name, config)| {
                let known = known.and_then(|known| known.issuer(name));
                let known = known.map(|issuer| &**issuer);
                Arc::new(Issuer::new(name, config.clone(), web.clone(), known))
            })
        });
        let issuers: Vec<Arc<Issuer>> = issuers.collect();
        let login = config.login.as_ref().zip(web).and_then(|(login, web)| {
            let issuer = issuers
                .iter()
                .find(|issuer| issuer.name() == login.issuer)?;
            let previous = previous.and_then(|previous| previous.login.as_ref());
            let opened = Login::open(login, Arc::clone(issuer), web, previous, known.is_some());
            opened.map_err(|found| faults.extend(found)).ok()
        });
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self(Arc::new(Inner {
            is_open: config.is_open(),
            web: config.web.clone(),
            max_token: config.max_token,
            issuers,
            tokens: Tokens::new(&config.tokens),
            certificates: Certificates::new(&config.certificates),
            peers,
            login,
            issuer_remedy: config.issuer_remedy,
            advises_login: config.advises_login,
        })))
    }

    /// Fetches the keys of all issuers, so that the first caller need not wait. Call it once after the start, in the
    /// background: an issuer that is unreachable does not keep the server from starting.
    pub async fn warm_up(&self) {
        join_all(self.0.issuers.iter().map(|issuer| issuer.warm_up())).await;
    }

    /// Whether every caller has every role, because the configuration has no way to authenticate.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.is_open
    }

    /// Whether a connection alone can prove who calls, by its certificate or its user. A request on it then needs nothing
    /// that a web page could not send.
    #[must_use]
    pub fn trusts_connections(&self) -> bool {
        !(self.0.certificates.is_empty() && self.0.peers.is_empty())
    }

    /// Signing in with a browser, if it is configured.
    #[must_use]
    pub fn login(&self) -> Option<&Login> {
        self.0.login.as_ref()
    }

    /// Who sent a request.
    ///
    /// A token in `Authorization` or `Authorization-Extras` decides when there is one, then the session's cookie, then
    /// the client's certificate or the peer of the socket. A certificate or a peer counts only where the request itself
    /// proves nothing: a proxy's certificate must not lend its roles to a user whose token has expired.
    ///
    /// # Errors
    /// Why the caller is not known.
    pub async fn identify(&self, presented: &Presented<'_>) -> Result<Identity, Refused> {
        let (inner, now) = (&self.0, SystemTime::now());
        if inner.is_open {
            return Ok(Identity::anyone());
        }
        let by_token = inner.by_token(presented, now).await;
        if let Some(Ok(identity)) = by_token {
            return Ok(identity);
        }
        if let (Some(login), Some(session)) = (&inner.login, presented.session) {
            let by_session = login.identify(session, now);
            return match (by_token, by_session) {
                (Some(Err(refused)), Err(_)) => Err(refused),
                (_, by_session) => by_session,
            };
        }
        if let Some(Err(refused)) = by_token {
            return Err(refused);
        }
        match (presented.certificate, presented.peer) {
            (Some(certificate), _) if !inner.certificates.is_empty() => {
                inner.certificates.find(certificate, now)
            }
            (_, Some(peer)) if !inner.peers.is_empty() => inner.peers.find(peer),
            _ => Err(inner.missing()),
        }
    }
}

impl Inner {
    fn issuer(&self, name: &str) -> Option<&Arc<Issuer>> {
        self.issuers.iter().find(|issuer| issuer.name() == name)
    }

    /// `None` when the request has no token.
    async fn by_token(
        &self,
        presented: &Presented<'_>,
        now: SystemTime,
    ) -> Option<Result<Identity, Refused>> {
        let authorization = match presented.authorization.map(|value| self.bearer(value)) {
            Some(Ok(token)) if Tokens::is_token(token) => {
                return Some(self.tokens.find(token, now));
            }
            Some(Ok(token)) => Some(self.vouched(token, Kind::Access, now).await),
            Some(Err(refused)) => Some(Err(refused)),
            None => None,
        };
        let extras = match presented.extras.map(|value| self.text(value, EXTRAS)) {
            Some(Ok("")) | None => None,
            Some(Ok(token)) => Some(self.vouched(token, Kind::Id, now).await),
            Some(Err(refused)) => Some(Err(refused)),
        };
        let vouched = match (authorization, extras) {
            (Some(Ok(mut access)), Some(Ok(id))) => {
                // Two tokens of one user: the ID token often has the e-mail address, the access token the permissions.
                if access.issuer.name() == id.issuer.name()
                    && access.user.subject == id.user.subject
                {
                    access.user.merge(id.user);
                }
                Ok(access)
            }
            (Some(Ok(found)), _) | (_, Some(Ok(found))) => Ok(found),
            // Access tokens of many issuers are opaque. The ID token counts then.
            (Some(Err(Refused::Token(TokenFault::Unknown))) | None, Some(Err(refused)))
            | (Some(Err(refused)), _) => Err(refused),
            (None, None) => return None,
        };
        Some(vouched.map(|Vouched { issuer, user }| issuer.identity(user, Method::Jwt)))
    }

    async fn vouched(
        &self,
        token: &str,
        kind: Kind<'_>,
        now: SystemTime,
    ) -> Result<Vouched<'_>, Refused> {
        if !looks_like_jwt(token) {
            return Err(TokenFault::Unknown.into());
        }
        let issuers = self.issuers.iter().map(|issuer| &**issuer);
        let (unverified, issuer) = issuer::read(token, issuers)?;
        if !issuer.accepts(kind) {
            return Err(TokenFault::Audience.into());
        }
        let user = issuer.verify(unverified, kind, now).await?.user;
        Ok(Vouched { issuer, user })
    }

    /// The token behind `Bearer` (RFC 6750).
    fn bearer<'r>(&self, value: &'r HeaderValue) -> Result<&'r str, Refused> {
        let text = self.text(value, AUTHORIZATION)?;
        match text.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
            _ => Err(Refused::unreadable(
                AUTHORIZATION,
                "does not have the form `Bearer TOKEN`; send a token in this form",
            )),
        }
    }

    fn text<'r>(&self, value: &'r HeaderValue, what: &'static str) -> Result<&'r str, Refused> {
        if value.len() > self.max_token {
            return Err(TokenFault::TooLong.into());
        }
        let text = value.to_str();
        let unreadable =
            |_| Refused::unreadable(what, "has characters that no token has; send a token");
        text.map(str::trim).map_err(unreadable)
    }

    fn missing(&self) -> Refused {
        Refused::Missing {
            remedy: if self.advises_login && self.login.is_some() {
                "Open /auth/login of this server in the browser, or send `Authorization: Bearer TOKEN`"
            } else if self.issuers.is_empty() && self.certificates.is_empty() {
                "Send `Authorization: Bearer TOKEN` with a token of this server's configuration"
            } else if self.issuers.is_empty() {
                "Send a client certificate, or `Authorization: Bearer TOKEN`"
            } else {
                self.issuer_remedy
            },
        }
    }
}

//! Signing in with a browser: OIDC's authorization code flow with PKCE (RFC 7636).
//!
//! Nothing is kept here between two requests: the browser has a cookie for a login that has begun and another one for the
//! session, both encrypted.

mod config;
mod endpoints;
mod error;
mod return_to;
mod sealed;

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use temporal_kms::support::random;
use tokio::sync::Semaphore;
use url::Url;
use zeroize::Zeroizing;

use self::{
    endpoints::LoginEndpoints,
    sealed::{Keys, Purpose},
};
use super::{
    cookie::{self, SameSite},
    identity::{Identity, Method},
    issuer::{self, Issuer, Kind, User},
    refused::{Refused, TokenFault},
    secret::{self, Secret},
    web::Web,
};
use crate::settings::Fault;

pub(super) use config::LoginConfig;
pub use error::LoginError;

/// How long a user has at the issuer's page.
const LOGIN_TIME: Duration = Duration::from_mins(15);
/// Codes that are exchanged at the same time. Anybody can begin a login, and each end of one is a call of the issuer.
const MOST_EXCHANGES: usize = 8;

/// Signs people in. The server routes `GET /auth/login`, `GET /auth/callback` and `POST /auth/logout` here.
#[derive(Clone, Debug)]
pub struct Login(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: LoginConfig,
    issuer: Arc<Issuer>,
    endpoints: LoginEndpoints,
    web: Web,
    client_secret: Option<Secret>,
    keys: Arc<Keys>,
    exchanges: Arc<Semaphore>,
}

/// Where to send the browser, and the cookies to set: answer 303 with `Location`, each `Set-Cookie`, and
/// `Cache-Control: no-store`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Redirect {
    /// The header `Location`.
    pub location: HeaderValue,
    /// The headers `Set-Cookie`.
    pub cookies: Vec<HeaderValue>,
    /// Who is signed in now, at the end of a login. Note it in an audit log.
    pub signed_in: Option<Identity>,
}

/// A login that has begun, in the browser's cookie.
#[derive(Serialize, Deserialize)]
struct Begun {
    /// Ties the issuer's answer to this browser, so that an attacker cannot sign a user in as the attacker.
    state: String,
    /// Ties the ID token to this login.
    nonce: String,
    /// Ties the code to this login.
    verifier: Zeroizing<String>,
    return_to: String,
    expires: u64,
}

/// A session, in the browser's cookie.
#[derive(Serialize, Deserialize)]
struct Session {
    /// [`source`] of the configuration that it was made with.
    #[serde(rename = "i")]
    source: String,
    #[serde(rename = "u")]
    user: User,
    #[serde(rename = "t")]
    issued: u64,
    #[serde(rename = "x")]
    expires: u64,
}

/// The answer of a token endpoint. The access token is not used.
#[derive(Deserialize)]
struct Tokens {
    id_token: Zeroizing<String>,
}

impl Login {
    /// Reads the secrets. Without a file of its own, it goes on with the key of `previous`. `same_web` says whether
    /// `previous` reaches issuers in the same way.
    ///
    /// # Errors
    /// The files that cannot be used.
    pub(super) fn open(
        config: &LoginConfig,
        issuer: Arc<Issuer>,
        web: Web,
        previous: Option<&Self>,
        same_web: bool,
    ) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut fault = |setting: &str, message| {
            faults.push(Fault::new(format!("auth.login.{setting}"), message));
        };
        let client_secret = match &config.client_secret_file {
            Some(path) => match secret::read_lines(path) {
                Ok(lines) => lines.into_iter().next(),
                Err(message) => {
                    fault("client_secret_file", message);
                    None
                }
            },
            None => None,
        };
        let random = previous.filter(|login| login.0.config.secret_file.is_none());
        let keys = match (&config.secret_file, random) {
            (None, Some(login)) => Ok(Arc::clone(&login.0.keys)),
            (path, _) => Keys::open(path.as_deref()).map(Arc::new),
        };
        let keys = keys.map_err(|message| fault("secret_file", message));
        let known = previous
            .filter(|_| same_web)
            .map(|login| &login.0.endpoints)
            .filter(|endpoints| endpoints.are_of(&issuer));
        let endpoints = match known {
            Some(endpoints) => endpoints.clone(),
            None => LoginEndpoints::new(&issuer, web.clone()),
        };
        let exchanges = match previous {
            Some(login) => Arc::clone(&login.0.exchanges),
            None => Arc::new(Semaphore::new(MOST_EXCHANGES)),
        };
        match keys {
            Ok(keys) if faults.is_empty() => Ok(Self(Arc::new(Inner {
                config: config.clone(),
                endpoints,
                exchanges,
                issuer,
                web,
                client_secret,
                keys,
            }))),
            _ => Err(faults),
        }
    }

    /// Begins a login: `GET /auth/login?return_to=…` with the request's query.
    ///
    /// # Errors
    /// When the place to return to is not allowed, or the issuer cannot be reached.
    pub async fn begin(&self, query: Option<&str>) -> Result<Redirect, LoginError> {
        let inner = &self.0;
        let query = parameters(query)?;
        let return_to = self.return_to(query.get("return_to"))?;
        let (authorization, _) = inner.endpoints.get().await?;
        let begun = Begun {
            state: random_text()?,
            nonce: random_text()?,
            verifier: Zeroizing::new(random_text()?),
            return_to: return_to.into(),
            expires: seconds(SystemTime::now() + LOGIN_TIME),
        };
        let location = inner.authorization_url(authorization, &begun);
        let sealed = inner.keys.seal(Purpose::Login, &begun);
        let cookie = sealed
            .and_then(|sealed| cookie::set(cookie::LOGIN, &sealed, SameSite::Lax, LOGIN_TIME));
        Redirect::new(&location, [cookie.ok_or(LoginError::TooLarge)?])
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
        let (inner, now) = (&self.0, SystemTime::now());
        let query = parameters(query)?;
        let cookie = cookie::find(headers, cookie::LOGIN).map_err(|_| LoginError::NotBegun)?;
        let begun: Begun = cookie
            .and_then(|cookie| inner.keys.unseal(Purpose::Login, cookie))
            .filter(|begun: &Begun| seconds(now) < begun.expires)
            .ok_or(LoginError::NotBegun)?;
        let state = query.get("state").map(Cow::as_ref).unwrap_or_default();
        if !bool::from(state.as_bytes().ct_eq(begun.state.as_bytes())) {
            return Err(LoginError::OtherLogin);
        }
        // Another issuer's answer could be mixed in (RFC 9207).
        let issuer = &inner.issuer.config().issuer;
        if query.get("iss").is_some_and(|named| named != issuer) {
            return Err(LoginError::OtherLogin);
        }
        if let Some(error) = query.get("error") {
            return Err(LoginError::declined(inner.issuer.name(), error));
        }
        let code = query.get("code").ok_or(LoginError::Query)?;
        let user = inner.exchange(code, &begun, now).await?;
        let identity = inner.issuer.identity(user.clone(), Method::Session);
        if identity.permissions().is_empty() {
            return Err(LoginError::NoPermission {
                subject: identity.subject().to_owned(),
                issuer: inner.issuer.name().to_owned(),
            });
        }
        let lifetime = inner.config.session_lifetime;
        let session = Session {
            source: inner.source(),
            user,
            issued: seconds(now),
            expires: seconds(now + lifetime),
        };
        let sealed = inner.keys.seal(Purpose::Session, &session);
        let session = sealed
            .and_then(|sealed| cookie::set(cookie::SESSION, &sealed, SameSite::None, lifetime));
        let session = session.ok_or(LoginError::TooLarge)?;
        // The configuration may have changed since the login began.
        let return_to = self.return_to(Some(&Cow::Borrowed(&begun.return_to)))?;
        let cookies = [session]
            .into_iter()
            .chain(cookie::remove(cookie::LOGIN, SameSite::Lax));
        let redirect = Redirect::new(&return_to, cookies)?;
        Ok(Redirect {
            signed_in: Some(identity),
            ..redirect
        })
    }

    /// Ends the session in this browser: `POST /auth/logout?return_to=…`. The server checks the origin first.
    ///
    /// # Errors
    /// When the place to return to is not allowed.
    pub fn end(&self, query: Option<&str>) -> Result<Redirect, LoginError> {
        let query = parameters(query)?;
        let return_to = self.return_to(query.get("return_to"))?;
        Redirect::new(&return_to, cookie::remove(cookie::SESSION, SameSite::None))
    }

    /// Who has this session.
    pub(super) fn identify(&self, cookie: &str, now: SystemTime) -> Result<Identity, Refused> {
        let inner = &self.0;
        let session: Session = inner
            .keys
            .unseal(Purpose::Session, cookie)
            .ok_or(Refused::Session)?;
        let now = seconds(now);
        let skew = LOGIN_TIME.as_secs();
        let is_current = now < session.expires && session.issued <= now + skew;
        // A shorter lifetime in the configuration counts for sessions that exist.
        let is_young = now.saturating_sub(session.issued) < inner.config.session_lifetime.as_secs();
        if !is_current || !is_young || session.source != inner.source() {
            return Err(Refused::Session);
        }
        Ok(inner.issuer.identity(session.user, Method::Session))
    }

    fn return_to(&self, wanted: Option<&Cow<'_, str>>) -> Result<Url, LoginError> {
        let config = &self.0.config;
        let wanted = wanted.map_or("/", Cow::as_ref);
        return_to::allowed(wanted, &config.redirect_url, &config.return_origins)
            .ok_or(LoginError::ReturnTo)
    }
}

impl Inner {
    /// The issuer and the client, as a short text. A session counts only while they are the same: another issuer under the
    /// same name has other users.
    fn source(&self) -> String {
        let (name, issuer) = (self.issuer.name(), &self.issuer.config().issuer);
        let mut digest = Sha256::new();
        for text in [name, issuer, &self.config.client_id] {
            digest.update((text.len() as u64).to_be_bytes());
            digest.update(text);
        }
        URL_SAFE_NO_PAD.encode(digest.finalize())
    }

    fn authorization_url(&self, mut url: Url, begun: &Begun) -> Url {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(begun.verifier.as_bytes()));
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.config.client_id)
            .append_pair("redirect_uri", self.config.redirect_url.as_str())
            .append_pair("scope", &self.config.scopes.join(" "))
            .append_pair("state", &begun.state)
            .append_pair("nonce", &begun.nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        url
    }

    /// The user whom the issuer vouches for with this code.
    async fn exchange(
        &self,
        code: &str,
        begun: &Begun,
        now: SystemTime,
    ) -> Result<User, LoginError> {
        let _place = self.exchanges.try_acquire().map_err(|_| LoginError::Busy)?;
        let (_, token_endpoint) = self.endpoints.get().await?;
        let client = self.config.client_id.as_str();
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.config.redirect_url.as_str()),
            ("client_id", client),
            ("code_verifier", begun.verifier.as_str()),
        ];
        let mut basic = None;
        if let Some(secret) = &self.client_secret {
            if token_endpoint.takes_secret_in_form {
                form.push(("client_secret", secret.expose()));
            } else {
                basic = Some((client, secret));
            }
        }
        let tokens: Tokens = self
            .web
            .post_form(&token_endpoint.url, &form, basic)
            .await
            .map_err(|error| LoginError::exchange(self.issuer.name(), &error))?;
        let token = tokens.id_token.as_str();
        let (unverified, issuer) = issuer::read(token, [&*self.issuer]).map_err(Refused::from)?;
        let verified = issuer.verify(unverified, Kind::Login(client), now).await?;
        let nonce = verified.text("nonce").unwrap_or_default();
        let is_ours = bool::from(nonce.as_bytes().ct_eq(begun.nonce.as_bytes()));
        // The client that the token was made for, where there are several audiences (OIDC Core, section 3.1.3.7).
        let is_for_us = verified.text("azp").is_none_or(|azp| azp == client);
        if !is_ours || !is_for_us {
            return Err(Refused::from(TokenFault::Nonce).into());
        }
        Ok(verified.user)
    }
}

impl Redirect {
    fn new(
        location: &Url,
        cookies: impl IntoIterator<Item = HeaderValue>,
    ) -> Result<Self, LoginError> {
        Ok(Self {
            location: HeaderValue::from_str(location.as_str()).map_err(|_| LoginError::ReturnTo)?,
            cookies: cookies.into_iter().collect(),
            signed_in: None,
        })
    }
}

/// The parameters of a query, each once.
fn parameters(query: Option<&str>) -> Result<BTreeMap<Cow<'_, str>, Cow<'_, str>>, LoginError> {
    let mut parameters = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        if parameters.insert(name, value).is_some() {
            return Err(LoginError::Query);
        }
    }
    Ok(parameters)
}

/// 256 random bits, as text.
fn random_text() -> Result<String, LoginError> {
    let mut bytes = [0; 32];
    random::fill(&mut bytes).map_err(|_| LoginError::Unavailable)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

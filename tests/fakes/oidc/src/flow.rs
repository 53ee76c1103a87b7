//! The authorization code flow: codes, and what they are exchanged for (RFC 6749, RFC 7636).

use std::collections::HashMap;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::{Url, form_urlencoded};

/// A program that signs users in.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its id.
    pub id: String,
    /// Its secret, if it has one.
    pub secret: Option<String>,
    /// Whether it may leave PKCE out, as Temporal's Web UI does.
    pub without_pkce: bool,
}

impl Client {
    /// A client without a secret.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            secret: None,
            without_pkce: false,
        }
    }

    /// With a secret.
    #[must_use]
    pub fn with_secret(mut self, secret: &str) -> Self {
        self.secret = Some(secret.to_owned());
        self
    }

    /// A client that may leave PKCE out.
    #[must_use]
    pub fn without_pkce(mut self) -> Self {
        self.without_pkce = true;
        self
    }
}

/// A code that was given out.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) client: String,
    redirect_uri: String,
    /// Without it, the client does not use PKCE.
    challenge: Option<String>,
    pub(crate) nonce: Option<String>,
}

/// Codes that were not exchanged yet.
#[derive(Debug, Default)]
pub(crate) struct Codes {
    grants: HashMap<String, Grant>,
    given: usize,
}

/// An error code of RFC 6749, section 5.2.
pub(crate) type OAuthError = &'static str;

type Parameters = HashMap<String, String>;

pub(crate) fn parameters(text: &str) -> Parameters {
    form_urlencoded::parse(text.as_bytes())
        .into_owned()
        .collect()
}

impl Codes {
    /// Signs the user in. Gives the address that the browser is sent to.
    pub(crate) fn authorize(
        &mut self,
        clients: &[Client],
        issuer: &str,
        declines: bool,
        query: &str,
    ) -> Result<Url, OAuthError> {
        let query = parameters(query);
        let value = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
        let client = find(clients, value("client_id")).ok_or("unauthorized_client")?;
        let mut url: Url = value("redirect_uri")
            .parse()
            .map_err(|_| "invalid_request")?;
        let has_openid = value("scope").split(' ').any(|scope| scope == "openid");
        if value("response_type") != "code" || !has_openid || value("state").is_empty() {
            return Err("invalid_request");
        }
        let challenge = query.get("code_challenge").cloned();
        let is_right = match &challenge {
            // 32 bytes in base64.
            Some(challenge) => challenge.len() == 43 && value("code_challenge_method") == "S256",
            None => client.without_pkce,
        };
        if !is_right {
            return Err("invalid_request");
        }
        if declines {
            url.query_pairs_mut()
                .append_pair("error", "access_denied")
                .append_pair("error_description", "the user said <b>no</b>")
                .append_pair("state", value("state"));
            return Ok(url);
        }
        self.given += 1;
        let code = format!("code-{}-{}", self.given, crate::token::now());
        let grant = Grant {
            client: client.id.clone(),
            redirect_uri: value("redirect_uri").to_owned(),
            challenge,
            nonce: query.get("nonce").cloned(),
        };
        url.query_pairs_mut()
            .append_pair("code", &code)
            .append_pair("state", value("state"))
            .append_pair("iss", issuer);
        self.grants.insert(code, grant);
        Ok(url)
    }

    /// Takes a code back. A code counts once.
    pub(crate) fn exchange(
        &mut self,
        clients: &[Client],
        authorization: Option<&str>,
        form: &str,
    ) -> Result<Grant, OAuthError> {
        let form = parameters(form);
        let value = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        let (id, secret) = match authorization {
            Some(authorization) => basic(authorization).ok_or("invalid_client")?,
            None => (
                value("client_id").to_owned(),
                form.get("client_secret").cloned(),
            ),
        };
        let client = find(clients, &id).ok_or("invalid_client")?;
        if secret != client.secret {
            return Err("invalid_client");
        }
        if value("grant_type") != "authorization_code" {
            return Err("unsupported_grant_type");
        }
        let grant = self.grants.remove(value("code")).ok_or("invalid_grant")?;
        let challenge = form
            .get("code_verifier")
            .map(|verifier| URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)));
        let is_same = grant.client == id
            && grant.redirect_uri == value("redirect_uri")
            && grant.challenge == challenge;
        if is_same {
            Ok(grant)
        } else {
            Err("invalid_grant")
        }
    }
}

fn find<'c>(clients: &'c [Client], id: &str) -> Option<&'c Client> {
    clients.iter().find(|client| client.id == id)
}

/// Id and secret, which are encoded as in a form (RFC 6749, section 2.3.1).
fn basic(authorization: &str) -> Option<(String, Option<String>)> {
    let encoded = authorization.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    let decode = |text: &str| parameters(&format!("x={text}")).remove("x");
    Some((decode(id)?, decode(secret)))
}

pub(crate) fn tokens(access: &str, id: &str) -> Value {
    json!({ "access_token": access, "token_type": "Bearer", "expires_in": 600, "id_token": id })
}

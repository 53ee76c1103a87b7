//! Tokens of OIDC issuers.

mod algorithm;
mod claims;
mod config;
mod discovery;
mod examine;
mod json;
mod key;
mod keys;
mod profile;
mod token;

use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use self::{
    claims::Expected,
    keys::{IssuerKeys, Source},
    token::Unverified,
};
use super::{
    identity::{Identity, Method, Vouching},
    permissions::{Permission, Permissions},
    refused::{Refused, TokenFault},
    web::Web,
};

pub(super) use config::IssuerConfig;
pub(super) use discovery::{Endpoints, IssuerError, discover};
pub(super) use examine::examine;
pub(super) use token::looks_like_jwt;

/// The claims of a token that one of these keys signed. `None` for any other token.
#[cfg(fuzzing)]
#[must_use]
pub fn verified_claims(jwks: &[u8], token: &str) -> Option<Map<String, Value>> {
    let set = key::KeySet::new(serde_json::from_slice(jwks).ok()?);
    let token = Unverified::read(token).ok()?;
    let signed = |key: &key::Key| key.verifies(token.algorithm, token.message, &token.signature);
    let id = token.key_id.as_deref();
    let is_signed = keys::attempt(&set, id, token.algorithm, &signed).ok()??;
    is_signed.then_some(token.claims)
}

/// The most permissions and groups of one token that are looked at.
const MOST_ENTRIES: usize = 10_000;

/// One issuer: checks its tokens, and knows what its users may do.
#[derive(Debug)]
pub(super) struct Issuer {
    name: String,
    config: IssuerConfig,
    keys: IssuerKeys,
}

/// Where a token came from. It decides which audience the token must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind<'k> {
    /// `Authorization`.
    Access,
    /// `Authorization-Extras`.
    Id,
    /// The answer of the token endpoint to the client of this id.
    Login(&'k str),
}

/// What an issuer says about a user, as far as the configuration asks for it. A session keeps it, so that a change of the
/// configuration counts at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct User {
    #[serde(rename = "s")]
    pub(super) subject: String,
    /// Only when the issuer does not call it unverified.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub(super) email: Option<String>,
    /// `NAMESPACE:ROLE`, valid ones only.
    #[serde(rename = "p", default, skip_serializing_if = "Vec::is_empty")]
    permissions: Vec<String>,
    /// Groups of the configuration only.
    #[serde(rename = "g", default, skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
}

/// A token that is valid.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) user: User,
    claims: Map<String, Value>,
}

impl Verified {
    /// A claim that is a text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Value::as_str)
    }
}

impl Issuer {
    /// An issuer. It goes on with the keys of `previous` that are its own.
    pub(super) fn new(name: &str, config: IssuerConfig, web: Web, previous: Option<&Self>) -> Self {
        let source = Source {
            issuer: config.issuer.clone(),
            url: config.url.clone(),
            jwks_url: config.jwks_url.clone(),
        };
        let previous = previous.map(|issuer| &issuer.keys);
        let keys = match previous.filter(|keys| keys.are_of(&source, config.keys)) {
            Some(keys) => keys.clone(),
            None => IssuerKeys::new(name, source, web, config.keys),
        };
        Self {
            name: name.to_owned(),
            config,
            keys,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn config(&self) -> &IssuerConfig {
        &self.config
    }

    pub(super) async fn warm_up(&self) {
        self.keys.warm_up().await;
    }

    /// Checks the signature and the claims of a token that claims to be of this issuer.
    pub(super) async fn verify(
        &self,
        token: Unverified<'_>,
        kind: Kind<'_>,
        now: SystemTime,
    ) -> Result<Verified, Refused> {
        if !self.config.algorithms.contains(&token.algorithm) {
            return Err(TokenFault::Algorithm.into());
        }
        let id = token.key_id.as_deref();
        let is_signed = self
            .keys
            .verify(id, token.algorithm, |key| {
                key.verifies(token.algorithm, token.message, &token.signature)
            })
            .await?;
        if !is_signed {
            return Err(TokenFault::Signature.into());
        }
        let client;
        let audience = match kind {
            Kind::Access => &self.config.audience,
            Kind::Id => &self.config.id_token_audience,
            Kind::Login(id) => {
                client = vec![id.to_owned()];
                &client
            }
        };
        let expected = Expected {
            issuer: &self.config.issuer,
            audience,
            clock_skew: self.config.clock_skew,
            now,
        };
        claims::check(&token.claims, &expected)?;
        let user = self.user(&token.claims)?;
        Ok(Verified {
            user,
            claims: token.claims,
        })
    }

    /// Whether the configuration accepts this kind of token of the issuer.
    pub(super) fn accepts(&self, kind: Kind<'_>) -> bool {
        match kind {
            Kind::Access => !self.config.audience.is_empty(),
            Kind::Id => !self.config.id_token_audience.is_empty(),
            Kind::Login(_) => true,
        }
    }

    fn user(&self, claims: &Map<String, Value>) -> Result<User, TokenFault> {
        let names = &self.config.claims;
        let is_permission = |text: &&str| Permission::parse(text).is_ok();
        let is_known = |group: &&str| self.config.grants.groups.contains_key(*group);
        let found = |name: Option<&String>| {
            let value = name.and_then(|name| claims::find(claims, name));
            claims::texts(value).take(MOST_ENTRIES)
        };
        // As in Temporal's own claim mapper, permissions are a list. A single text is not looked at.
        let permissions = names
            .permissions
            .as_ref()
            .filter(|name| claims::find(claims, name).is_some_and(Value::is_array));
        Ok(User {
            subject: claims::subject(claims)?.to_owned(),
            email: self.email(claims),
            permissions: found(permissions)
                .filter(is_permission)
                .map(str::to_owned)
                .collect(),
            groups: found(names.groups.as_ref())
                .filter(is_known)
                .map(str::to_owned)
                .collect(),
        })
    }

    /// The e-mail address, unless the issuer says that it is not verified, or says something odd about it.
    fn email(&self, claims: &Map<String, Value>) -> Option<String> {
        let is_verified = match claims.get("email_verified") {
            None => true,
            Some(Value::Bool(is_verified)) => *is_verified,
            // Some issuers send a text.
            Some(Value::String(text)) => text == "true",
            Some(_) => false,
        };
        let email = claims::find(claims, &self.config.claims.email)?.as_str()?;
        let email = email.to_ascii_lowercase();
        let domain = config::domain(&email).filter(|_| is_verified && email.len() <= 320)?;
        let profile = self.config.profile;
        let is_vouched = profile.is_none_or(|profile| profile.vouches(claims, domain));
        is_vouched.then_some(email)
    }

    /// The identity of a user of this issuer with the configuration of now.
    pub(super) fn identity(&self, user: User, method: Method) -> Identity {
        let grants = &self.config.grants;
        let mut permissions = Permissions::default();
        for text in &user.permissions {
            // The claim may have been left out of the configuration since.
            if self.config.claims.permissions.is_some()
                && let Ok(permission) = Permission::parse(text)
            {
                permissions.insert(&permission);
            }
        }
        let granted = user
            .groups
            .iter()
            .filter_map(|group| grants.groups.get(group));
        granted.for_each(|list| permissions.extend(list));
        if let Some(email) = &user.email {
            permissions.extend(grants.emails.get(email).into_iter().flatten());
            let domain = config::domain(email).and_then(|domain| grants.domains.get(domain));
            permissions.extend(domain.into_iter().flatten());
        }
        permissions.extend(grants.subjects.get(&user.subject).into_iter().flatten());
        Identity::of_issuer(
            user.subject,
            Vouching {
                name: self.name.clone(),
                url: self.config.issuer.clone(),
            },
            user.email,
            method,
            permissions,
        )
    }
}

impl User {
    /// What two tokens of one user say together.
    pub(super) fn merge(&mut self, other: Self) {
        self.email = self.email.take().or(other.email);
        self.permissions.extend(other.permissions);
        self.groups.extend(other.groups);
    }
}

/// Reads a token, and finds the issuer that it claims to be of.
pub(super) fn read<'t, 'i>(
    token: &'t str,
    issuers: impl IntoIterator<Item = &'i Issuer>,
) -> Result<(Unverified<'t>, &'i Issuer), TokenFault> {
    let unverified = Unverified::read(token)?;
    let named = claims::issuer(&unverified.claims)?;
    let issuer = issuers
        .into_iter()
        .find(|issuer| issuer.config.issuer == named)
        .ok_or(TokenFault::Issuer)?;
    Ok((unverified, issuer))
}

//! Where an issuer's endpoints are (OIDC Discovery 1.0).

use std::time::SystemTime;

use serde::Deserialize;
use thiserror::Error;
use url::Url;

use crate::auth::{
    address,
    web::{Web, WebError},
};

/// What an issuer says about itself.
#[derive(Clone, Debug)]
pub(in crate::auth) struct Endpoints {
    pub(in crate::auth) keys: Url,
    pub(in crate::auth) authorization: Option<Url>,
    pub(in crate::auth) token: Option<Url>,
    /// Whether the token endpoint takes the client's secret in the form only.
    pub(in crate::auth) takes_secret_in_form: bool,
    pub(in crate::auth) announced: Announced,
}

/// What an issuer says that it supports, where it says so.
#[derive(Clone, Debug, Default)]
pub(in crate::auth) struct Announced {
    pub(in crate::auth) algorithms: Option<Vec<String>>,
    pub(in crate::auth) challenge_methods: Option<Vec<String>>,
    pub(in crate::auth) scopes: Option<Vec<String>>,
}

/// Why an issuer's document or keys cannot be used. The text holds nothing of the document.
#[derive(Debug, Error)]
pub(in crate::auth) enum IssuerError {
    #[error("{0}")]
    Web(#[from] WebError),
    #[error(
        "its document names another issuer; set `issuer` to the value of `issuer` in .well-known/openid-configuration"
    )]
    OtherIssuer,
    #[error("its document has no usable `{0}`: an https:// URL is expected")]
    Endpoint(&'static str),
    #[error("it publishes no key that checks signatures")]
    NoKeys,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    id_token_signing_alg_values_supported: Option<Vec<String>>,
    code_challenge_methods_supported: Option<Vec<String>>,
    scopes_supported: Option<Vec<String>>,
}

/// Asks `issuer`, whose URL is `url`, for its endpoints.
pub(in crate::auth) async fn discover(
    web: &Web,
    issuer: &str,
    url: &Url,
) -> Result<Endpoints, IssuerError> {
    let (document, _) = ask(web, url).await?;
    read(document, issuer, url)
}

/// As [`discover`], and when the issuer says that it answered.
pub(in crate::auth) async fn discover_dated(
    web: &Web,
    issuer: &str,
    url: &Url,
) -> (Result<Endpoints, IssuerError>, Option<SystemTime>) {
    match ask(web, url).await {
        Ok((document, date)) => (read(document, issuer, url), date),
        Err(error) => (Err(error.into()), None),
    }
}

async fn ask(web: &Web, url: &Url) -> Result<(Document, Option<SystemTime>), WebError> {
    web.get_dated(&location(url)).await
}

fn read(document: Document, issuer: &str, url: &Url) -> Result<Endpoints, IssuerError> {
    if document.issuer != issuer {
        return Err(IssuerError::OtherIssuer);
    }
    let endpoint = |text: &str, name| match address::parse(text) {
        Ok(found) if address::may_follow(url, &found) => Ok(found),
        _ => Err(IssuerError::Endpoint(name)),
    };
    let optional = |text: Option<String>, name| text.map(|text| endpoint(&text, name)).transpose();
    let methods = document.token_endpoint_auth_methods_supported;
    Ok(Endpoints {
        keys: endpoint(&document.jwks_uri, "jwks_uri")?,
        authorization: optional(document.authorization_endpoint, "authorization_endpoint")?,
        token: optional(document.token_endpoint, "token_endpoint")?,
        takes_secret_in_form: methods.is_some_and(|methods| {
            let has = |method: &str| methods.iter().any(|one| one == method);
            has("client_secret_post") && !has("client_secret_basic")
        }),
        announced: Announced {
            algorithms: document.id_token_signing_alg_values_supported,
            challenge_methods: document.code_challenge_methods_supported,
            scopes: document.scopes_supported,
        },
    })
}

/// The document's URL: a slash at the end of the issuer is left out first (section 4.1).
fn location(issuer: &Url) -> Url {
    let mut url = issuer.clone();
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&format!("{path}/.well-known/openid-configuration"));
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_below_the_issuer() {
        for (issuer, expected) in [
            (
                "https://a.example",
                "https://a.example/.well-known/openid-configuration",
            ),
            (
                "https://a.example/",
                "https://a.example/.well-known/openid-configuration",
            ),
            (
                "https://a.example/realms/x",
                "https://a.example/realms/x/.well-known/openid-configuration",
            ),
            (
                "https://a.example/t/v2.0/",
                "https://a.example/t/v2.0/.well-known/openid-configuration",
            ),
        ] {
            assert_eq!(location(&issuer.parse().unwrap()).as_str(), expected);
        }
    }
}

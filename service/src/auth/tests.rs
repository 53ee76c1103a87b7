//! Configurations, and requests against an issuer of ours.

mod configuration;
mod hostile;
mod issuers;
mod methods;
mod sign_in;
mod texts;

use fake_oidc::Server;
use http::{HeaderMap, HeaderValue, header};
use serde_json::{Value, json};
use temporal_kms_codec::Namespace;

use super::*;
use crate::settings::{Problem, Settings};

fn read(text: &str) -> Result<AuthConfig, Vec<Problem>> {
    Settings::new("CODEC_").parse(Some(text), &|_| None, |document| {
        AuthConfig::read(document.section("auth"))
    })
}

fn open(text: &str) -> Authenticator {
    Authenticator::open(&read(text).unwrap()).unwrap()
}

/// The sections for one issuer, with tokens for `codec` and ID tokens for `ui`.
fn issuer(server: &Server, more: &str) -> String {
    format!(
        "[auth.issuers.fake]\nissuer = \"{}\"\naudience = [\"codec\"]\nid_token_audience = [\"ui\"]\n{more}\n",
        server.issuer()
    )
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let header = |(name, value): &(&'static str, &str)| {
        let name = header::HeaderName::from_static(name);
        (name, HeaderValue::from_str(value).unwrap())
    };
    pairs.iter().map(header).collect()
}

async fn ask(
    authenticator: &Authenticator,
    pairs: &[(&'static str, &str)],
) -> Result<Identity, Refused> {
    let headers = headers(pairs);
    authenticator
        .identify(&Presented::in_headers(&headers)?)
        .await
}

async fn bearer(authenticator: &Authenticator, token: &str) -> Result<Identity, Refused> {
    ask(
        authenticator,
        &[("authorization", &format!("Bearer {token}"))],
    )
    .await
}

fn roles(identity: &Identity, namespace: &str) -> Vec<Role> {
    let namespace = Namespace::new(namespace).unwrap();
    identity.permissions().roles(&namespace).iter().collect()
}

/// Claims with others beside them, or instead of them; `null` removes one.
fn with(mut claims: Value, more: Value) -> Value {
    let object = claims.as_object_mut().unwrap();
    let Value::Object(more) = more else {
        panic!("an object")
    };
    for (name, value) in more {
        if value.is_null() {
            object.remove(&name);
        } else {
            object.insert(name, value);
        }
    }
    claims
}

fn none() -> Value {
    json!({})
}

/// Servers run on several threads.
#[tokio::test]
async fn callers_are_identified_on_any_thread() {
    fn any_thread<F: Future + Send>(future: F) -> F {
        future
    }
    let server = Server::local().await.unwrap();
    let login = "[auth.login]\nissuer = \"fake\"\nclient_id = \"codec\"\nredirect_url = \"https://codec.example/auth/callback\"\n";
    let authenticator = open(&(issuer(&server, "") + login));
    let headers = HeaderMap::new();
    let presented = Presented::in_headers(&headers).unwrap();
    any_thread(authenticator.warm_up()).await;
    assert!(
        any_thread(authenticator.identify(&presented))
            .await
            .is_err()
    );
    let login = authenticator.login().unwrap();
    assert!(any_thread(login.begin(None)).await.is_ok());
    assert!(any_thread(login.finish(None, &headers)).await.is_err());
}

//! Tokens that an attacker makes, and requests that are odd.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use fake_oidc::{Key, hmac_with_public_key, jwk_with, sign, unsigned};

use super::*;

async fn refused(authenticator: &Authenticator, token: &str) -> TokenFault {
    match bearer(authenticator, token).await.unwrap_err() {
        Refused::Token(fault) => fault,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_public_key_is_not_a_shared_secret() {
    let server = Server::local().await.unwrap();
    let authenticator = open(&issuer(&server, ""));
    let claims = server.claims("ann", "codec");
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let key = server.key(algorithm);
        let jwk = key.jwk();
        let modulus = jwk["n"].as_str().or(jwk["x"].as_str()).unwrap().to_owned();
        for secret in [
            key.public(),
            jwk.to_string().as_bytes(),
            modulus.as_bytes(),
            b"",
        ] {
            let token = hmac_with_public_key(secret, key.id(), &claims);
            assert_eq!(refused(&authenticator, &token).await, TokenFault::Algorithm);
        }
    }
}

#[tokio::test]
async fn a_token_without_a_signature_is_refused() {
    let server = Server::local().await.unwrap();
    let authenticator = open(&issuer(&server, ""));
    let claims = server.claims("ann", "codec");
    let id = server.key("RS256").id().to_owned();
    for algorithm in ["none", "None", "NONE", "nOnE", ""] {
        let token = unsigned(&json!({ "alg": algorithm, "kid": id }), &claims);
        assert_eq!(
            refused(&authenticator, &token).await,
            TokenFault::Algorithm,
            "{algorithm}"
        );
    }
    let token = unsigned(&json!({ "alg": "RS256", "kid": id }), &claims);
    assert_eq!(refused(&authenticator, &token).await, TokenFault::Signature);
    // The signature of zeros that some libraries accepted for ECDSA (CVE-2022-21449).
    let zeros = "A".repeat(86);
    let id = server.key("ES256").id().to_owned();
    let token = unsigned(&json!({ "alg": "ES256", "kid": id }), &claims);
    assert_eq!(
        refused(&authenticator, &format!("{token}{zeros}")).await,
        TokenFault::Signature
    );
}

#[tokio::test]
async fn an_algorithm_must_fit_the_key_and_the_configuration() {
    let server = Server::local().await.unwrap();
    let claims = server.claims("ann", "codec");
    let rsa = server.key("RS256");
    server.publish(jwk_with(
        rsa.jwk(),
        &json!({ "kid": "only-rs256", "alg": "RS256" }),
    ));
    server.publish(jwk_with(
        rsa.jwk(),
        &json!({ "kid": "encrypts", "use": "enc" }),
    ));
    server.publish(jwk_with(
        rsa.jwk(),
        &json!({ "kid": "wraps", "key_ops": ["wrapKey"] }),
    ));
    server.publish(jwk_with(
        rsa.jwk(),
        &json!({ "kid": "oaep", "alg": "RSA-OAEP" }),
    ));
    server.publish(json!({ "kty": "oct", "kid": "shared", "k": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" }));
    let all = open(&issuer(&server, ""));
    let token = |algorithm: &str, id: &str| sign(&rsa, algorithm, &json!({ "kid": id }), &claims);
    assert!(bearer(&all, &token("RS256", "only-rs256")).await.is_ok());
    for (algorithm, id, expected) in [
        ("RS512", "only-rs256", TokenFault::Algorithm),
        ("PS256", "only-rs256", TokenFault::Algorithm),
        ("RS256", "encrypts", TokenFault::Key),
        ("RS256", "wraps", TokenFault::Key),
        ("RS256", "oaep", TokenFault::Key),
        ("RS256", server.key("ES256").id(), TokenFault::Algorithm),
        ("RS256", server.key("EdDSA").id(), TokenFault::Algorithm),
    ] {
        let found = refused(&all, &token(algorithm, id)).await;
        assert_eq!(found, expected, "{algorithm} {id}");
    }
    let shared = hmac_with_public_key(&[0; 32], "shared", &claims);
    assert_eq!(refused(&all, &shared).await, TokenFault::Algorithm);

    let strict = open(&issuer(&server, "algorithms = [\"ES256\"]"));
    assert!(
        bearer(&strict, &server.token("ES256", &none(), &claims))
            .await
            .is_ok()
    );
    let other = server.token("RS256", &none(), &claims);
    assert_eq!(refused(&strict, &other).await, TokenFault::Algorithm);
}

#[tokio::test]
async fn a_small_rsa_key_and_a_broken_key_verify_nothing() {
    let server = Server::local().await.unwrap();
    // 512 bits, and an exponent of one.
    let small =
        json!({ "kty": "RSA", "kid": "small", "n": format!("{}w", "_".repeat(85)), "e": "AQAB" });
    server.publish(small);
    server.publish(jwk_with(
        server.key("RS256").jwk(),
        &json!({ "kid": "one", "e": "AQ" }),
    ));
    let off_curve = json!({ "kid": "off-curve", "y": server.key("ES256").jwk()["x"] });
    server.publish(jwk_with(server.key("ES256").jwk(), &off_curve));
    let authenticator = open(&issuer(&server, ""));
    let claims = server.claims("ann", "codec");
    for (algorithm, id) in [("RS256", "small"), ("RS256", "one"), ("ES256", "off-curve")] {
        let token = server.token(algorithm, &json!({ "kid": id }), &claims);
        assert_eq!(
            refused(&authenticator, &token).await,
            TokenFault::Signature,
            "{id}"
        );
    }
}

#[tokio::test]
async fn keys_in_the_header_are_ignored() {
    let (server, attacker) = (
        Server::local().await.unwrap(),
        Server::local().await.unwrap(),
    );
    let authenticator = open(&issuer(&server, ""));
    let claims = server.claims("ann", "codec");
    let keys = format!("{}/keys", attacker.issuer());
    let id = server.key("ES256").id().to_owned();
    let header = json!({
        "kid": id, "jku": keys, "x5u": keys, "jwk": attacker.key("ES256").jwk(), "x5c": ["AAAA"],
    });
    let token = attacker.token("ES256", &header, &claims);
    assert_eq!(refused(&authenticator, &token).await, TokenFault::Signature);
    let header = with(header, json!({ "kid": "of-the-attacker" }));
    let token = attacker.token("ES256", &header, &claims);
    assert_eq!(refused(&authenticator, &token).await, TokenFault::Key);
    assert_eq!(attacker.requests("keys"), 0);
    // An honest token may have them.
    let header = json!({ "jku": keys, "x5t": "AAAA", "n": [1] });
    assert!(
        bearer(&authenticator, &server.token("ES256", &header, &claims))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn extensions_that_must_be_understood_are_refused() {
    let server = Server::local().await.unwrap();
    let authenticator = open(&issuer(&server, ""));
    let claims = server.claims("ann", "codec");
    for critical in [
        json!(["b64"]),
        json!(["exp"]),
        json!([]),
        json!("b64"),
        json!(null),
    ] {
        let header = json!({ "crit": critical, "b64": false });
        let token = server.token("ES256", &header, &claims);
        assert_eq!(
            refused(&authenticator, &token).await,
            TokenFault::Critical,
            "{critical}"
        );
    }
    for kind in ["logout+jwt", "dpop+jwt", "secevent+jwt", "JWE"] {
        let token = server.token("ES256", &json!({ "typ": kind }), &claims);
        assert_eq!(
            refused(&authenticator, &token).await,
            TokenFault::Malformed,
            "{kind}"
        );
    }
}

#[tokio::test]
async fn claims_that_are_wrong_are_refused() {
    let server = Server::local().await.unwrap();
    let authenticator = open(&issuer(&server, ""));
    let valid = server.claims("ann", "codec");
    let now = valid["iat"].as_u64().unwrap();
    for (more, expected) in [
        (json!({ "aud": null }), TokenFault::Claim("aud")),
        (json!({ "aud": "ui" }), TokenFault::Audience),
        (json!({ "aud": ["ui", "other"] }), TokenFault::Audience),
        (
            json!({ "iss": "https://other.example" }),
            TokenFault::Issuer,
        ),
        (json!({ "iss": null }), TokenFault::Claim("iss")),
        (
            json!({ "iss": format!("{}/", server.issuer()) }),
            TokenFault::Issuer,
        ),
        (json!({ "exp": null }), TokenFault::Claim("exp")),
        (json!({ "exp": now - 61 }), TokenFault::Expired),
        (json!({ "nbf": now + 120 }), TokenFault::NotYetValid),
        (json!({ "iat": now + 120 }), TokenFault::NotYetValid),
        (json!({ "sub": null }), TokenFault::Claim("sub")),
        (json!({ "sub": "" }), TokenFault::Claim("sub")),
        (json!({ "sub": 1 }), TokenFault::Claim("sub")),
        (json!({ "sub": "x".repeat(2000) }), TokenFault::Claim("sub")),
    ] {
        let token = server.token("ES256", &none(), &with(valid.clone(), more.clone()));
        assert_eq!(refused(&authenticator, &token).await, expected, "{more}");
    }
    let array = with(valid.clone(), json!({ "aud": ["other", "codec"] }));
    assert!(
        bearer(&authenticator, &server.token("ES256", &none(), &array))
            .await
            .is_ok()
    );
    let skew = with(valid, json!({ "exp": now - 30 }));
    assert!(
        bearer(&authenticator, &server.token("ES256", &none(), &skew))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn changed_tokens_and_foreign_keys_are_refused() {
    let server = Server::local().await.unwrap();
    let authenticator = open(&issuer(&server, ""));
    let claims = server.claims("ann", "codec");
    let token = server.token("ES256", &none(), &claims);
    let other = server.token(
        "ES256",
        &none(),
        &with(claims.clone(), json!({ "sub": "bob" })),
    );
    let parts = |token: &str| -> Vec<String> { token.split('.').map(str::to_owned).collect() };
    let (one, two) = (parts(&token), parts(&other));
    let mixed = format!("{}.{}.{}", one[0], two[1], one[2]);
    assert_eq!(refused(&authenticator, &mixed).await, TokenFault::Signature);
    let short = token.get(..token.len() - 2).unwrap();
    assert_eq!(refused(&authenticator, short).await, TokenFault::Signature);
    let foreign = Key::generate(server.key("ES256").id(), "ES256");
    let forged = sign(&foreign, "ES256", &none(), &claims);
    assert_eq!(
        refused(&authenticator, &forged).await,
        TokenFault::Signature
    );
}

#[tokio::test]
async fn random_key_ids_cause_no_storm() {
    let server = Server::local().await.unwrap();
    let authenticator = open(&issuer(&server, ""));
    authenticator.warm_up().await;
    let claims = server.claims("ann", "codec");
    for number in 0..200 {
        let header = json!({ "kid": format!("random-{number}") });
        let token = server.token("EdDSA", &header, &claims);
        assert_eq!(refused(&authenticator, &token).await, TokenFault::Key);
    }
    // The first fetch was a moment ago, so the ids cause not even one.
    assert_eq!(server.requests("keys"), 1);
    // An honest caller is served meanwhile.
    assert!(
        bearer(&authenticator, &server.token("EdDSA", &none(), &claims))
            .await
            .is_ok()
    );
}

/// A token with a header and claims of any text.
fn raw(key: &Key, header: &str, claims: &str) -> String {
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = key.sign("ES256", message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[tokio::test]
async fn a_key_is_never_guessed() {
    let server = Server::local().await.unwrap();
    let authenticator = open(&issuer(&server, ""));
    let (key, claims) = (
        server.key("ES256"),
        server.claims("ann", "codec").to_string(),
    );
    let token = raw(&key, r#"{"alg":"ES256"}"#, &claims);
    assert!(bearer(&authenticator, &token).await.is_ok());
    // With two keys for the algorithm, the token must name one.
    server.publish(jwk_with(key.jwk(), &json!({ "kid": "another" })));
    let authenticator = open(&issuer(&server, ""));
    assert_eq!(refused(&authenticator, &token).await, TokenFault::Key);
}

#[tokio::test]
async fn sizes_are_bounded() {
    let server = Server::local().await.unwrap();
    let authenticator = open(&issuer(&server, ""));
    let many: Vec<String> = (0..5000).map(|number| format!("n{number}:read")).collect();
    let claims = with(
        server.claims("ann", "codec"),
        json!({ "permissions": many }),
    );
    let token = server.token("ES256", &none(), &claims);
    assert_eq!(refused(&authenticator, &token).await, TokenFault::TooLong);
    let large = open(&format!(
        "[auth]\nmax_token = \"1MiB\"\n{}",
        issuer(&server, "")
    ));
    let identity = bearer(&large, &token).await.unwrap();
    assert_eq!(roles(&identity, "n4999"), [Role::Read]);
}

#[tokio::test]
async fn duplicate_names_are_refused() {
    let server = Server::local().await.unwrap();
    let authenticator = open(&issuer(&server, ""));
    let key = server.key("ES256");
    let claims = server.claims("ann", "codec").to_string();
    let header = format!("{{\"alg\":\"ES256\",\"kid\":\"{}\"}}", key.id());
    for claims in [
        claims.replacen('{', "{\"sub\":\"bob\",", 1),
        claims.replacen('{', "{\"aud\":\"codec\",", 1),
        claims.replacen('{', "{\"x\":{\"a\":1,\"a\":2},", 1),
    ] {
        let token = raw(&key, &header, &claims);
        assert_eq!(
            refused(&authenticator, &token).await,
            TokenFault::Duplicate,
            "{claims}"
        );
    }
}

#[tokio::test]
async fn odd_headers_are_refused() {
    let server = Server::local().await.unwrap();
    let authenticator = open(&issuer(&server, ""));
    let token = server.token("ES256", &none(), &server.claims("ann", "codec"));
    let basic = ask(&authenticator, &[("authorization", "Basic dTpw")])
        .await
        .unwrap_err();
    assert!(basic.to_string().contains("`Bearer TOKEN`"), "{basic}");
    assert!(
        ask(&authenticator, &[("authorization", &token)])
            .await
            .is_err()
    );
    for header in ["", "Bearer", "Bearer ", "Bearer a b", "Bearer\u{7f}"] {
        let Ok(value) = HeaderValue::from_str(header) else {
            continue;
        };
        let headers: HeaderMap = [(header::AUTHORIZATION, value)].into_iter().collect();
        let presented = Presented::in_headers(&headers).unwrap();
        assert!(
            authenticator.identify(&presented).await.is_err(),
            "{header}"
        );
    }
    let bytes = HeaderValue::from_bytes(b"Bearer \xff\xfe").unwrap();
    let headers: HeaderMap = [(header::AUTHORIZATION, bytes)].into_iter().collect();
    let presented = Presented::in_headers(&headers).unwrap();
    assert!(authenticator.identify(&presented).await.is_err());
    // The scheme's name is not case sensitive.
    assert!(
        ask(
            &authenticator,
            &[("authorization", &format!("bearer {token}"))]
        )
        .await
        .is_ok()
    );
    for name in ["authorization", "authorization-extras"] {
        let value = format!("Bearer {token}");
        let mut twice = headers_of(name, &value);
        twice.extend(headers_of(name, &value));
        let twice: HeaderMap =
            twice
                .into_iter()
                .fold(HeaderMap::new(), |mut map, (name, value)| {
                    map.append(name, value);
                    map
                });
        let refused = Presented::in_headers(&twice).unwrap_err();
        assert!(refused.to_string().contains("more than once; send it once"));
    }
    let missing = ask(&authenticator, &[]).await.unwrap_err();
    assert_eq!(
        (missing.status().as_u16(), missing.label()),
        (401, "missing")
    );
    assert_eq!(missing.challenge(), "Bearer realm=\"codec-server\"");
}

fn headers_of(name: &'static str, value: &str) -> Vec<(header::HeaderName, HeaderValue)> {
    vec![(
        header::HeaderName::from_static(name),
        HeaderValue::from_str(value).unwrap(),
    )]
}

#[tokio::test]
async fn no_text_holds_a_token() {
    let server = Server::local().await.unwrap();
    let authenticator = open(&issuer(&server, ""));
    let expired = with(
        server.claims("secret-subject", "codec"),
        json!({ "exp": 1 }),
    );
    let token = server.token("ES256", &json!({ "kid": "secret-key" }), &expired);
    let headers = headers(&[
        ("authorization", &format!("Bearer {token}")),
        ("cookie", "__Host-codec-session=secret-cookie"),
    ]);
    let presented = Presented::in_headers(&headers).unwrap();
    let refused = authenticator.identify(&presented).await.unwrap_err();
    let shown = format!("{presented:?} {refused:?} {refused} {authenticator:?}");
    for part in token
        .split('.')
        .chain(["secret-subject", "secret-key", "secret-cookie"])
    {
        assert!(!shown.contains(part), "{shown}");
    }
}

//! Well-known Python libraries against the issuer. `TKC_PYTHON` names a Python that has the packages of
//! `tests/interop/requirements.txt`.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test")]

use dev_servers::ask_python;
use fake_oidc::{Client, Options, Server, hmac_with_public_key, sign, unsigned};
use serde_json::{Value, json};

const ALGORITHMS: [&str; 9] = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA",
];

async fn ask(request: Value) -> Value {
    // The issuer goes on in this runtime meanwhile.
    let asked = tokio::task::spawn_blocking(move || ask_python("oidc_client.py", &request));
    asked.await.unwrap()
}

#[tokio::test]
async fn pyjwt_and_authlib_work_with_the_issuer() {
    for secret in [None, Some("its-secret")] {
        let options = Options {
            path: "/realms/test".to_owned(),
            clients: vec![match secret {
                Some(secret) => Client::new("the-client").with_secret(secret),
                None => Client::new("the-client"),
            }],
            ..Options::default()
        };
        let server = Server::start(([127, 0, 0, 1], 0).into(), options)
            .await
            .unwrap();
        let claims = server.claims("ann", "codec");
        let tokens = ALGORITHMS.map(|algorithm| server.token(algorithm, &json!({}), &claims));
        let key = server.key("RS256");
        let foreign = fake_oidc::Key::generate(key.id(), "RS256");
        let hostile = [
            sign(&foreign, "RS256", &json!({}), &claims),
            unsigned(&json!({ "kid": key.id() }), &claims),
            hmac_with_public_key(key.public(), key.id(), &claims),
            server.token(
                "ES256",
                &json!({}),
                &server.claims("ann", "another-audience"),
            ),
        ];
        let mut client =
            json!({ "id": "the-client", "redirect_uri": "http://localhost:1/callback" });
        if let Some(secret) = secret {
            client["secret"] = json!(secret);
        }
        let answer = ask(json!({
            "issuer": server.issuer(), "audience": "codec", "tokens": tokens, "hostile": hostile, "client": client,
        }))
        .await;
        assert_eq!(answer["claims"], json!(vec![claims; ALGORITHMS.len()]));
        assert_eq!(answer["refused"], json!([true, true, true, true]));
        assert_eq!(answer["user"]["email"], "ann@example.com");
        assert_eq!(answer["user"]["aud"], "the-client");
    }
}

//! Signing in with a browser, against an issuer of ours.

use fake_oidc::{Client, Fault, Options};
use futures::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use reqwest::{Url, redirect::Policy};

use super::*;

const GRANTS: &str = "domains = { \"example.com\" = [\"payments:read\"] }";

async fn started(secret: Option<&str>) -> Server {
    let client = Client::new("codec-login");
    let options = Options {
        clients: vec![match secret {
            Some(secret) => client.with_secret(secret),
            None => client,
        }],
        ..Options::default()
    };
    Server::start(([127, 0, 0, 1], 0).into(), options)
        .await
        .unwrap()
}

fn text(server: &Server, more: &str) -> String {
    format!(
        "{}[auth.login]\nissuer = \"fake\"\nclient_id = \"codec-login\"\nredirect_url = \"https://codec.example/auth/callback\"\n\
         return_origins = [\"https://ui.example\"]\n{more}\n",
        issuer(server, GRANTS)
    )
}

/// A cookie as the browser sends it back.
fn cookie(redirect: &Redirect, name: &str) -> String {
    let set = redirect.cookies.iter().map(|value| value.to_str().unwrap());
    let found = set.filter_map(|set| set.split(';').next());
    found
        .filter(|pair| pair.starts_with(name))
        .collect::<Vec<_>>()
        .join("; ")
}

/// What the browser does at the issuer: the query that it comes back with.
async fn at_issuer(redirect: &Redirect) -> String {
    let client = reqwest::Client::builder()
        .redirect(Policy::none())
        .build()
        .unwrap();
    let answer = client
        .get(redirect.location.to_str().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 302);
    let back: Url = answer.headers()["location"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(back.origin().ascii_serialization(), "https://codec.example");
    back.query().unwrap().to_owned()
}

async fn sign_in(authenticator: &Authenticator, query: &str) -> Result<Redirect, LoginError> {
    let login = authenticator.login().unwrap();
    let begun = login.begin(Some(query)).await?;
    let answer = at_issuer(&begun).await;
    let headers = headers(&[("cookie", &cookie(&begun, "__Host-codec-login"))]);
    login.finish(Some(&answer), &headers).await
}

#[tokio::test]
async fn a_user_signs_in_and_out() {
    let server = started(None).await;
    let authenticator = open(&text(&server, ""));
    let done = sign_in(
        &authenticator,
        "return_to=https%3A%2F%2Fui.example%2Fnamespaces",
    )
    .await
    .unwrap();
    assert_eq!(done.location, "https://ui.example/namespaces");
    let set: Vec<&str> = done
        .cookies
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect();
    let session = set
        .iter()
        .find(|set| set.starts_with("__Host-codec-session="))
        .unwrap();
    for attribute in [
        "Path=/",
        "Secure",
        "HttpOnly",
        "SameSite=None",
        "Max-Age=28800",
    ] {
        assert!(session.contains(attribute), "{attribute}");
    }
    assert!(!session.contains("Domain"));
    assert!(
        set.iter()
            .any(|set| set.starts_with("__Host-codec-login=;") && set.contains("Max-Age=0"))
    );

    let session = cookie(&done, "__Host-codec-session");
    let identity = ask(&authenticator, &[("cookie", &session)]).await.unwrap();
    assert_eq!(
        (identity.subject(), identity.method()),
        ("ann", Method::Session)
    );
    assert_eq!(identity.email(), Some("ann@example.com"));
    assert_eq!(roles(&identity, "payments"), [Role::Read]);
    // An opaque access token beside it does no harm.
    let both = [
        ("cookie", session.as_str()),
        ("authorization", "Bearer opaque"),
    ];
    assert!(ask(&authenticator, &both).await.is_ok());

    let out = authenticator
        .login()
        .unwrap()
        .end(Some("return_to=%2Fbye"))
        .unwrap();
    assert_eq!(out.location, "https://codec.example/bye");
    assert!(
        out.cookies[0].to_str().unwrap().starts_with(
            "__Host-codec-session=; Path=/; Secure; HttpOnly; SameSite=None; Max-Age=0"
        )
    );
}

#[tokio::test]
async fn a_client_with_a_secret_signs_users_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, "s:ecret +%\n").unwrap();
    let server = started(Some("s:ecret +%")).await;
    let file = format!("client_secret_file = \"{}\"", path.display());
    let authenticator = open(&text(&server, &file));
    assert!(sign_in(&authenticator, "").await.is_ok());
    // Without it the issuer does not accept the code.
    let without = open(&text(&server, ""));
    let error = sign_in(&without, "").await.unwrap_err();
    assert_eq!(
        (error.status().as_u16(), &error),
        (502, &LoginError::Exchange)
    );
}

#[tokio::test]
async fn a_session_is_of_servers_with_the_same_secret_and_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, "0123456789012345678901234567890123456789").unwrap();
    let server = started(None).await;
    let shared = text(&server, &format!("secret_file = \"{}\"", path.display()));
    let done = sign_in(&open(&shared), "").await.unwrap();
    let session = cookie(&done, "__Host-codec-session");
    let session = [("cookie", session.as_str())];
    assert!(ask(&open(&shared), &session).await.is_ok());
    let other = ask(&open(&text(&server, "")), &session).await;
    assert_eq!(other.unwrap_err(), Refused::Session);
    // A change of the configuration counts at once.
    let fewer = ask(
        &open(&shared.replace("payments:read", "orders:read")),
        &session,
    )
    .await
    .unwrap();
    assert_eq!(
        (roles(&fewer, "payments"), roles(&fewer, "orders")),
        (vec![], vec![Role::Read])
    );
    let renamed = shared
        .replace("issuers.fake", "issuers.renamed")
        .replace("issuer = \"fake\"", "issuer = \"renamed\"");
    assert_eq!(
        ask(&open(&renamed), &session).await.unwrap_err(),
        Refused::Session
    );
    let short = shared.clone() + "session_lifetime = \"1ms\"\n";
    assert_eq!(
        ask(&open(&short), &session).await.unwrap_err(),
        Refused::Session
    );
}

#[tokio::test]
async fn a_reload_ends_no_session_and_fetches_no_keys() {
    let server = started(None).await;
    let first = open(&text(&server, ""));
    let done = sign_in(&first, "").await.unwrap();
    let session = cookie(&done, "__Host-codec-session");
    let (tokens, keys) = (server.requests("token"), server.requests("keys"));
    assert_eq!((tokens, keys), (1, 1));
    server.fail(Some(Fault::Error));
    let changed =
        text(&server, "session_lifetime = \"1h\"").replace("payments:read", "orders:read");
    let second = first.reopen(&read(&changed).unwrap()).unwrap();
    let identity = ask(&second, &[("cookie", &session)]).await.unwrap();
    assert_eq!(roles(&identity, "orders"), [Role::Read]);
    let token = server.token("ES256", &none(), &server.claims("ann", "codec"));
    assert!(bearer(&second, &token).await.is_ok());
    assert_eq!(server.requests("keys"), 1);
    // Another way to the issuer means other keys.
    let elsewhere = changed + "[auth.http]\ntimeout = \"1s\"\n";
    let third = second.reopen(&read(&elsewhere).unwrap()).unwrap();
    assert_eq!(
        bearer(&third, &token).await.unwrap_err(),
        Refused::Unavailable
    );
}

#[tokio::test]
async fn the_request_to_the_issuer_has_state_nonce_and_pkce() {
    let server = started(None).await;
    let authenticator = open(&text(&server, "scopes = [\"email\"]"));
    let login = authenticator.login().unwrap();
    let (one, two) = (
        login.begin(None).await.unwrap(),
        login.begin(None).await.unwrap(),
    );
    let pairs = |redirect: &Redirect| {
        let url: Url = redirect.location.to_str().unwrap().parse().unwrap();
        url.query_pairs()
            .into_owned()
            .collect::<std::collections::BTreeMap<String, String>>()
    };
    let (one_pairs, two_pairs) = (pairs(&one), pairs(&two));
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "codec-login"),
        ("scope", "openid email"),
        ("redirect_uri", "https://codec.example/auth/callback"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(one_pairs[name], value);
    }
    for name in ["state", "nonce", "code_challenge"] {
        assert_eq!(one_pairs[name].len(), 43);
        assert_ne!(one_pairs[name], two_pairs[name]);
    }
    let cookie = one.cookies[0].to_str().unwrap();
    assert!(
        cookie.ends_with("Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=900"),
        "{cookie}"
    );
    for name in ["state", "nonce"] {
        assert!(!cookie.contains(&one_pairs[name]));
    }
    // One discovery for both.
    assert_eq!(server.requests("configuration"), 1);
}

#[tokio::test]
async fn an_answer_of_another_browser_is_refused() {
    let server = started(None).await;
    let authenticator = open(&text(&server, ""));
    let login = authenticator.login().unwrap();
    // The attacker begins a login and sends the victim the issuer's answer.
    let attacker = login.begin(None).await.unwrap();
    let answer = at_issuer(&attacker).await;
    let without = login.finish(Some(&answer), &HeaderMap::new()).await;
    assert_eq!(without.unwrap_err(), LoginError::NotBegun);
    let victim = login.begin(None).await.unwrap();
    let own = headers(&[("cookie", &cookie(&victim, "__Host-codec-login"))]);
    let swapped = login.finish(Some(&answer), &own).await;
    assert_eq!(swapped.unwrap_err(), LoginError::OtherLogin);
    // A second cookie of the name, which a page below the same domain may have set.
    let two = format!(
        "{}; {}",
        cookie(&attacker, "__Host-codec-login"),
        cookie(&victim, "__Host-codec-login")
    );
    let two = login
        .finish(Some(&answer), &headers(&[("cookie", &two)]))
        .await;
    assert_eq!(two.unwrap_err(), LoginError::NotBegun);
    // A session is not a login.
    let session = sign_in(&authenticator, "").await.unwrap();
    let session = cookie(&session, "__Host-codec-session").replace("session", "login");
    let session = login
        .finish(Some(&answer), &headers(&[("cookie", &session)]))
        .await;
    assert_eq!(session.unwrap_err(), LoginError::NotBegun);
    // And a login is not a session.
    let begun = cookie(&victim, "__Host-codec-login").replace("login", "session");
    assert_eq!(
        ask(&authenticator, &[("cookie", &begun)])
            .await
            .unwrap_err(),
        Refused::Session
    );
}

#[tokio::test]
async fn odd_answers_are_refused() {
    let server = started(None).await;
    let authenticator = open(&text(&server, ""));
    let login = authenticator.login().unwrap();
    let begun = login.begin(None).await.unwrap();
    let headers = headers(&[("cookie", &cookie(&begun, "__Host-codec-login"))]);
    let answer = at_issuer(&begun).await;
    let finish = async |query: String| login.finish(Some(&query), &headers).await.unwrap_err();
    let state = answer
        .split('&')
        .find(|pair| pair.starts_with("state="))
        .unwrap()
        .to_owned();
    assert_eq!(finish(String::new()).await, LoginError::OtherLogin);
    assert_eq!(finish(state.clone()).await, LoginError::Query);
    assert_eq!(finish(format!("{answer}&{state}")).await, LoginError::Query);
    assert_eq!(
        finish(format!("{state}&code=x&iss=https%3A%2F%2Fother.example")).await,
        LoginError::OtherLogin
    );
    assert_eq!(
        finish(format!("{state}&code=invented")).await,
        LoginError::Exchange
    );
    // A code counts once.
    assert!(login.finish(Some(&answer), &headers).await.is_ok());
    assert_eq!(finish(answer).await, LoginError::Exchange);
}

fn no_permission() -> LoginError {
    LoginError::NoPermission {
        subject: "ann".to_owned(),
        issuer: "fake".to_owned(),
    }
}

#[tokio::test]
async fn a_login_that_the_issuer_declines_or_does_not_vouch_for_fails() {
    let server = started(None).await;
    let authenticator = open(&text(&server, ""));
    server.decline(true);
    assert_eq!(
        sign_in(&authenticator, "").await.unwrap_err(),
        LoginError::Declined
    );
    server.decline(false);
    for (user, expected) in [
        (
            json!({ "nonce": "of-another-login" }),
            LoginError::Token(TokenFault::Nonce.into()),
        ),
        (
            json!({ "azp": "another-client" }),
            LoginError::Token(TokenFault::Nonce.into()),
        ),
        (
            json!({ "aud": "codec" }),
            LoginError::Token(TokenFault::Audience.into()),
        ),
        (
            json!({ "exp": 1 }),
            LoginError::Token(TokenFault::Expired.into()),
        ),
        (
            json!({ "iss": "https://other.example" }),
            LoginError::Token(TokenFault::Issuer.into()),
        ),
        (json!({ "email": "eve@evil.example" }), no_permission()),
        (
            json!({ "email": "ann@example.com", "email_verified": false }),
            no_permission(),
        ),
    ] {
        server.sign_in_as(user.clone());
        assert_eq!(
            sign_in(&authenticator, "").await.unwrap_err(),
            expected,
            "{user}"
        );
    }
    let many: Vec<String> = (0..500)
        .map(|number| format!("namespace-{number}:read"))
        .collect();
    server.sign_in_as(json!({ "permissions": many }));
    assert_eq!(
        sign_in(&authenticator, "").await.unwrap_err(),
        LoginError::TooLarge
    );
}

#[tokio::test]
async fn a_login_returns_to_allowed_places_only() {
    let server = started(None).await;
    let authenticator = open(&text(&server, ""));
    let login = authenticator.login().unwrap();
    for place in [
        "https%3A%2F%2Fevil.example",
        "%2F%2Fevil.example",
        "%2F%5Cevil.example",
        "javascript%3Aalert(1)",
        "",
    ] {
        let query = format!("return_to={place}");
        assert_eq!(
            login.begin(Some(&query)).await.unwrap_err(),
            LoginError::ReturnTo,
            "{place}"
        );
        assert_eq!(
            login.end(Some(&query)).unwrap_err(),
            LoginError::ReturnTo,
            "{place}"
        );
    }
    assert_eq!(
        login
            .begin(Some("return_to=%2F&return_to=%2Fx"))
            .await
            .unwrap_err(),
        LoginError::Query
    );
    assert_eq!(server.requests("configuration"), 0);
}

#[tokio::test]
async fn an_issuer_that_is_unreachable_is_not_asked_for_each_login() {
    let server = started(None).await;
    let authenticator = open(&text(&server, ""));
    server.fail(Some(Fault::Error));
    let login = authenticator.login().unwrap();
    for _ in 0..20 {
        let error = login.begin(None).await.unwrap_err();
        assert_eq!(
            (error.status().as_u16(), error),
            (502, LoginError::Unavailable)
        );
    }
    assert_eq!(server.requests("configuration"), 1);
}

#[tokio::test]
async fn a_client_that_hangs_up_keeps_nobody_from_signing_in() {
    let server = started(None).await;
    let first = open(&text(&server, ""));
    let login = first.login().unwrap();
    server.hold(true);
    // Polled once, and dropped.
    assert!(login.begin(None).now_or_never().is_none());
    let (begun, ()) = tokio::join!(login.begin(None), async { server.hold(false) });
    begun.unwrap();
    assert_eq!(server.requests("configuration"), 1);
    // A reload keeps what is known.
    let changed = text(&server, "session_lifetime = \"1h\"");
    let second = first.reopen(&read(&changed).unwrap()).unwrap();
    server.fail(Some(Fault::Error));
    second.login().unwrap().begin(None).await.unwrap();
    assert_eq!(server.requests("configuration"), 1);
}

#[tokio::test]
async fn few_codes_are_exchanged_at_a_time() {
    const MOST: usize = 8;
    let server = started(None).await;
    let authenticator = open(&text(&server, ""));
    let login = authenticator.login().unwrap();
    let begun = login.begin(None).await.unwrap();
    let headers = headers(&[("cookie", &cookie(&begun, "__Host-codec-login"))]);
    let answer = at_issuer(&begun).await;
    server.hold(true);
    let mut waiting: FuturesUnordered<_> = (0..200)
        .map(|_| login.finish(Some(&answer), &headers))
        .collect();
    for _ in MOST..200 {
        let refused = waiting.next().await.unwrap().unwrap_err();
        assert_eq!(
            (refused.status().as_u16(), refused),
            (503, LoginError::Busy)
        );
    }
    server.hold(false);
    let signed_in = waiting.filter(|done| std::future::ready(done.is_ok()));
    assert_eq!(signed_in.count().await, 1, "a code counts once");
    assert_eq!(server.requests("token"), MOST);
    sign_in(&authenticator, "").await.unwrap();
}

#[tokio::test]
async fn a_session_ends_when_another_issuer_or_client_has_its_name() {
    let (server, other) = (started(None).await, started(None).await);
    let first = open(&text(&server, ""));
    let session = cookie(&sign_in(&first, "").await.unwrap(), "__Host-codec-session");
    let session = [("cookie", session.as_str())];
    let own = text(&server, "");
    for (changed, counts) in [
        (own.clone(), true),
        (text(&other, ""), false),
        (own.replace("\"codec-login\"", "\"other-client\""), false),
    ] {
        let second = first.reopen(&read(&changed).unwrap()).unwrap();
        let found = ask(&second, &session).await;
        assert_eq!(found.is_ok(), counts, "{changed}");
        if let Err(refused) = found {
            assert_eq!(refused, Refused::Session);
        }
    }
}

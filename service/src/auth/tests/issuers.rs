//! Tokens of a real issuer: what its users may do, and how its keys are kept.

use dev_servers::certificates::Authority;
use fake_oidc::{Fault, Options};

use super::*;

#[tokio::test]
async fn tokens_of_each_kind_of_key_are_accepted() {
    let server = Server::local().await.unwrap();
    let authenticator = open(&issuer(&server, ""));
    let claims = with(
        server.claims("ann", "codec"),
        json!({ "permissions": ["payments:read"] }),
    );
    for algorithm in [
        "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA",
    ] {
        let token = server.token(algorithm, &none(), &claims);
        let identity = bearer(&authenticator, &token).await.expect(algorithm);
        assert_eq!(identity.subject(), "ann");
        assert_eq!(identity.issuer(), Some("fake"));
        assert_eq!(identity.method(), Method::Jwt);
        assert_eq!(roles(&identity, "payments"), [Role::Read]);
        assert_eq!(roles(&identity, "other"), []);
    }
    assert_eq!(server.requests("keys"), 1);
}

#[tokio::test]
async fn issuers_with_a_path_or_a_slash_are_found() {
    for path in ["/realms/test", "/"] {
        let options = Options {
            path: path.to_owned(),
            ..Options::default()
        };
        let server = Server::start(([127, 0, 0, 1], 0).into(), options)
            .await
            .unwrap();
        let authenticator = open(&issuer(&server, ""));
        let token = server.token("ES256", &none(), &server.claims("ann", "codec"));
        bearer(&authenticator, &token).await.expect(path);
    }
}

#[tokio::test]
async fn issuers_are_reached_through_a_proxy() {
    let options = Options {
        // Only the proxy can reach it.
        issuer: Some("http://127.0.0.1:9".to_owned()),
        ..Options::default()
    };
    let server = Server::start(([127, 0, 0, 1], 0).into(), options)
        .await
        .unwrap();
    let proxy = format!("[auth.http]\nproxy = \"http://{}\"\n", server.address());
    let token = server.token("ES256", &none(), &server.claims("ann", "codec"));
    let authenticator = open(&format!("{}{proxy}", issuer(&server, "")));
    assert!(bearer(&authenticator, &token).await.is_ok());
    let direct = open(&issuer(&server, ""));
    assert_eq!(
        bearer(&direct, &token).await.unwrap_err(),
        Refused::Unavailable
    );
}

#[tokio::test]
async fn issuers_with_a_private_authority_are_reached_over_tls() {
    let authority = Authority::new("private").unwrap();
    let certified = authority.server(&["localhost"]).unwrap();
    let options = Options {
        tls: Some(fake_oidc::Identity {
            certificate: certified.certificate,
            key: certified.key,
        }),
        ..Options::default()
    };
    let server = Server::start(([127, 0, 0, 1], 0).into(), options)
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, authority.certificate()).unwrap();
    let token = server.token("ES256", &none(), &server.claims("ann", "codec"));
    let text = issuer(&server, "");
    let trusting = open(&format!(
        "{text}[auth.http]\nca_file = \"{}\"\n",
        path.display()
    ));
    assert!(bearer(&trusting, &token).await.is_ok());
    let distrusting = open(&text);
    assert_eq!(
        bearer(&distrusting, &token).await.unwrap_err(),
        Refused::Unavailable
    );
    // A file without certificates is a fault.
    std::fs::write(&path, "not PEM").unwrap();
    let config = read(&format!(
        "{text}[auth.http]\nca_file = \"{}\"\n",
        path.display()
    ))
    .unwrap();
    let faults = Authenticator::open(&config).unwrap_err();
    assert!(
        faults[0].message.contains("holds no certificate"),
        "{faults:?}"
    );
}

#[tokio::test]
async fn permissions_follow_from_claims_groups_addresses_domains_and_subjects() {
    let server = Server::local().await.unwrap();
    let authenticator = open(&issuer(
        &server,
        r#"
groups_claim = "/realm_access/roles"
groups = { readers = ["payments:read"], operators = ["temporal-system:admin"] }
emails = { "Ann@Example.com" = ["orders:write"] }
domains = { "example.com" = ["public:read"] }
subjects = { robot = ["payments:worker"] }
"#,
    ));
    let granted = async |subject: &str, claims: Value| {
        let claims = with(server.claims(subject, "codec"), claims);
        let token = server.token("ES256", &none(), &claims);
        bearer(&authenticator, &token).await.unwrap()
    };
    let ann = granted("ann", json!({
        "email": "ann@EXAMPLE.com", "realm_access": { "roles": ["readers", "others", 1] },
        "permissions": ["logs:READ", "a:b:admin", ":admin", "*:admin", "payments", 7, ["payments:admin"]],
    })).await;
    assert_eq!(ann.email(), Some("ann@example.com"));
    assert_eq!(roles(&ann, "payments"), [Role::Read]);
    assert_eq!(roles(&ann, "orders"), [Role::Write]);
    assert_eq!(roles(&ann, "public"), [Role::Read]);
    assert_eq!(roles(&ann, "logs"), [Role::Read]);
    for nothing in ["a", "*", "a:b", "temporal-system"] {
        assert_eq!(roles(&ann, nothing), [], "{nothing}");
    }
    let robot = granted("robot", none()).await;
    assert_eq!(roles(&robot, "payments"), [Role::Worker]);
    let operator = granted("bob", json!({ "realm_access": { "roles": "operators" } })).await;
    assert_eq!(roles(&operator, "anything"), [Role::Admin]);
    // A list is expected, as in Temporal.
    let text = granted("bob", json!({ "permissions": "payments:admin" })).await;
    assert!(text.permissions().is_empty());
}

#[tokio::test]
async fn an_address_counts_only_when_the_issuer_does_not_doubt_it() {
    let server = Server::local().await.unwrap();
    let grants = "emails = { \"ann@example.com\" = [\"a:read\"] }\ndomains = { \"example.com\" = [\"a:read\"] }";
    let authenticator = open(&issuer(&server, grants));
    for (claims, counts) in [
        (json!({ "email": "ann@example.com" }), true),
        (
            json!({ "email": "ann@example.com", "email_verified": true }),
            true,
        ),
        (
            json!({ "email": "ann@example.com", "email_verified": "true" }),
            true,
        ),
        (
            json!({ "email": "ann@example.com", "email_verified": false }),
            false,
        ),
        (
            json!({ "email": "ann@example.com", "email_verified": "false" }),
            false,
        ),
        (
            json!({ "email": "ann@example.com", "email_verified": 1 }),
            false,
        ),
        (
            json!({ "email": "ann@example.com", "email_verified": [] }),
            false,
        ),
        (json!({ "email": ["ann@example.com"] }), false),
        (json!({ "email": "ann@example.com@evil.example" }), false),
        (json!({ "email": "ann@evil.example@example.com" }), false),
        (json!({ "email": "@example.com" }), false),
        (json!({ "email": "x@sub.example.com" }), false),
        (json!({ "email": "x@example.com.evil.example" }), false),
        (json!({ "email": "x y@example.com" }), false),
        (json!({ "email": "x@example.com\n" }), false),
    ] {
        let all = with(server.claims("ann", "codec"), claims.clone());
        let token = server.token("ES256", &none(), &all);
        let identity = bearer(&authenticator, &token).await.unwrap();
        assert_eq!(!identity.permissions().is_empty(), counts, "{claims}");
    }
}

#[tokio::test]
async fn what_the_web_ui_sends_is_accepted() {
    let server = Server::local().await.unwrap();
    let authenticator = open(&issuer(
        &server,
        "domains = { \"example.com\" = [\"a:read\"] }",
    ));
    let id = with(
        server.claims("ann", "ui"),
        json!({ "email": "ann@example.com" }),
    );
    let id_token = server.token("RS256", &none(), &id);
    let access = with(
        server.claims("ann", "codec"),
        json!({ "permissions": ["a:worker"] }),
    );
    let access_token = server.token("RS256", &none(), &access);
    let both = async |access: &str, id: &str| {
        let access = format!("Bearer {access}");
        ask(
            &authenticator,
            &[("authorization", &access), ("authorization-extras", id)],
        )
        .await
    };
    // Of many issuers the access token is opaque, or for the issuer's own API.
    let identity = both("opaque", &id_token).await.unwrap();
    assert_eq!(roles(&identity, "a"), [Role::Read]);
    let other = server.token(
        "RS256",
        &none(),
        &server.claims("ann", "https://graph.example"),
    );
    assert!(both(&other, &id_token).await.is_ok());
    // Together they say more.
    let identity = both(&access_token, &id_token).await.unwrap();
    assert_eq!(roles(&identity, "a"), [Role::Read, Role::Worker]);
    assert_eq!(identity.email(), Some("ann@example.com"));
    // Of another user they say nothing.
    let bob = with(
        server.claims("bob", "codec"),
        json!({ "permissions": ["b:worker"] }),
    );
    let bob = server.token("RS256", &none(), &bob);
    let identity = both(&bob, &id_token).await.unwrap();
    assert_eq!((identity.subject(), roles(&identity, "a")), ("bob", vec![]));
    // Each has its own audience.
    assert_eq!(
        bearer(&authenticator, &id_token).await.unwrap_err(),
        TokenFault::Audience.into()
    );
    let swapped = ask(&authenticator, &[("authorization-extras", &access_token)]).await;
    assert_eq!(swapped.unwrap_err(), TokenFault::Audience.into());
    assert!(
        ask(&authenticator, &[("authorization-extras", &id_token)])
            .await
            .is_ok()
    );
    // An error of the ID token is told where the access token says nothing.
    let expired = with(id, json!({ "exp": 1 }));
    let expired = server.token("RS256", &none(), &expired);
    assert_eq!(
        both("opaque", &expired).await.unwrap_err(),
        TokenFault::Expired.into()
    );
}

#[tokio::test]
async fn a_new_key_is_fetched_once_and_an_old_one_ends() {
    let server = Server::local().await.unwrap();
    let authenticator = open(&issuer(&server, "keys_pause = \"1ms\""));
    let claims = server.claims("ann", "codec");
    let old = server.token("ES256", &none(), &claims);
    assert!(bearer(&authenticator, &old).await.is_ok());
    server.rotate();
    let new = server.token("ES256", &none(), &claims);
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    assert!(bearer(&authenticator, &new).await.is_ok());
    assert_eq!(server.requests("keys"), 2);
    assert_eq!(
        bearer(&authenticator, &old).await.unwrap_err(),
        TokenFault::Key.into()
    );
}

#[tokio::test]
async fn many_callers_cause_one_fetch() {
    let server = Server::local().await.unwrap();
    let authenticator = open(&issuer(&server, ""));
    let token = server.token("ES256", &none(), &server.claims("ann", "codec"));
    let callers = (0..50).map(|_| bearer(&authenticator, &token));
    for answer in futures::future::join_all(callers).await {
        answer.unwrap();
    }
    assert_eq!(server.requests("keys"), 1);
}

#[tokio::test]
async fn a_caller_that_leaves_does_not_end_the_fetch() {
    let server = Server::local().await.unwrap();
    let authenticator = open(&issuer(&server, ""));
    let token = server.token("ES256", &none(), &server.claims("ann", "codec"));
    {
        let leaving = std::pin::pin!(bearer(&authenticator, &token));
        assert!(futures::poll!(leaving).is_pending());
    }
    assert!(bearer(&authenticator, &token).await.is_ok());
    assert_eq!(server.requests("keys"), 1);
}

#[tokio::test]
async fn warming_up_fetches_the_keys_before_the_first_caller() {
    let server = Server::local().await.unwrap();
    let authenticator = open(&issuer(&server, ""));
    authenticator.warm_up().await;
    authenticator.warm_up().await;
    assert_eq!(server.requests("keys"), 1);
    let token = server.token("ES256", &none(), &server.claims("ann", "codec"));
    server.fail(Some(Fault::Error));
    assert!(bearer(&authenticator, &token).await.is_ok());
}

#[tokio::test]
async fn keys_outlive_the_issuer_for_a_bounded_time() {
    let server = Server::local().await.unwrap();
    let times = |max_age: &str, hard: &str| {
        issuer(
            &server,
            &format!(
                "keys_max_age = \"{max_age}\"\nkeys_hard_max_age = \"{hard}\"\nkeys_pause = \"1ms\""
            ),
        )
    };
    let kept = open(&times("1ms", "1h"));
    let ended = open(&times("1ms", "1ms"));
    let token = server.token("ES256", &none(), &server.claims("ann", "codec"));
    kept.warm_up().await;
    ended.warm_up().await;
    server.fail(Some(Fault::Error));
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    assert!(bearer(&kept, &token).await.is_ok());
    let refused = bearer(&ended, &token).await.unwrap_err();
    assert_eq!(refused, Refused::Unavailable);
    assert_eq!(refused.status(), 503);
}

#[tokio::test]
async fn callers_do_not_wait_for_an_issuer_that_is_down() {
    let server = Server::local().await.unwrap();
    let text = issuer(&server, "keys_max_age = \"1ms\"\nkeys_pause = \"1ms\"");
    let authenticator = open(&format!("{text}[auth.http]\ntimeout = \"1h\"\n"));
    let token = server.token("ES256", &none(), &server.claims("ann", "codec"));
    assert!(bearer(&authenticator, &token).await.is_ok());
    // One attempt fails. The next one would never end.
    server.fail(Some(Fault::Error));
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    assert!(bearer(&authenticator, &token).await.is_ok());
    server.fail(Some(Fault::Silent));
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    assert!(bearer(&authenticator, &token).await.is_ok());
}

#[tokio::test]
async fn answers_that_are_not_of_an_issuer_are_not_believed() {
    for fault in [
        Fault::Error,
        Fault::Redirect,
        Fault::NotJson,
        Fault::Huge,
        Fault::Silent,
        Fault::OtherIssuer,
        Fault::PlainKeys,
        Fault::NoKeys,
    ] {
        let server = Server::local().await.unwrap();
        let text = issuer(&server, "keys_pause = \"1ms\"");
        let authenticator = open(&format!("{text}[auth.http]\ntimeout = \"300ms\"\n"));
        let token = server.token("ES256", &none(), &server.claims("ann", "codec"));
        server.fail(Some(fault));
        let refused = bearer(&authenticator, &token).await.unwrap_err();
        assert_eq!(refused, Refused::Unavailable, "{fault:?}");
        server.fail(None);
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        assert!(bearer(&authenticator, &token).await.is_ok(), "{fault:?}");
    }
}

#[tokio::test]
async fn several_issuers_are_told_apart() {
    let (one, two) = (
        Server::local().await.unwrap(),
        Server::local().await.unwrap(),
    );
    let second = issuer(&two, "").replace("issuers.fake", "issuers.second");
    let authenticator = open(&format!("{}{second}", issuer(&one, "")));
    for (server, name) in [(&one, "fake"), (&two, "second")] {
        let token = server.token("ES256", &none(), &server.claims("ann", "codec"));
        let identity = bearer(&authenticator, &token).await.unwrap();
        assert_eq!(identity.issuer(), Some(name));
    }
    // A key of one issuer does not sign for the other one.
    let forged = one.token("ES256", &none(), &two.claims("ann", "codec"));
    assert_eq!(
        bearer(&authenticator, &forged).await.unwrap_err(),
        TokenFault::Signature.into()
    );
}

#[tokio::test]
async fn temporal_cloud_users_are_those_of_the_configuration() {
    let server = Server::local().await.unwrap();
    let names_cloud = format!(
        "profile = \"temporal-cloud\"\nissuer = \"{}\"",
        server.issuer()
    );
    temporal_cloud_gives_no_permissions(&server, &names_cloud).await;
}

#[tokio::test]
async fn temporal_cloud_is_known_by_its_url() {
    let server = issuer_at("https://login.tmprl.cloud/").await;
    let names_cloud = format!(
        "issuer = \"{}\"\njwks_url = \"http://{}/keys\"",
        server.issuer(),
        server.address()
    );
    temporal_cloud_gives_no_permissions(&server, &names_cloud).await;
}

/// An issuer whose tokens have this URL.
async fn issuer_at(url: &str) -> Server {
    let options = Options {
        issuer: Some(url.to_owned()),
        ..Options::default()
    };
    Server::start(([127, 0, 0, 1], 0).into(), options)
        .await
        .unwrap()
}

async fn temporal_cloud_gives_no_permissions(server: &Server, names_cloud: &str) {
    const EMAIL: &str = "https://saas-api.tmprl.cloud/user/email";
    let authenticator = open(&format!(
        "[auth.issuers.cloud]\n{names_cloud}\ndomains = {{ \"example.com\" = [\"payments.a1b2c:read\"] }}\n"
    ));
    let token = |email: &str| {
        let claims = server.claims("auth0|1", "unused");
        let audience = json!([
            "https://saas-api.tmprl.cloud",
            "https://prod-tmprl.us.auth0.com/userinfo"
        ]);
        let more = json!({ "aud": audience, EMAIL: email, "permissions": ["payments.a1b2c:admin"], "groups": ["x"] });
        server.token("RS256", &none(), &with(claims, more))
    };
    let ann = bearer(&authenticator, &token("ann@example.com"))
        .await
        .unwrap();
    assert_eq!(roles(&ann, "payments.a1b2c"), [Role::Read]);
    // Another customer has valid tokens of the same issuer for the same audience.
    let stranger = bearer(&authenticator, &token("eve@evil.example"))
        .await
        .unwrap();
    assert!(stranger.permissions().is_empty());
    let namespace = Namespace::new("payments.a1b2c").unwrap();
    assert!(stranger.allows(Action::DECODE, &namespace).is_err());
}

const GOOGLE_AUDIENCE: &str = "https://tasks.example";

#[tokio::test]
async fn google_users_are_those_of_the_configuration_whom_google_answers_for() {
    let server = Server::local().await.unwrap();
    let names_google = format!("profile = \"google\"\nissuer = \"{}\"", server.issuer());
    let authenticator = google_answers_for_its_users(&server, &names_google).await;
    // Google's tokens have no permissions and no groups.
    let claims = with(
        server.claims("1", GOOGLE_AUDIENCE),
        json!({ "permissions": ["a:admin"], "groups": ["a"] }),
    );
    let user = bearer(&authenticator, &server.token("RS256", &none(), &claims)).await;
    assert_eq!(roles(&user.unwrap(), "a"), []);
}

#[tokio::test]
async fn google_is_known_by_its_url() {
    let server = issuer_at("https://accounts.google.com").await;
    let names_google = format!(
        "issuer = \"{}\"\njwks_url = \"http://{}/keys\"",
        server.issuer(),
        server.address()
    );
    google_answers_for_its_users(&server, &names_google).await;
}

async fn google_answers_for_its_users(server: &Server, names_google: &str) -> Authenticator {
    let authenticator = open(&format!(
        "[auth.issuers.google]\n{names_google}\naudience = [\"{GOOGLE_AUDIENCE}\"]\n\
         emails = {{ \"client@p.iam.gserviceaccount.com\" = [\"a:write\"] }}\ndomains = {{ \"example.com\" = [\"a:read\"] }}\n\
         subjects = {{ \"42\" = [\"a:worker\"] }}\n"
    ));
    let client = "client@p.iam.gserviceaccount.com";
    for (subject, more, expected) in [
        (
            "1",
            json!({ "email": client, "email_verified": true }),
            &[Role::Write][..],
        ),
        (
            "1",
            json!({ "email": "ann@example.com", "email_verified": true, "hd": "example.com" }),
            &[Role::Read],
        ),
        // A private account with an address of the company.
        (
            "1",
            json!({ "email": "ann@example.com", "email_verified": true }),
            &[],
        ),
        ("1", json!({ "email": client }), &[]),
        (
            "1",
            json!({ "email": "eve@p.iam.gserviceaccount.com", "email_verified": true }),
            &[],
        ),
        ("42", json!({}), &[Role::Worker]),
    ] {
        let claims = with(server.claims(subject, GOOGLE_AUDIENCE), more.clone());
        let user = bearer(&authenticator, &server.token("RS256", &none(), &claims))
            .await
            .unwrap();
        assert_eq!(roles(&user, "a"), expected, "{more}");
    }
    authenticator
}

#[tokio::test]
async fn a_caller_without_a_token_gets_the_advice_of_the_program() {
    const ADVICE: &str = "Ask the front desk for a token";
    let text = "[auth.issuers.a]\nissuer = \"https://a.example\"\naudience = [\"codec\"]";
    let refused = ask(&open(text), &[]).await.unwrap_err().to_string();
    assert!(
        refused.contains("issuer that this server knows"),
        "{refused}"
    );
    let config = read(text).unwrap().with_issuer_remedy(ADVICE);
    let authenticator = Authenticator::open(&config).unwrap();
    let refused = ask(&authenticator, &[]).await.unwrap_err().to_string();
    assert!(refused.ends_with(ADVICE), "{refused}");

    let login = "[auth.login]\nissuer = \"a\"\nclient_id = \"codec\"\nredirect_url = \"https://codec.example/auth/callback\"";
    let config = read(&format!("{text}\n{login}")).unwrap();
    let config = config.with_issuer_remedy(ADVICE);
    let authenticator = Authenticator::open(&config).unwrap();
    let refused = ask(&authenticator, &[]).await.unwrap_err().to_string();
    assert!(refused.contains("/auth/login"), "{refused}");
    let authenticator = Authenticator::open(&config.without_login_advice()).unwrap();
    let refused = ask(&authenticator, &[]).await.unwrap_err().to_string();
    assert!(refused.ends_with(ADVICE), "{refused}");
}

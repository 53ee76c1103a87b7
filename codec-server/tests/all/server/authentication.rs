//! Who asks, and what each caller may do. Tokens are those of a small issuer, and of the configuration.

use std::net::TcpStream;

use fake_oidc::{Server, hmac_with_public_key, unsigned};
use futures::{StreamExt as _, stream::FuturesUnordered};
use serde_json::{Value, json};
use temporal_kms_codec_service::auth::NewToken;
use tokio::runtime::Runtime;

use crate::support::{Answer, CodecServer, Http2, SECRET, body_of, plain, run};

const UI: &str = "https://ui.example.com";
const NAMESPACES: &str = "[cors]\nallowed_origins = [\"https://ui.example.com\"]\n\
     [namespaces.default]\nencrypt = [\"local://default\"]\n\
     [namespaces.payments]\nencrypt = [\"local://payments\"]\n";

/// An issuer, and a codec server that accepts its tokens.
struct Bench {
    issuer: Server,
    server: CodecServer,
    runtime: Runtime,
}

impl Bench {
    fn new() -> Self {
        Self::with("")
    }

    /// With more settings in `[server]`.
    fn with(server: &str) -> Self {
        let runtime = Runtime::new().unwrap();
        let issuer = runtime.block_on(Server::local()).unwrap();
        let auth = format!(
            "[auth.issuers.fake]\nissuer = \"{}\"\naudience = [\"codec\"]\n",
            issuer.issuer()
        );
        let server = CodecServer::configured(|_| format!("{server}\n{auth}{NAMESPACES}"));
        Self {
            issuer,
            server,
            runtime,
        }
    }

    /// A valid token with these permissions.
    fn token(&self, permissions: &[&str]) -> String {
        self.issued("codec", permissions)
    }

    fn issued(&self, audience: &str, permissions: &[&str]) -> String {
        let mut claims = self.issuer.claims("ann", audience);
        claims["permissions"] = json!(permissions);
        self.issuer.token("RS256", &json!({}), &claims)
    }

    fn ask(&self, token: &str, path: &str, namespace: &str) -> Answer {
        self.ask_with(token, path, &[("X-Namespace", namespace)])
    }

    fn ask_with(&self, token: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let bearer = format!("Bearer {token}");
        let headers = [headers, &[("Authorization", bearer.as_str())]].concat();
        self.server.post(path, &headers, &body_of(&plain(&["a"])))
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // The issuer's task ends in its runtime.
        let _runtime = self.runtime.enter();
    }
}

#[test]
fn a_request_without_a_proof_is_told_to_sign_in_and_a_page_can_read_it() {
    let bench = Bench::new();
    let body = body_of(&plain(&["a"]));
    for path in ["/encode", "/decode", "/download", "/payments/decode"] {
        let answer = bench.server.post(path, &[("Origin", UI)], &body);
        answer.refused(401, "sign in");
        assert_eq!(
            answer.header("www-authenticate"),
            Some("Bearer realm=\"codec-server\"")
        );
        assert_eq!(answer.header("access-control-allow-origin"), Some(UI));
    }
    let preflight = bench.server.raw(
        format!(
            "OPTIONS /decode HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nOrigin: {UI}\r\n\
             Access-Control-Request-Method: POST\r\n\r\n"
        )
        .as_bytes(),
    );
    assert_eq!(preflight.status, 200, "a preflight has no token");
    assert_eq!(preflight.header("access-control-allow-origin"), Some(UI));
}

#[test]
fn plaintext_needs_read_and_encrypting_needs_another_role_in_the_namespace() {
    let bench = Bench::new();
    for (permission, encode, decode) in [
        ("payments:read", 403, 200),
        ("payments:write", 200, 403),
        ("payments:worker", 200, 403),
        ("payments:admin", 200, 403),
        ("default:read", 403, 403),
        ("temporal-system:read", 403, 200),
    ] {
        let token = bench.token(&[permission]);
        assert_eq!(
            bench.ask(&token, "/encode", "payments").status,
            encode,
            "{permission}"
        );
        assert_eq!(
            bench.ask(&token, "/decode", "payments").status,
            decode,
            "{permission}"
        );
        let download = if decode == 200 { 404 } else { 403 };
        let answer = bench.ask(&token, "/download", "payments");
        assert_eq!(answer.status, download, "{permission}");
    }
    let refused = bench.ask(&bench.token(&["payments:read"]), "/encode", "payments");
    refused.refused(
        403,
        "the role write, worker or admin is missing. Ask an administrator",
    );
    assert_eq!(refused.header("www-authenticate"), None);
}

#[test]
fn the_parsed_operation_decides_and_not_the_text_of_the_url() {
    let bench = Bench::new();
    let writer = bench.token(&["default:write", "payments:write"]);
    for path in [
        "/decode?x=/encode",
        "/decode?/encode",
        "/decode#/encode",
        "//decode?preserveStorageRefs=true&x=/encode",
        "/payments/decode?x=/encode",
    ] {
        assert_eq!(bench.ask_with(&writer, path, &[]).status, 403, "{path}");
    }
    for path in [
        "/decode%2Fencode",
        "/decode/",
        "/decode;/encode2",
        "/%64ecode",
    ] {
        assert_eq!(bench.ask_with(&writer, path, &[]).status, 404, "{path}");
    }
    // `encode` would be the namespace.
    assert_eq!(bench.ask_with(&writer, "/encode/decode", &[]).status, 403);
    let reader = bench.token(&["default:read"]);
    let answer = bench.ask_with(&reader, "/encode?x=/decode", &[]);
    assert_eq!(answer.status, 403);
}

#[test]
fn a_token_counts_in_its_namespaces_only() {
    let bench = Bench::new();
    let token = bench.token(&["payments:read"]);
    assert_eq!(bench.ask(&token, "/decode", "payments").status, 200);
    assert_eq!(bench.ask(&token, "/decode", "default").status, 403);
    // Without a name it is `default`.
    assert_eq!(bench.ask_with(&token, "/decode", &[]).status, 403);
    // Header and path name different ones.
    let both = [("X-Namespace", "payments")];
    assert_eq!(bench.ask_with(&token, "/default/decode", &both).status, 400);
    // A namespace that is not served is not served as `default`, and a stranger does not learn that.
    assert_eq!(bench.ask(&token, "/decode", "unknown").status, 403);
    let everywhere = bench.token(&["temporal-system:read"]);
    assert_eq!(bench.ask(&everywhere, "/decode", "unknown").status, 404);
    assert_eq!(
        bench.ask_with(&everywhere, "/unknown/decode", &[]).status,
        404
    );
    let stranger = bench.token(&[]);
    for path in ["/payments/decode", "/unknown/decode", "/decode"] {
        for headers in [&[][..], &[("X-Namespace", "other")]] {
            let answer = bench.ask_with(&stranger, path, headers);
            assert_eq!(answer.status, 403, "{path} {headers:?}");
        }
    }
}

#[test]
fn a_stranger_cannot_drop_data_keys_of_namespaces_with_a_pattern() {
    let (member, stranger) = (NewToken::generate().unwrap(), NewToken::generate().unwrap());
    let mut server = CodecServer::configured(|_| {
        format!(
            "[auth.tokens.member]\nsha256 = [\"{}\"]\npermissions = [\"team-a:worker\"]\n\
             [auth.tokens.stranger]\nsha256 = [\"{}\"]\npermissions = [\"elsewhere:read\"]\n\
             [namespaces.\"team-*\"]\nencrypt = [\"local://team\"]\n",
            member.sha256, stranger.sha256
        )
    });
    server.wait_for_log("ready: every encrypting key answers");
    let body = body_of(&plain(&["a"]));
    let encode = |token: &NewToken, namespace: &str| {
        let bearer = format!("Bearer {}", token.token.as_str());
        let headers = [
            ("Authorization", bearer.as_str()),
            ("X-Namespace", namespace),
        ];
        server.post("/encode", &headers, &body).status
    };
    let calls = || {
        let metrics = server.admin("/metrics").body;
        let calls = metrics.lines().filter(|line| {
            line.starts_with("codec_server_kms_calls_total{") && line.contains("local://team")
        });
        calls.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(encode(&member, "team-a"), 200);
    let before = calls();
    assert!(!before.is_empty());
    // More than the server keeps.
    for number in 0..300 {
        assert_eq!(encode(&stranger, &format!("team-{number}")), 403);
    }
    assert_eq!(encode(&member, "team-a"), 200);
    assert_eq!(calls(), before);
}

#[test]
fn tokens_that_are_not_for_this_server_are_refused() {
    let bench = Bench::new();
    let key = bench.issuer.key("RS256");
    let with = |change: fn(&mut Value)| {
        let mut claims = bench.issuer.claims("ann", "codec");
        claims["permissions"] = json!(["default:read"]);
        change(&mut claims);
        claims
    };
    let sign = |claims: &Value| bench.issuer.token("RS256", &json!({}), claims);
    let none = |claims: &mut Value| {
        claims.as_object_mut().unwrap().remove("aud");
    };
    let good = with(|_| ());
    assert_eq!(bench.ask(&sign(&good), "/decode", "default").status, 200);
    let other = bench.runtime.block_on(Server::local()).unwrap();
    for (token, words) in [
        (sign(&with(none)), "aud"),
        (bench.issued("other", &["default:read"]), "another service"),
        (
            sign(&with(|claims| claims["exp"] = json!(1))),
            "has expired",
        ),
        (
            hmac_with_public_key(key.public(), key.id(), &good),
            "algorithm that is not allowed",
        ),
        (
            unsigned(&json!({ "kid": key.id() }), &good),
            "algorithm that is not allowed",
        ),
        (
            other.token("RS256", &json!({}), &other.claims("ann", "codec")),
            "issuer that this server does not know",
        ),
        (
            other.token("RS256", &json!({}), &good),
            "signature is not valid",
        ),
        ("text".to_owned(), "neither one of the configuration"),
    ] {
        let answer = bench.ask(&token, "/decode", "default");
        answer.refused(401, words);
        assert_eq!(
            answer.header("www-authenticate"),
            Some("Bearer realm=\"codec-server\", error=\"invalid_token\"")
        );
    }
}

#[test]
fn a_customer_of_temporal_cloud_is_told_from_the_others() {
    let bench = Bench::new();
    let auth = format!(
        "[auth.issuers.cloud]\nprofile = \"temporal-cloud\"\nissuer = \"{0}\"\njwks_url = \"{0}/keys\"\n\
         domains = {{ \"example.com\" = [\"default:read\"] }}\n",
        bench.issuer.issuer()
    );
    let server = CodecServer::configured(|_| format!("{auth}{NAMESPACES}"));
    let token = |email: &str| {
        let audience = "https://saas-api.tmprl.cloud";
        let mut claims = bench.issuer.claims("ann", audience);
        claims["https://saas-api.tmprl.cloud/user/email"] = json!(email);
        // Another customer's own permissions, in a namespace of the same name.
        claims["permissions"] = json!(["default:read"]);
        bench.issuer.token("RS256", &json!({}), &claims)
    };
    let ask = |email: &str| {
        let bearer = format!("Bearer {}", token(email));
        let headers = [("Authorization", bearer.as_str())];
        server.post("/decode", &headers, &body_of(&plain(&["a"])))
    };
    assert_eq!(ask("ann@example.com").status, 200);
    for other in ["ann@evil.example", "ann@example.com.evil.example"] {
        assert_eq!(ask(other).status, 403, "{other}");
    }
}

#[test]
fn cookies_count_from_listed_pages_and_with_json_only() {
    let bench = Bench::with("allowed_hosts = [\"codec.example.com\"]");
    let token = bench.token(&["default:read"]);
    let ask = |headers: &[(&str, &str)]| {
        let bearer = format!("Bearer {token}");
        let always = [("Authorization", bearer.as_str()), ("Cookie", "any=1")];
        let headers = [headers, &always].concat();
        let body = body_of(&plain(&["a"]));
        bench.server.post("/decode", &headers, &body)
    };
    assert_eq!(ask(&[("Origin", UI)]).status, 200);
    ask(&[]).refused(403, "allowed_origins");
    for origin in ["https://evil.example", "null", "http://ui.example.com"] {
        ask(&[("Origin", origin)]).refused(403, "allowed_origins");
    }
    // The server's own page comes by TLS.
    let host = ("Host", "codec.example.com");
    assert_eq!(
        ask(&[host, ("Origin", "https://codec.example.com")]).status,
        200
    );
    ask(&[host, ("Origin", "http://codec.example.com")]).refused(403, "allowed_origins");
    // `post` has sent JSON already.
    ask(&[("Origin", UI), ("Content-Type", "text/plain")]).refused(403, "application/json");
}

#[test]
fn who_calls_and_the_state_are_told_to_listed_pages_only() {
    let runtime = Runtime::new().unwrap();
    let issuer = runtime.block_on(Server::local()).unwrap();
    let _guard = runtime.enter();
    let namespaces = NAMESPACES.replacen("[cors]", "[cors]\nallow_local_origins = true", 1);
    let auth = format!(
        "[auth.issuers.fake]\nissuer = \"{}\"\naudience = [\"codec\"]\n",
        issuer.issuer()
    );
    let server = CodecServer::configured(|_| format!("{auth}{namespaces}"));
    let mut claims = issuer.claims("ann", "codec");
    claims["permissions"] = json!(["default:admin"]);
    let token = issuer.token("RS256", &json!({}), &claims);
    for path in ["/whoami", "/status"] {
        let get = |headers: &str| {
            let request = format!(
                "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                 Authorization: Bearer {token}\r\n{headers}\r\n"
            );
            server.raw(request.as_bytes())
        };
        let local = "Origin: http://localhost:1234\r\n";
        // Without cookies, the page has the token from its user.
        assert_eq!(get(local).status, 200, "{path}");
        assert_eq!(get("Cookie: any=1\r\n").status, 200, "{path}");
        let listed = format!("Cookie: any=1\r\nOrigin: {UI}\r\n");
        assert_eq!(get(&listed).status, 200, "{path}");
        get(&format!("Cookie: any=1\r\n{local}")).refused(403, "allowed_origins");
    }
}

#[test]
fn whoami_tells_a_caller_its_roles() {
    let bench = Bench::new();
    let get = |token: &str| {
        let request = format!(
            "GET /whoami HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        bench.server.raw(request.as_bytes())
    };
    let token = bench.token(&["payments:read", "payments:write", "other:admin"]);
    assert_eq!(
        get(&token).json(),
        json!({
            "subject": "ann",
            "method": "jwt",
            "issuer": "fake",
            "roles": {"payments": ["read", "write"]},
        })
    );
    get("x").refused(401, "token");
    assert_eq!(bench.server.post("/whoami", &[], b"{}").status, 404);
}

#[test]
fn no_token_is_in_a_log_or_an_answer() {
    let new = NewToken::generate().unwrap();
    let auth = format!(
        "[auth.tokens.program]\nsha256 = [\"{}\"]\npermissions = [\"default:read\"]\n",
        new.sha256
    );
    let server = CodecServer::configured(|_| format!("{auth}{NAMESPACES}"));
    let bearer = format!("Bearer {}", new.token.as_str());
    let body = body_of(&plain(&["a"]));
    let ask = |headers: &[(&str, &str)]| server.post("/decode", headers, &body);
    let secret = format!("Bearer {SECRET}");
    let answers = [
        ask(&[("Authorization", &bearer)]),
        ask(&[("Authorization", &bearer), ("X-Namespace", "payments")]),
        ask(&[("Authorization", &secret)]),
        ask(&[("Authorization", SECRET)]),
        ask(&[("Authorization-Extras", SECRET)]),
        ask(&[("Authorization", &bearer), ("Authorization", &bearer)]),
        ask(&[("Cookie", &format!("__Host-codec-session={SECRET}")), ("Origin", UI)]),
        server.post(&format!("/auth/callback?code={SECRET}"), &[], b""),
        server.raw(
            format!("GET /auth/login?return_to={SECRET} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                .as_bytes(),
        ),
    ];
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 403, 401, 401, 401, 401, 401, 404, 404]);
    let log = server.stop_and_log();
    assert!(
        log.contains("static-token:program"),
        "the log names the caller"
    );
    let shown = format!("{answers:?}{log}");
    for secret in [new.token.as_str(), SECRET, new.sha256.as_str()] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn with_authentication_any_address_and_any_host_name_is_served() {
    let bench = Bench::with("listen = \"0.0.0.0:0\"");
    let (_, port) = bench.server.url().rsplit_once(':').unwrap();
    TcpStream::connect(format!("127.0.0.2:{port}")).unwrap();
    drop(bench);

    let bench = Bench::new();
    let token = bench.token(&["default:read"]);
    let host = [("Host", "codec.internal.example:8443")];
    assert_eq!(bench.ask_with(&token, "/decode", &host).status, 200);
}

#[test]
fn without_authentication_other_machines_are_kept_out_unless_the_operator_insists() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("codec.toml");
    let text =
        "[server]\nlisten = \"0.0.0.0:0\"\n[namespaces.default]\nencrypt = [\"local://default\"]\n";
    std::fs::write(&file, text).unwrap();
    let output = run(&["serve", "--config", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(78));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("insecure_without_authentication"), "{error}");

    let mut server = CodecServer::configured(|_| {
        format!("listen = \"0.0.0.0:0\"\ninsecure_without_authentication = true\n{NAMESPACES}")
    });
    server.wait_for_log("EVERYBODY WHO CAN REACH THIS SERVER CAN DECRYPT");
}

#[test]
fn a_browser_is_sent_to_the_issuer() {
    let runtime = Runtime::new().unwrap();
    let issuer = runtime.block_on(Server::local()).unwrap();
    let _guard = runtime.enter();
    let auth = format!(
        "[auth.issuers.fake]\nissuer = \"{}\"\naudience = [\"codec\"]\n\
         [auth.login]\nissuer = \"fake\"\nclient_id = \"codec\"\n\
         redirect_url = \"https://codec.example.com/auth/callback\"\n",
        issuer.issuer()
    );
    let server = CodecServer::configured(|_| format!("{auth}{NAMESPACES}"));
    let get = |path: &str| {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        server.raw(request.as_bytes())
    };
    for path in ["/auth/login", "/login"] {
        let begun = get(&format!("{path}?return_to=/whoami"));
        assert_eq!(begun.status, 303, "{}", begun.body);
        let location = begun.header("location").unwrap();
        assert!(location.starts_with(issuer.issuer()), "{location}");
        let cookie = begun.header("set-cookie").unwrap();
        assert!(cookie.starts_with("__Host-codec-login="), "{cookie}");
        assert_eq!(begun.header("cache-control"), Some("no-store"));
    }
    assert_eq!(get("/auth/callback?code=x&state=y").status, 400);
    // Another site must not sign people out.
    let foreign = [("Origin", "https://evil.example")];
    for path in ["/auth/logout", "/logout"] {
        server
            .post(path, &foreign, b"")
            .refused(403, "allowed_origins");
        assert_eq!(server.post(path, &[], b"").status, 303);
        assert_ne!(get(path).status, 303, "a link must not sign people out");
    }
}

#[test]
fn one_caller_leaves_room_for_others() {
    let bench = Bench::with("body_timeout = \"1h\"");
    let auth = format!(
        "body_timeout = \"1h\"\n[limits]\ncaller_requests = 2\n[auth.issuers.fake]\nissuer = \"{}\"\naudience = [\"codec\"]\n",
        bench.issuer.issuer()
    );
    let server = CodecServer::configured(|_| format!("{auth}{NAMESPACES}"));
    let token = |subject: &str| {
        let mut claims = bench.issuer.claims(subject, "codec");
        claims["permissions"] = json!(["default:read"]);
        bench.issuer.token("RS256", &json!({}), &claims)
    };
    let (ann, ben) = (token("ann"), token("ben"));
    let body = body_of(&plain(&["a"]));
    let slow: Vec<_> = (0..2)
        .map(|_| {
            let bearer = format!("Bearer {ann}");
            let headers = [
                ("Authorization", bearer.as_str()),
                ("Expect", "100-continue"),
            ];
            let request = crate::support::post("/decode", &headers, &body);
            let mut connection = server.connect();
            connection.send(&request[..request.len() - body.len()]);
            // The server asks for the body when the request has its place.
            assert!(connection.head().contains("100 Continue"));
            connection
        })
        .collect();
    let ask = |token: &str| {
        let bearer = format!("Bearer {token}");
        server.post("/decode", &[("Authorization", bearer.as_str())], &body)
    };
    let refused = ask(&ann);
    refused.refused(429, "too many requests from you");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(ask(&ben).status, 200);
    drop(slow);
}

#[test]
fn logins_take_places_among_the_open_requests() {
    const CONNECTIONS: usize = 20;
    const STREAMS: usize = 64;
    // As `max_connections` below, and what HTTP/2 shares.
    const PLACES: usize = CONNECTIONS + 1024;
    let runtime = Runtime::new().unwrap();
    let issuer = runtime.block_on(Server::local()).unwrap();
    let _guard = runtime.enter();
    let auth = format!(
        "max_connections = {CONNECTIONS}\n[auth.http]\ntimeout = \"60s\"\n\
         [auth.issuers.fake]\nissuer = \"{0}\"\njwks_url = \"{0}/keys\"\naudience = [\"codec\"]\n\
         [auth.login]\nissuer = \"fake\"\nclient_id = \"codec\"\n\
         redirect_url = \"https://codec.example.com/auth/callback\"\n",
        issuer.issuer()
    );
    let server = CodecServer::configured(|_| format!("{auth}{NAMESPACES}"));
    // Each login waits for the issuer.
    issuer.hold(true);
    runtime.block_on(async {
        let (mut waiting, mut connections) = (FuturesUnordered::new(), Vec::new());
        for _ in 0..CONNECTIONS {
            let connection = Http2::to(server.url()).await;
            for _ in 0..STREAMS {
                let request = http::Request::get("http://localhost/auth/login");
                let mut ready = connection.0.clone().ready().await.unwrap();
                let (answer, _) = ready.send_request(request.body(()).unwrap(), true).unwrap();
                waiting.push(answer);
            }
            connections.push(connection);
        }
        for _ in PLACES..CONNECTIONS * STREAMS {
            let refused = waiting.next().await.unwrap().unwrap();
            assert_eq!(refused.status(), 503);
            assert_eq!(refused.headers()["retry-after"], "1");
        }
        issuer.hold(false);
        while let Some(answer) = waiting.next().await {
            assert_eq!(answer.unwrap().status(), 303);
        }
    });
    assert_eq!(issuer.requests("configuration"), 1);
}

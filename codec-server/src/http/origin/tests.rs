//! Which pages and which host names are refused.

use std::convert::Infallible;

use http::{Request, StatusCode};
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::*;

#[tokio::test]
async fn answers_without_an_origin_get_the_headers_of_the_layer() {
    for allow_credentials in [false, true] {
        let cors = CorsConfig {
            allow_credentials,
            ..CorsConfig::local()
        };
        let policy = OriginPolicy::new(cors, Vec::new(), false);
        for status in [
            StatusCode::OK,
            StatusCode::UNAUTHORIZED,
            StatusCode::FORBIDDEN,
            StatusCode::PAYLOAD_TOO_LARGE,
            StatusCode::TOO_MANY_REQUESTS,
        ] {
            let answer = move || {
                let answer = Response::builder().status(status);
                answer.header(header::VARY, "cookie").body(()).unwrap()
            };
            let service =
                service_fn(move |_: Request<()>| async move { Ok::<_, Infallible>(answer()) });
            let request = Request::post("/decode").body(()).unwrap();
            let of_layer = policy.cors_layer().layer(service).oneshot(request).await;
            let mut added = answer();
            policy.add_cors_headers(&mut added);
            assert_eq!(of_layer.unwrap().headers(), added.headers(), "{status}");
            let names_credentials = added
                .headers()
                .contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS);
            assert_eq!(names_credentials, allow_credentials);
        }
    }
}

#[test]
fn local_origins_are_those_of_this_machine() {
    for local in [
        "http://localhost:8233",
        "https://localhost",
        "http://127.0.0.1:80",
        "http://127.1.2.3:1",
        "http://[::1]:8080",
    ] {
        assert!(is_local_origin(local), "{local}");
    }
    for foreign in [
        "null",
        "",
        "http://localhost.evil.example",
        "http://evil.example:127",
        "http://localhost@evil.example",
        "http://evil@localhost",
        "http://localhost:8233/",
        "http://localhost:8233/x",
        "file://localhost",
        "localhost:8233",
        "http://127.0.0.1.evil.example",
        "http://0.0.0.0:8233",
        "http://2130706433.example",
    ] {
        assert!(!is_local_origin(foreign), "{foreign}");
    }
}

#[test]
fn a_page_on_the_same_host_is_not_foreign() {
    let same_where = |is_secure, origin, host: &str| {
        let origin = HeaderValue::from_static(origin);
        is_same_origin(&origin, &host.parse().unwrap(), is_secure)
    };
    let same = |origin, host: &str| same_where(false, origin, host);
    assert!(same("https://codec.example.com", "codec.example.com"));
    assert!(same("http://localhost:8081", "localhost:8081"));
    assert!(!same("http://localhost:8080", "localhost:8081"));
    assert!(!same("https://evil.example", "codec.example.com"));
    assert!(!same("null", "codec.example.com"));
    assert!(!same(
        "chrome-extension://codec.example.com",
        "codec.example.com"
    ));
    // A person in the network can answer for the name without TLS.
    let secure = |origin| same_where(true, origin, "codec.example.com");
    assert!(secure("https://codec.example.com"));
    assert!(!secure("http://codec.example.com"));
}

fn host_allowed(uri: &str, hosts: &[&str]) -> bool {
    let callers = OriginPolicy::new(
        CorsConfig::local(),
        vec!["codec.example.com".to_owned()],
        true,
    );
    let mut request = Request::builder().uri(uri);
    for host in hosts {
        request = request.header(header::HOST, *host);
    }
    let (parts, ()) = request.body(()).unwrap().into_parts();
    callers.host(&parts.uri, &parts.headers).is_some()
}

#[test]
fn only_names_of_this_server_are_answered() {
    for ours in [
        "localhost",
        "LOCALHOST:8081",
        "127.0.0.1:8081",
        "[::1]:8081",
        "codec.example.com",
    ] {
        assert!(host_allowed("/decode", &[ours]), "{ours}");
    }
    for foreign in [
        "evil.example:8081",
        "localhost.evil.example",
        "",
        "localhost, evil.example",
    ] {
        assert!(!host_allowed("/decode", &[foreign]), "{foreign}");
    }
    assert!(!host_allowed("/decode", &[]));
    assert!(!host_allowed("/decode", &["localhost", "localhost"]));
    assert!(host_allowed("http://localhost:1/decode", &["localhost:1"]));
    assert!(!host_allowed("http://evil.example/decode", &["localhost"]));
}

#[test]
fn any_name_is_answered_when_requests_prove_who_sends_them() {
    let policy = OriginPolicy::new(CorsConfig::default(), Vec::new(), true);
    let check = |headers: &[(&str, &str)]| {
        let mut request = Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        policy.check(&request.body(()).unwrap().into_parts().0)
    };
    let host = ("host", "codec.internal:8443");
    assert!(check(&[host]).is_ok());
    assert!(check(&[]).is_err(), "no name at all");
    // The page of this server, or one that pointed its own name here. The latter has nobody's proof.
    assert!(check(&[host, ("origin", "https://codec.internal:8443")]).is_ok());
    let foreign = ("origin", "https://evil.example");
    assert!(matches!(
        check(&[host, foreign]),
        Err(RequestError::ForeignOrigin)
    ));
}

#[tokio::test(start_paused = true)]
async fn refused_pages_are_logged_now_and_then() {
    let policy = OriginPolicy::new(CorsConfig::local(), Vec::new(), false);
    assert!(policy.may_log(Instant::now()));
    assert!(!policy.may_log(Instant::now()));
    tokio::time::advance(LOG_INTERVAL).await;
    assert!(policy.may_log(Instant::now()));
}

#[test]
fn a_page_without_an_origin_is_told_by_what_else_browsers_send() {
    let policy = OriginPolicy::new(CorsConfig::local(), Vec::new(), false);
    let allowed = |headers: &[(&str, &str)]| {
        let mut request = Request::builder().header(header::HOST, "localhost");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        policy
            .check(&request.body(()).unwrap().into_parts().0)
            .is_ok()
    };
    let local = ("origin", "http://localhost:8233");
    for site in ["cross-site", "same-site", "anything"] {
        let site = (SEC_FETCH_SITE, site);
        assert!(!allowed(&[site]), "{site:?}");
        assert!(
            !allowed(&[site, ("origin", "https://evil.example")]),
            "{site:?}"
        );
        assert!(
            allowed(&[site, local]),
            "{site:?}: the Web UI is on another port"
        );
    }
    for site in ["same-origin", "none"] {
        assert!(allowed(&[(SEC_FETCH_SITE, site)]), "{site}");
    }
    assert!(allowed(&[]));
}

//! The keys of an issuer that is a process of its own: it rotates them, and ends, while the server runs.

use std::process::Command;

use dev_servers::{Service, sibling_binary};
use serde_json::{Value, json};

use crate::support::{Answer, CodecServer, Connection, DEFAULT, body_of, plain, post, until};

struct Issuer(Service);

impl Issuer {
    fn start() -> Self {
        let program = sibling_binary("fake-oidc").expect("fake-oidc is built");
        Self(Service::start("the issuer", Command::new(program)).unwrap())
    }

    /// A server that accepts its tokens, and keeps its keys as `times` says.
    fn server(&self, times: &str) -> CodecServer {
        CodecServer::configured(|_| {
            format!(
                "[auth.issuers.fake]\nissuer = \"{}\"\naudience = [\"codec\"]\nkeys_pause = \"1ms\"\n{times}\n{DEFAULT}\n",
                self.0.url()
            )
        })
    }

    fn post(&self, path: &str, body: &Value) -> String {
        let address = self.0.url().trim_start_matches("http://");
        let mut connection = Connection::open(address);
        connection.send(&post(path, &[], &body_of(body)));
        let answer = connection.answer();
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    /// A token that its newest key signs.
    fn token(&self) -> String {
        let claims = json!({ "aud": "codec", "permissions": ["default:read"] });
        self.post("/_token", &json!({ "claims": claims }))
    }

    /// Replaces its keys.
    fn rotate(&self) {
        self.post("/_rotate", &Value::Null);
    }
}

fn ask(server: &CodecServer, token: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str())];
    server.post("/decode", &headers, &body_of(&plain(&["a"])))
}

/// Asks until the answer has this status, and returns that answer.
fn ask_until(server: &CodecServer, token: &str, status: u16) -> Answer {
    until(|| match ask(server, token) {
        answer if answer.status == status => Ok(answer),
        other => Err((other.status, other.body)),
    })
}

#[test]
fn a_token_of_a_new_key_passes_and_the_old_key_ends_with_it() {
    let issuer = Issuer::start();
    let server = issuer.server("");
    let old = issuer.token();
    assert_eq!(ask(&server, &old).status, 200);
    issuer.rotate();
    // Its key is known, so the server does not ask the issuer.
    assert_eq!(ask(&server, &old).status, 200);
    let new = issuer.token();
    ask_until(&server, &new, 200);
    ask(&server, &old).refused(401, "does not publish");
    assert_eq!(ask(&server, &new).status, 200);
}

#[test]
fn a_withdrawn_key_ends_when_the_keys_are_fetched_again() {
    let issuer = Issuer::start();
    let server = issuer.server("keys_max_age = \"1ms\"");
    let old = issuer.token();
    ask_until(&server, &old, 200);
    issuer.rotate();
    // Nobody presents a token of the new key.
    ask_until(&server, &old, 401).refused(401, "does not publish");
}

#[test]
fn known_keys_go_on_for_a_bounded_time_when_the_issuer_ends() {
    let mut issuer = Issuer::start();
    let mut kept = issuer.server("keys_max_age = \"1ms\"\nkeys_hard_max_age = \"1h\"");
    let bounded = issuer.server("keys_max_age = \"1ms\"\nkeys_hard_max_age = \"1s\"");
    let token = issuer.token();
    for server in [&kept, &bounded] {
        ask_until(server, &token, 200);
    }
    issuer.0.stop();
    assert_eq!(ask(&kept, &token).status, 200);
    kept.wait_for_log("the issuer's keys cannot be fetched");
    assert_eq!(ask(&kept, &token).status, 200);
    ask_until(&bounded, &token, 503).refused(503, "cannot be reached");
    // The other server still has them.
    assert_eq!(ask(&kept, &token).status, 200);
}

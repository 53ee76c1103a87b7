//! The proxy against a fake of the Messages API.

use std::{path::Path, time::Duration};

use fake_anthropic::{CredentialKind, Options, Server, sha256_hex};
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    time::timeout,
};

use super::{Proxy, ProxyLimits, Upstream};
use crate::task::{Credential, Secret};

const CREDENTIAL: &str = "sk-ant-real-credential";
const LIMIT: Duration = Duration::from_secs(30);

struct Rig {
    api: Server,
    proxy: Proxy,
    folder: TempDir,
}

impl Rig {
    async fn new(limits: ProxyLimits) -> Self {
        Self::with(limits, false).await
    }

    async fn with(limits: ProxyLimits, is_oauth: bool) -> Self {
        let listen = "127.0.0.1:0".parse().unwrap();
        let api = Server::start(listen, Options::default()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let upstream = Upstream::new(Some(api.url().parse().unwrap())).unwrap();
        let secret = Secret::new(CREDENTIAL.to_owned());
        let credential = if is_oauth {
            Credential::OauthToken(&secret)
        } else {
            Credential::ApiKey(&secret)
        };
        let proxy = Proxy::start(&upstream, &limits, credential, folder.path(), None).unwrap();
        Self { api, proxy, folder }
    }

    fn token(&self) -> String {
        let [.., (_, token)] = self.proxy.environment();
        token.to_string()
    }

    /// A call with the right token. Returns the status, and the whole answer.
    async fn call(&self, path: &str, prompt: &str) -> (u16, String) {
        let body = json!({"model": "claude-test", "stream": true,
            "messages": [{"role": "user", "content": prompt}]});
        let header = format!("x-api-key: {}", self.token());
        self.send("POST", path, &[&header], &body.to_string()).await
    }

    async fn send(&self, method: &str, path: &str, headers: &[&str], body: &str) -> (u16, String) {
        send(&self.proxy.socket(), method, path, headers, body).await
    }
}

async fn send(
    socket: &Path,
    method: &str,
    path: &str,
    headers: &[&str],
    body: &str,
) -> (u16, String) {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let mut request = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for header in headers {
        request.push_str(header);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    request.push_str(body);
    // The proxy can answer before it has read all.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let read = timeout(LIMIT, stream.read_to_end(&mut answer)).await;
    let _ = read.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}

#[tokio::test]
async fn the_credential_goes_to_the_api_and_not_to_the_task() {
    for is_oauth in [false, true] {
        let rig = Rig::with(ProxyLimits::default(), is_oauth).await;
        let (status, answer) = rig.call("/v1/messages?beta=true", "hello").await;
        assert_eq!(status, 200, "{answer}");
        assert!(answer.contains("You asked: hello") && answer.contains("message_stop"));
        assert!(!answer.contains(CREDENTIAL));
        let (status, _) = rig.call("/v1/messages/count_tokens", "hello").await;
        assert_eq!(status, 200);
        let seen = rig.api.requests();
        assert_eq!(seen.len(), 2);
        for request in seen {
            let credential = request.credential.unwrap();
            assert_eq!(credential.sha256, sha256_hex(CREDENTIAL.as_bytes()));
            assert_eq!(credential.kind == CredentialKind::OauthToken, is_oauth);
        }
        let environment = rig.proxy.environment();
        assert!(
            environment
                .iter()
                .all(|(_, value)| !value.contains(CREDENTIAL))
        );
    }
}

#[tokio::test]
async fn without_the_token_nothing_reaches_the_api() {
    let rig = Rig::new(ProxyLimits::default()).await;
    let body = r#"{"model":"m","messages":[]}"#;
    let wrong = format!("x-api-key: {}x", rig.token());
    let real = format!("x-api-key: {CREDENTIAL}");
    for headers in [
        vec![],
        vec![wrong.as_str()],
        vec![real.as_str()],
        vec!["authorization: Bearer "],
    ] {
        let (status, answer) = rig.send("POST", "/v1/messages", &headers, body).await;
        assert_eq!(status, 401, "{answer}");
    }
    let right = format!("x-api-key: {}", rig.token());
    for (method, path) in [
        ("GET", "/v1/messages"),
        ("POST", "/v1/files"),
        ("POST", "/v1/messages/batches"),
        ("POST", "/v1/messages/../organizations/me"),
        ("POST", "http://evil.invalid/v1/complete"),
        ("GET", "/v1/organizations/api_keys"),
    ] {
        let (status, answer) = rig.send(method, path, &[&right], body).await;
        assert_eq!(status, 404, "{path}: {answer}");
    }
    assert_eq!(rig.api.requests(), []);
}

#[tokio::test]
async fn an_absolute_url_goes_to_the_api_all_the_same() {
    let rig = Rig::new(ProxyLimits::default()).await;
    let (status, _) = rig.call("http://evil.invalid/v1/messages", "hello").await;
    assert_eq!((status, rig.api.requests().len()), (200, 1));
}

#[tokio::test]
async fn errors_of_the_api_pass() {
    let rig = Rig::new(ProxyLimits::default()).await;
    for wanted in [401, 429, 529, 500] {
        let prompt = format!("[[status:{wanted}]]");
        let (status, answer) = rig.call("/v1/messages", &prompt).await;
        assert_eq!(status, wanted);
        assert!(answer.contains("\"type\":\"error\""), "{answer}");
    }
}

#[tokio::test]
async fn a_task_ends_its_budget() {
    let tokens = Rig::new(ProxyLimits {
        tokens: Some(20),
        ..ProxyLimits::default()
    })
    .await;
    // An answer has 18 tokens.
    for wanted in [200, 200, 400] {
        let (status, answer) = tokens.call("/v1/messages", "hello").await;
        assert_eq!(status, wanted, "{answer}");
    }
    let calls = Rig::new(ProxyLimits {
        calls: 1,
        ..ProxyLimits::default()
    })
    .await;
    assert_eq!(calls.call("/v1/messages", "hello").await.0, 200);
    let (status, answer) = calls.call("/v1/messages", "hello").await;
    assert!(status == 400 && answer.contains("its 1 calls"), "{answer}");
    assert_eq!(calls.api.requests().len(), 1);
}

#[tokio::test]
async fn a_task_that_leaves_before_the_answer_pays_for_it() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let secret = Secret::new(CREDENTIAL.to_owned());
    let limits = ProxyLimits {
        tokens: Some(100),
        ..ProxyLimits::default()
    };
    let upstream = Upstream::new(Some(url.parse().unwrap())).unwrap();
    let credential = Credential::ApiKey(&secret);
    let proxy = Proxy::start(&upstream, &limits, credential, folder.path(), None).unwrap();
    let [.., (_, token)] = proxy.environment();
    let header = format!("x-api-key: {}", *token);
    let body = r#"{"model":"m","max_tokens":1000}"#;
    let mut stream = UnixStream::connect(proxy.socket()).await.unwrap();
    let request = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\n{header}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    // The call arrives at the API, which does not answer.
    let (mut call, _) = timeout(LIMIT, listener.accept()).await.unwrap().unwrap();
    let mut first = [0; 4];
    timeout(LIMIT, call.read_exact(&mut first))
        .await
        .unwrap()
        .unwrap();
    drop(stream);
    let (status, answer) = send(&proxy.socket(), "POST", "/v1/messages", &[&header], body).await;
    assert!(
        status == 400 && answer.contains("its 100 tokens"),
        "{answer}"
    );
}

#[tokio::test]
async fn without_network_the_api_reaches_nothing_for_the_task() {
    let rig = Rig::new(ProxyLimits::default()).await;
    let header = format!("x-api-key: {}", rig.token());
    let body =
        json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}],
        "mcp_servers": [{"type": "url", "url": "https://evil.invalid", "name": "e"}]})
        .to_string();
    for path in ["/v1/messages", "/v1/messages/count_tokens"] {
        let (status, answer) = rig.send("POST", path, &[&header], &body).await;
        assert!(status == 400 && answer.contains("no network"), "{answer}");
    }
    assert_eq!(rig.api.requests(), []);
}

#[tokio::test]
async fn models_and_sizes_have_limits() {
    let rig = Rig::new(ProxyLimits {
        models: vec!["claude-other".into()],
        call_bytes: 10_000,
        ..ProxyLimits::default()
    })
    .await;
    let (status, answer) = rig.call("/v1/messages", "hello").await;
    assert!(
        status == 400 && answer.contains("it allows claude-other"),
        "{answer}"
    );
    let (status, answer) = rig.call("/v1/messages", &"x".repeat(20_000)).await;
    assert_eq!(status, 413, "{answer}");
    assert_eq!(rig.api.requests(), []);
}

#[tokio::test]
async fn an_answer_arrives_while_it_is_made_and_ends_with_the_proxy() {
    let rig = Rig::new(ProxyLimits::default()).await;
    let mut stream = UnixStream::connect(rig.proxy.socket()).await.unwrap();
    let body =
        json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "[[slow]]go"}]})
            .to_string();
    let request = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {}\r\ncontent-length: {}\r\n\r\n{body}",
        rig.token(),
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("You asked: go") {
        let count = timeout(LIMIT, stream.read_buf(&mut seen)).await.unwrap();
        assert!(count.unwrap() > 0, "the stream ended");
    }
    let socket = rig.proxy.socket();
    drop(rig.proxy);
    // The end is an end of the connection, or an error of it.
    let mut rest = Vec::new();
    let _ = timeout(LIMIT, stream.read_to_end(&mut rest)).await.unwrap();
    assert!(!socket.exists());
    let run = std::fs::read_dir(rig.folder.path().join("run")).unwrap();
    assert_eq!(run.count(), 0);
}

#[tokio::test]
async fn says_when_the_api_is_unreachable_without_its_url() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::new(Some("http://127.0.0.1:1/secret-path".parse().unwrap())).unwrap();
    let secret = Secret::new(CREDENTIAL.to_owned());
    let proxy = Proxy::start(
        &upstream,
        &ProxyLimits::default(),
        Credential::ApiKey(&secret),
        folder.path(),
        None,
    )
    .unwrap();
    let [.., (_, token)] = proxy.environment();
    let header = format!("x-api-key: {}", *token);
    let (status, answer) = send(&proxy.socket(), "POST", "/v1/messages", &[&header], "{}").await;
    assert_eq!(status, 502);
    assert!(!answer.contains("secret-path") && !answer.contains(CREDENTIAL));
}

#[tokio::test]
async fn a_credential_that_no_header_can_hold_is_refused_without_showing_it() {
    let folder = tempfile::tempdir().unwrap();
    let secret = Secret::new("sk-ant\r\nx-evil: 1".to_owned());
    let error = Proxy::start(
        &Upstream::new(None).unwrap(),
        &ProxyLimits::default(),
        Credential::ApiKey(&secret),
        folder.path(),
        None,
    )
    .unwrap_err()
    .to_string();
    assert!(
        error.contains("anthropicApiKey") && !error.contains("evil"),
        "{error}"
    );
}

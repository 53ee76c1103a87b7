//! Webhooks against a receiver in Python, which checks signatures with its standard library.

use std::{
    io,
    net::IpAddr,
    pin::Pin,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use dev_servers::Process;
use integration_tests::tool;

use super::{
    address::AddressPolicy,
    body::{Body, Status, Summary},
    resolver::Lookup,
    sender::Sender,
    signature::CallbackSecrets,
};

const LIMIT: Duration = Duration::from_mins(1);

/// Answers 200 to a webhook with a good signature of `SECRET` that is not old, and 401 to others. Paths choose other answers.
const RECEIVER: &str = r#"
import hashlib, hmac, json, os, time
from http.server import BaseHTTPRequestHandler, HTTPServer

class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        stamp = self.headers["X-Webhook-Timestamp"]
        good = "sha256=" + hmac.new(os.environ["SECRET"].encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        fresh = abs(time.time() - int(stamp)) < 300
        signed = fresh and hmac.compare_digest(good, self.headers["X-Webhook-Signature"])
        status = 200 if signed else 401
        if self.path.startswith("/status/"):
            status = int(self.path.split("/")[2])
        self.send_response(status)
        if status // 100 == 3:
            self.send_header("Location", "/elsewhere")
        self.end_headers()
        print(json.dumps([self.path, status, self.headers["Content-Type"], body.decode()]), flush=True)

    def log_message(self, *arguments):
        pass

server = HTTPServer(("127.0.0.1", 0), Receiver)
print("port", server.server_port, flush=True)
server.serve_forever()
"#;

struct Receiver {
    process: Process,
    port: u16,
}

impl Receiver {
    fn start(secret: &str) -> Self {
        let mut command = Command::new(tool("TKC_PYTHON"));
        command.args(["-c", RECEIVER]).env("SECRET", secret);
        let mut process = Process::spawn("the receiver", command).unwrap();
        let port = process
            .wait_for_line(LIMIT, |line| line.strip_prefix("port ")?.parse().ok())
            .unwrap();
        Self { process, port }
    }

    /// The next webhook as `[path, status, content type, body]`.
    fn next(&mut self) -> serde_json::Value {
        self.process
            .wait_for_next_line(LIMIT, |line| {
                let seen: serde_json::Value = serde_json::from_str(line).ok()?;
                seen.is_array().then_some(seen)
            })
            .unwrap()
    }
}

fn body() -> Body {
    let now = SystemTime::now();
    let summary = Summary::between(now, now, 1, 0);
    Body::new(
        "t-ä".into(),
        Status::Completed,
        0,
        "sessions/t".into(),
        summary,
    )
}

fn sender(secrets: CallbackSecrets, allowed: &[&str]) -> Sender {
    let allowed = allowed.iter().map(|a| a.parse().unwrap()).collect();
    Sender::new(secrets, AddressPolicy::new(allowed)).unwrap()
}

#[tokio::test]
async fn a_receiver_in_python_accepts_the_signature() {
    let mut receiver = Receiver::start("s3cret");
    let sender = sender(CallbackSecrets::new("s3cret", None), &["127.0.0.1"]);
    let url = format!("http://127.0.0.1:{}/hook?token=1", receiver.port);
    sender.send(&url, &body()).await.unwrap();
    let seen = receiver.next();
    assert_eq!(seen[0], "/hook?token=1");
    assert_eq!(
        (&seen[1], &seen[2]),
        (&200.into(), &"application/json".into())
    );
    let text = seen[3].as_str().unwrap();
    assert!(
        text.starts_with(r#"{"taskId":"t-ä","status":"completed","exitCode":0,"#),
        "{text}"
    );
}

#[tokio::test]
async fn a_receiver_with_either_secret_of_a_rotation_accepts() {
    for secret in ["new", "old"] {
        let receiver = Receiver::start(secret);
        let sender = sender(CallbackSecrets::new("new", Some("old")), &["127.0.0.1"]);
        let url = format!("http://127.0.0.1:{}/", receiver.port);
        sender.send(&url, &body()).await.unwrap();
    }
    let receiver = Receiver::start("third");
    let sender = sender(CallbackSecrets::new("new", Some("old")), &["127.0.0.1"]);
    let url = format!("http://127.0.0.1:{}/secret-path", receiver.port);
    let error = sender.send(&url, &body()).await.unwrap_err();
    assert!(error.retry, "{error}");
    assert!(!format!("{error} {error:?}").contains("secret-path"));
}

#[tokio::test]
async fn redirects_and_errors_end_the_attempt() {
    let mut receiver = Receiver::start("s");
    let sender = sender(CallbackSecrets::new("s", None), &["127.0.0.0/8"]);
    for (status, retry) in [
        (301, false),
        (302, false),
        (307, false),
        (308, false),
        (400, false),
        (404, true),
        (410, false),
        (429, true),
        (500, true),
        (503, true),
    ] {
        let url = format!("http://127.0.0.1:{}/status/{status}", receiver.port);
        let error = sender.send(&url, &body()).await.unwrap_err();
        assert_eq!(error.retry, retry, "{status}: {error}");
        // It was asked once: the redirect was not followed.
        assert_eq!(receiver.next()[0], format!("/status/{status}"));
    }
    let closed = format!("http://127.0.0.1:{}/", dev_servers::free_port().unwrap());
    assert!(sender.send(&closed, &body()).await.unwrap_err().retry);
}

#[tokio::test]
async fn addresses_that_are_not_public_are_refused_in_every_spelling() {
    let receiver = Receiver::start("s");
    let sender = sender(CallbackSecrets::new("s", None), &[]);
    let port = receiver.port;
    for host in [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "[::ffff:127.0.0.1]",
        "[::1]",
        "0.0.0.0",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "10.0.0.1",
        "user:password@127.0.0.1",
    ] {
        let error = sender
            .send(&format!("http://{host}:{port}/"), &body())
            .await
            .unwrap_err();
        assert!(
            !error.retry && error.to_string().contains("not public"),
            "{host}: {error}"
        );
    }
    for url in ["ftp://a.example/", "file:///etc/passwd", "http:", "x", ""] {
        let error = sender.send(url, &body()).await.unwrap_err();
        assert!(
            !error.retry && error.to_string().contains("callbackUrl"),
            "{url}: {error}"
        );
    }
}

/// A name server of an attacker, which counts its answers: each leads to this machine.
#[derive(Default)]
struct Rebinding(AtomicUsize);

impl Lookup for Rebinding {
    fn lookup(
        &self,
        _: String,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + '_>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Ok(vec!["127.0.0.1".parse().unwrap()]) })
    }
}

/// One name with a public address and one of this machine.
struct Mixed;

impl Lookup for Mixed {
    fn lookup(
        &self,
        _: String,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + '_>> {
        Box::pin(async {
            Ok(vec![
                "1.1.1.1".parse().unwrap(),
                "127.0.0.1".parse().unwrap(),
            ])
        })
    }
}

#[tokio::test]
async fn a_name_that_resolves_differently_later_reaches_nothing_private() {
    let mut receiver = Receiver::start("s");
    let url = format!("http://rebinding.example:{}/", receiver.port);
    let names = Arc::new(Rebinding::default());
    let secrets = || CallbackSecrets::new("s", None);
    let sender = Sender::with_lookup(secrets(), AddressPolicy::default(), names.clone()).unwrap();
    let error = sender.send(&url, &body()).await.unwrap_err();
    assert!(error.to_string().contains("not public"), "{error}");
    // The address that was checked is the address of the connection: there is one lookup for each attempt.
    assert_eq!(names.0.load(Ordering::SeqCst), 1);
    let sender = Sender::with_lookup(secrets(), AddressPolicy::default(), Arc::new(Mixed)).unwrap();
    let error = sender.send(&url, &body()).await.unwrap_err();
    assert!(error.to_string().contains("not public"), "{error}");
    // The operator permits the name, and it reaches this machine.
    let allowed = AddressPolicy::new(vec!["rebinding.example".parse().unwrap()]);
    let sender = Sender::with_lookup(secrets(), allowed, names).unwrap();
    sender.send(&url, &body()).await.unwrap();
    assert_eq!(receiver.next()[0], "/");
}

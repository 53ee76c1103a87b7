//! Every error path at every level of the log, and everything that comes out of the server meanwhile.

use std::{fs, os::unix::process::ExitStatusExt as _};

use dev_servers::Forms;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use temporal_kms_codec_service::auth::NewToken;

use super::data_key::data_key;
use crate::support::{
    Answer, CodecServer, Collector, SECRET, body_of, decode64, encode64, plain, plain_payload, post,
};

/// What the server knows or is told, and must not tell.
struct Secrets {
    token: NewToken,
    wrong_token: NewToken,
    collector_token: &'static str,
}

impl Secrets {
    fn new() -> Self {
        Self {
            token: NewToken::generate().unwrap(),
            wrong_token: NewToken::generate().unwrap(),
            collector_token: "token-of-the-collector-4711",
        }
    }

    /// Each with its name.
    fn all(&self, server: &CodecServer) -> [(&'static str, Forms); 6] {
        let sealed = self.call(server, "/encode", "default", &body_of(&plain(&["a"])));
        [
            ("the plaintext", SECRET.as_bytes()),
            ("the key", &server.key_bytes("default")),
            // The same data key seals all payloads of the test.
            ("the data key", &data_key(server, "default", &sealed.json())),
            ("the token", self.token.token.as_bytes()),
            ("a wrong token", self.wrong_token.token.as_bytes()),
            ("the collector's token", self.collector_token.as_bytes()),
        ]
        .map(|(name, secret)| (name, Forms::of(secret)))
    }

    /// A request with the token that the server accepts.
    fn call(&self, server: &CodecServer, path: &str, namespace: &str, body: &[u8]) -> Answer {
        let bearer = format!("Bearer {}", self.token.token.as_str());
        let headers = [("Authorization", &*bearer), ("X-Namespace", namespace)];
        server.post(path, &headers, body)
    }
}

fn server(level: &str, secrets: &Secrets, collector: &Collector) -> CodecServer {
    let headers = format!("authorization=Bearer {}", secrets.collector_token);
    let variables = [
        ("RUST_LOG", level),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()),
        ("OTEL_EXPORTER_OTLP_HEADERS", headers.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "200"),
        ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_SESSION_TOKEN", SECRET),
        ("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:1"),
    ];
    CodecServer::configured_with(&variables, |_| {
        format!(
            "max_body = \"256KiB\"\nmax_payloads = 10\n\
             [auth.tokens.program]\nsha256 = [\"{}\"]\npermissions = [\"default:read\", \"default:write\", \"far:read\", \"far:write\", \"closed:read\"]\n\
             [namespaces.default]\nencrypt = [\"local://default\"]\ncompression = \"zstd\"\ncompression_min_bytes = 10\n\
             [namespaces.closed]\ndecrypt = [\"local://closed\"]\nplaintext = \"reject\"\n\
             [namespaces.far]\nencrypt = [\"aws-kms://arn:aws:kms:eu-west-1:111122223333:key/5a2a0e2b-0f6c-4b0f-9d59-6a8f7e3d1c11\"]\n\
             [keys.calls]\nattempt_timeout = \"200ms\"\ntotal_timeout = \"300ms\"\n",
            secrets.token.sha256
        )
    })
}

/// Copies of a sealed payload, each damaged in another way.
fn damaged(sealed: &Value) -> Vec<Value> {
    let payload = &sealed["payloads"][0];
    let metadata = payload["metadata"].as_object().unwrap();
    let mut copies = Vec::new();
    for name in metadata.keys() {
        let mut flipped = decode64(&payload["metadata"][name]);
        flipped[0] ^= 1;
        // Names of keys, encodings and contexts are not secret, and errors name them.
        let other = if name == "encrypted-dek" {
            SECRET
        } else {
            "another"
        };
        for value in [flipped, other.into(), Vec::new()] {
            let mut copy = payload.clone();
            copy["metadata"][name] = json!(encode64(&value));
            copies.push(copy);
        }
        let mut copy = payload.clone();
        copy["metadata"].as_object_mut().unwrap().remove(name);
        copies.push(copy);
    }
    for data in [
        SECRET.as_bytes().to_vec(),
        Vec::new(),
        decode64(&payload["data"])[1..].to_vec(),
    ] {
        let mut copy = payload.clone();
        copy["data"] = json!(encode64(&data));
        copies.push(copy);
    }
    copies
        .into_iter()
        .map(|copy| json!({ "payloads": [copy] }))
        .collect()
}

/// Goes through the error paths, and returns the answers that may not show plaintext.
fn provoke(server: &CodecServer, secrets: &Secrets) -> Vec<Answer> {
    let bearer = format!("Bearer {}", secrets.token.token.as_str());
    let wrong = format!("Bearer {}", secrets.wrong_token.token.as_str());
    let basic = format!("Basic {}", encode64(format!("user:{SECRET}").as_bytes()));
    let as_program =
        |path: &str, namespace: &str, body: &[u8]| secrets.call(server, path, namespace, body);
    let body = body_of(&plain(&[SECRET]));
    let sealed = as_program("/encode", "default", &body).json();
    assert_eq!(
        as_program("/decode", "default", &body_of(&sealed)).json(),
        plain(&[SECRET])
    );

    let mut answers = vec![as_program("/encode", "default", &body)];
    for damaged in damaged(&sealed) {
        let answer = as_program("/decode", "default", &body_of(&damaged));
        // A payload whose encoding is another one is not encrypted, and passes.
        if answer.status != 200 {
            answers.push(answer);
        }
    }
    for (namespace, body) in [
        ("closed", &body),
        ("closed", &body_of(&sealed)),
        ("far", &body),
        ("elsewhere", &body),
    ] {
        for path in ["/encode", "/decode"] {
            let answer = as_program(path, namespace, body);
            // What is not encrypted passes when it is decoded.
            if path == "/encode" || answer.status != 200 {
                answers.push(answer);
            }
        }
    }
    let eleven = json!({ "payloads": vec![plain_payload(SECRET); 11] });
    let large = plain(&[&SECRET.repeat(20_000)]);
    for body in [
        body_of(&eleven),
        body_of(&large),
        SECRET.as_bytes().to_vec(),
        body[..body.len() - 1].to_vec(),
    ] {
        answers.push(as_program("/encode", "default", &body));
    }
    for headers in [
        &[("Authorization", wrong.as_str())][..],
        &[("Authorization", basic.as_str())],
        &[
            ("Authorization", bearer.as_str()),
            ("Origin", "https://elsewhere.example"),
        ],
        &[("Authorization", bearer.as_str()), ("Cookie", SECRET)],
        &[
            ("Authorization", bearer.as_str()),
            ("Content-Encoding", SECRET),
        ],
        &[],
    ] {
        answers.push(server.post("/encode", headers, &body));
    }
    for path in [
        format!("/{SECRET}"),
        format!("/decode?token={}", secrets.wrong_token.token.as_str()),
    ] {
        answers.push(server.post(&path, &[("Authorization", &bearer)], b"{"));
    }
    let mut cut_off = server.connect();
    cut_off.send(&post("/encode", &[("Authorization", &bearer)], &body)[..200]);
    drop(cut_off);
    for path in ["/metrics", "/readyz", "/healthz", "/", "/config"] {
        answers.push(server.admin(path));
    }
    answers
}

#[test]
fn no_output_holds_a_secret_at_any_level_of_the_log() {
    for level in ["error", "warn", "info", "debug", "trace"] {
        let (secrets, collector) = (Secrets::new(), Collector::start());
        let server = server(level, &secrets, &collector);
        let found = secrets.all(&server);
        let mut outputs: Vec<(String, Vec<u8>)> = Vec::new();
        for answer in provoke(&server, &secrets) {
            outputs.push((
                format!("an answer {}", answer.status),
                format!("{answer:?}").into_bytes(),
            ));
        }
        // A reload that fails names what is wrong.
        server.rewrite(
            "plaintext = \"reject\"",
            &format!("plaintext = \"{level}\""),
        );
        server.signal(Signal::SIGHUP);
        server.signal(Signal::SIGUSR1);
        // `environ` holds the credentials that are given as variables: `other_processes` tests who reads it.
        for name in ["cmdline", "comm", "status", "limits", "maps"] {
            let content = fs::read(format!("/proc/{}/{name}", server.id())).unwrap();
            outputs.push((format!("/proc/PID/{name}"), content));
        }
        collector.wait_for(|received| {
            (!received.metrics.is_empty() && received.spans.len() > 3).then_some(())
        });
        let log = server.stop_and_log();
        assert_eq!(
            log.contains("DEBUG"),
            ["debug", "trace"].contains(&level),
            "{level}"
        );
        outputs.push(("the log".to_owned(), log.into_bytes()));
        let sent = collector.wait_for(|received| Some(received.bodies.clone()));
        outputs.push(("what the collector got".to_owned(), sent));
        for (place, output) in &outputs {
            for (name, secret) in &found {
                assert_eq!(
                    secret.find_in(output),
                    None,
                    "{level}: {name} is in {place}: {}",
                    String::from_utf8_lossy(output)
                );
            }
        }
    }
}

#[test]
fn a_server_that_crashes_writes_no_core_file() {
    let mut server = CodecServer::dev();
    server.serves();
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    server.signal(Signal::SIGABRT);
    let status = server.wait();
    assert_eq!(status.signal(), Some(Signal::SIGABRT as i32));
    assert!(!status.core_dumped());
}

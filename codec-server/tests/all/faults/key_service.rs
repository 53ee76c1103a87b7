//! A key service that is dead, slow, wrong or back.

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::{Cloud, CodecServer, Http2, body_of, plain, until};

/// A key service, and a server that is ready.
pub(super) fn ready(runtime: &Runtime) -> (Cloud, CodecServer) {
    let cloud = runtime.block_on(Cloud::start());
    let mut server = cloud.server();
    server.wait_for_log("ready: every encrypting key answers");
    (cloud, server)
}

/// The status of each of a thousand requests at once.
async fn thousand(server: &CodecServer, path: &str, bodies: &[Value]) -> Vec<u16> {
    let bodies: Vec<_> = bodies.iter().map(body_of).collect();
    Http2::at_once(server.url(), path, 1000, &bodies).await
}

async fn all_succeed(server: &CodecServer, path: &str, body: &Value, fault: &str) {
    let statuses = thousand(server, path, std::slice::from_ref(body)).await;
    assert!(
        statuses.iter().all(|status| *status == 200),
        "{fault} {path}"
    );
}

#[test]
fn nothing_fails_that_could_succeed_and_the_server_recovers() {
    let runtime = Runtime::new().unwrap();
    let _guard = runtime.enter();
    let (cloud, server) = ready(&runtime);
    let plaintext = plain(&["a"]);
    let (known, unknown) = runtime.block_on(async {
        let known = Http2::to(server.url())
            .await
            .json("/encode", &[], &plaintext)
            .await;
        // Another process sealed it: its data key is not in memory here.
        let stranger = cloud.server();
        let unknown = Http2::to(stranger.url())
            .await
            .json("/encode", &[], &plaintext)
            .await;
        drop(stranger);

        for fault in ["dead", "status=503", "latency=5000ms"] {
            cloud.fault(&[fault]);
            // The data keys in memory go on.
            for (path, body) in [("/encode", &plaintext), ("/decode", &known)] {
                all_succeed(&server, path, body, fault).await;
            }
            // Half of the requests need the KMS. They fail, and hold up none of the others.
            let statuses = thousand(&server, "/decode", &[known.clone(), unknown.clone()]).await;
            for (number, status) in statuses.iter().enumerate() {
                let expected = if number % 2 == 0 { 200 } else { 503 };
                assert_eq!(*status, expected, "{fault}: request {number}");
            }
        }
        (known, unknown)
    });

    cloud.fault(&[]);
    assert_eq!(
        decode_when_it_recovers(&runtime, &server, &unknown),
        plaintext
    );
    let bodies = [known, unknown, json!({"payloads": []})];
    let statuses = runtime.block_on(thousand(&server, "/decode", &bodies));
    assert!(statuses.iter().all(|status| *status == 200));
}

/// The pause of the circuit breaker ends by itself. Until then the server answers 503.
fn decode_when_it_recovers(runtime: &Runtime, server: &CodecServer, body: &Value) -> Value {
    until(|| {
        let opened = runtime.block_on(decode(server, body));
        opened.inspect_err(|(status, text)| assert_eq!(*status, 503, "{text}"))
    })
}

/// The status and the text of an answer, and that text as JSON if the request succeeded.
async fn decode(server: &CodecServer, body: &Value) -> Result<Value, (u16, String)> {
    let connection = Http2::to(server.url()).await;
    let (status, text) = connection
        .post("/decode", &[], &body_of(body))
        .await
        .unwrap();
    if status == 200 {
        return Ok(serde_json::from_str(&text).unwrap());
    }
    Err((status.as_u16(), text))
}

#[test]
fn wrong_answers_open_nothing_and_are_not_kept() {
    let runtime = Runtime::new().unwrap();
    let _guard = runtime.enter();
    let (cloud, server) = ready(&runtime);
    let plaintext = plain(&["a"]);
    let known = server.encode("default", &plaintext);
    for fault in ["wrong-crc", "request-damaged", "garbage", "truncated"] {
        cloud.fault(&[]);
        let unknown = cloud.sealed_elsewhere(&plaintext);
        cloud.fault(&[fault]);
        runtime.block_on(async {
            for body in [&plaintext, &known] {
                let path = if *body == plaintext {
                    "/encode"
                } else {
                    "/decode"
                };
                all_succeed(&server, path, body, fault).await;
            }
            for _ in 0..10 {
                let (status, text) = decode(&server, &unknown).await.expect_err(fault);
                assert!((400..600).contains(&status), "{fault}: {status} {text}");
            }
        });
        // Nothing of the wrong answers is remembered.
        cloud.fault(&[]);
        let opened = decode_when_it_recovers(&runtime, &server, &unknown);
        assert_eq!(opened, plaintext, "{fault}");
    }
}

#[test]
fn short_faults_of_the_key_service_fail_no_request() {
    let runtime = Runtime::new().unwrap();
    let _guard = runtime.enter();
    let (cloud, server) = ready(&runtime);
    let plaintext = plain(&["a"]);
    for faults in [
        &["status=429*3@Decrypt"][..],
        &["status=503*3@Decrypt"],
        &["status=500*2@Decrypt", "status=504*1@Decrypt"],
        &["dead*2@Decrypt"],
        &["wrong-crc*2@Decrypt"],
        &["truncated*2@Decrypt"],
        // Slow, and within the time of an attempt.
        &["latency=200ms"],
        // The first attempt takes too long.
        &["latency=5000ms*1@Decrypt"],
    ] {
        cloud.fault(&[]);
        let unknown = cloud.sealed_elsewhere(&plaintext);
        cloud.fault(faults);
        let bodies = vec![unknown; 25];
        let opened = runtime.block_on(async {
            let requests = bodies.iter().map(|body| decode(&server, body));
            futures::future::join_all(requests).await
        });
        for opened in opened {
            assert_eq!(opened.as_ref(), Ok(&plaintext), "{faults:?}");
        }
    }
}

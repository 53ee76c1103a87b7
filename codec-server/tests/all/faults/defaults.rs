//! A thousand requests at a server as it is run: with the places that it has by default, tokens and an audit log.

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use futures::{FutureExt as _, join};
use temporal_kms_codec_service::auth::NewToken;
use tokio::{
    runtime::Runtime,
    time::{sleep, timeout},
};

use crate::support::{Cloud, CodecServer, Http2, PATIENCE, body_of, plain};

/// A server, and the header of its caller.
fn server(cloud: &Cloud) -> (CodecServer, String) {
    let token = NewToken::generate().unwrap();
    let url = cloud.url();
    let variables = [("GCP_KMS_ENDPOINT", url.as_str()), ("RUST_LOG", "info")];
    let mut server = CodecServer::configured_with(&variables, |folder| {
        let log = folder.join("audit");
        fs::create_dir(&log).unwrap();
        fs::set_permissions(&log, fs::Permissions::from_mode(0o700)).unwrap();
        format!(
            "[audit]\nfolder = '{}'\n\
             [auth.tokens.worker]\nsha256 = [\"{}\"]\npermissions = [\"default:read\", \"default:write\"]\n{}",
            log.display(),
            token.sha256,
            Cloud::namespace()
        )
    });
    server.wait_for_log("ready: every encrypting key answers");
    (server, format!("Bearer {}", token.token.as_str()))
}

/// Sends a thousand requests, and those that are refused for now again after the time that their answers name, until all succeed.
/// A slow machine has more requests at a time than the server has places, and refuses some for now with 429. No other status may
/// come, but for those in `refusals`.
async fn until_all_succeed(
    server: &CodecServer,
    bearer: &str,
    (path, bodies): (&str, &[Vec<u8>]),
    refusals: &[u16],
) {
    let headers = [("Authorization", bearer)];
    let mut open: Vec<Vec<u8>> = bodies.iter().cycle().take(1000).cloned().collect();
    loop {
        let sent = Http2::answers_at_once(server.url(), path, &headers, open.len(), &open);
        let answers = sent.await;
        let mut wait: u64 = 0;
        let mut failed = Vec::new();
        for (answer, body) in answers.iter().zip(open) {
            if answer.status() == 200 {
                continue;
            }
            assert!(refusals.contains(&answer.status().as_u16()), "{answer:?}");
            let seconds = answer.headers()["retry-after"].to_str().unwrap();
            wait = wait.max(seconds.parse().unwrap());
            failed.push(body);
        }
        if failed.is_empty() {
            return;
        }
        open = failed;
        sleep(Duration::from_secs(wait)).await;
    }
}

#[test]
fn nothing_fails_that_could_succeed_and_clients_that_retry_succeed_after_the_outage() {
    let runtime = Runtime::new().unwrap();
    let _guard = runtime.enter();
    let cloud = runtime.block_on(Cloud::start());
    let (server, bearer) = server(&cloud);
    let plaintext = plain(&["a"]);
    let headers = [("Authorization", bearer.as_str())];
    let known = server
        .post("/encode", &headers, &body_of(&plaintext))
        .json();
    let known = body_of(&known);
    let unknown = body_of(&cloud.sealed_elsewhere(&plaintext));
    let plaintext = body_of(&plaintext);
    runtime.block_on(async {
        for fault in ["dead", "status=503", "latency=5000ms"] {
            cloud.fault(&[fault]);
            // The data keys in memory go on, while as many other requests wait for the KMS in vain.
            let others = std::slice::from_ref(&unknown);
            let in_vain = Http2::answers_at_once(server.url(), "/decode", &headers, 500, others);
            let known = std::slice::from_ref(&known);
            let known = until_all_succeed(&server, &bearer, ("/decode", known), &[429]);
            let (answers, ()) = join!(in_vain, timeout(PATIENCE, known).map(Result::unwrap));
            for answer in answers {
                assert!([429, 503].contains(&answer.status().as_u16()), "{answer:?}");
            }
            let plaintext = std::slice::from_ref(&plaintext);
            let encoded = until_all_succeed(&server, &bearer, ("/encode", plaintext), &[429]);
            timeout(PATIENCE, encoded).await.expect("all succeed");
        }
        cloud.fault(&[]);
        let bodies = [known, unknown];
        let retried = until_all_succeed(&server, &bearer, ("/decode", &bodies), &[429, 503]);
        timeout(PATIENCE, retried).await.expect("all succeed");
    });
}

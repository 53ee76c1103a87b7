//! A thousand requests at once while the KMS is dead, slow, and back.

use fake_cloud_kms::{Emulator, Options};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::{CodecServer, Http2, body_of, plain, program};

const KEY: &str = "gcp-kms://projects/p/locations/global/keyRings/r/cryptoKeys/k";

struct Cloud {
    emulator: Emulator,
}

impl Cloud {
    async fn start() -> Self {
        let emulator = Emulator::start(Options::default()).await.unwrap();
        let mut command = program();
        let url = emulator.url();
        let created = tokio::task::spawn_blocking(move || {
            let command = command.env("GCP_KMS_ENDPOINT", url);
            command.args(["keys", "create", KEY]).output().unwrap()
        });
        let created = created.await.unwrap();
        assert!(created.status.success(), "{created:?}");
        Self { emulator }
    }

    fn fault(&self, faults: &[&str]) {
        let faults = faults.iter().map(|fault| fault.parse().unwrap());
        self.emulator.set_faults(faults);
    }

    fn server(&self) -> CodecServer {
        let url = self.emulator.url();
        CodecServer::configured_with(&[("GCP_KMS_ENDPOINT", &url)], |_| {
            format!(
                "[namespaces.default]\nencrypt = [\"{KEY}\"]\n\
                 [keys.calls]\nattempt_timeout = \"500ms\"\ntotal_timeout = \"2s\"\nbreaker_pause = \"100ms\"\n"
            )
        })
    }
}

/// The status of each of a thousand requests at once.
async fn thousand(server: &CodecServer, path: &str, bodies: &[Value]) -> Vec<u16> {
    // As many connections as a browser and its proxies would open.
    let mut connections = Vec::new();
    for _ in 0..16 {
        connections.push(Http2::to(server.url()).await);
    }
    let requests = (0..1000).map(|number| {
        let connection = connections[number % connections.len()].clone();
        let body = body_of(&bodies[number % bodies.len()]);
        async move { connection.post(path, &[], &body).await.unwrap().0.as_u16() }
    });
    futures::future::join_all(requests).await
}

#[test]
fn nothing_fails_that_could_succeed_and_the_server_recovers() {
    let runtime = Runtime::new().unwrap();
    let _guard = runtime.enter();
    let cloud = runtime.block_on(Cloud::start());
    let mut server = cloud.server();
    server.wait_for_log("ready: every encrypting key answers");
    runtime.block_on(async {
        let plaintext = plain(&["a"]);
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
                let statuses = thousand(&server, path, std::slice::from_ref(body)).await;
                assert!(
                    statuses.iter().all(|status| *status == 200),
                    "{fault} {path}"
                );
            }
            // Half of the requests need the KMS. They fail, and hold up none of the others.
            let statuses = thousand(&server, "/decode", &[known.clone(), unknown.clone()]).await;
            for (number, status) in statuses.iter().enumerate() {
                let expected = if number % 2 == 0 { 200 } else { 503 };
                assert_eq!(*status, expected, "{fault}: request {number}");
            }
        }

        cloud.fault(&[]);
        // The pause of the circuit breaker ends by itself.
        let connection = Http2::to(server.url()).await;
        loop {
            let body = body_of(&unknown);
            let (status, text) = connection.post("/decode", &[], &body).await.unwrap();
            if status == 200 {
                assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), plaintext);
                break;
            }
            assert_eq!(status, 503, "{text}");
            tokio::task::yield_now().await;
        }
        let bodies = [known, unknown, json!({"payloads": []})];
        let statuses = thousand(&server, "/decode", &bodies).await;
        assert!(statuses.iter().all(|status| *status == 200));
    });
}

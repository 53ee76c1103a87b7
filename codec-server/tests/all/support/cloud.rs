//! A codec server with its key at a fake of Cloud KMS that fails on demand.

use fake_cloud_kms::{Emulator, Options};
use serde_json::Value;

use super::{CodecServer, body_of, run_with_input};

pub(crate) const CLOUD_KEY: &str = "gcp-kms://projects/p/locations/global/keyRings/r/cryptoKeys/k";

pub(crate) struct Cloud {
    emulator: Emulator,
}

impl Cloud {
    pub(crate) async fn start() -> Self {
        let emulator = Emulator::start(Options::default()).await.unwrap();
        let url = emulator.url();
        let created = tokio::task::spawn_blocking(move || {
            let variables = [("GCP_KMS_ENDPOINT", url.as_str())];
            run_with_input(&["keys", "create", CLOUD_KEY], &variables, b"")
        });
        let created = created.await.unwrap();
        assert!(created.status.success(), "{created:?}");
        Self { emulator }
    }

    pub(crate) fn url(&self) -> String {
        self.emulator.url()
    }

    /// The calls so far.
    pub(crate) fn calls(&self) -> usize {
        self.emulator.calls().len()
    }

    /// The token of the last call of a method.
    pub(crate) fn last_token(&self, rpc: &str) -> Option<String> {
        let calls = self.emulator.calls();
        let call = calls.iter().rfind(|call| call.rpc == rpc)?;
        call.token.clone()
    }

    pub(crate) fn fault(&self, faults: &[&str]) {
        let faults = faults.iter().map(|fault| fault.parse().unwrap());
        self.emulator.set_faults(faults);
    }

    pub(crate) fn server(&self) -> CodecServer {
        let url = self.emulator.url();
        CodecServer::configured_with(&[("GCP_KMS_ENDPOINT", &url)], |_| Self::configuration())
    }

    /// One namespace, a place for each request, and calls of the key that end soon.
    pub(crate) fn configuration() -> String {
        // On a slow machine some would wait too long for a place.
        format!("max_requests = 1000\n{}", Self::namespace())
    }

    /// One namespace, and calls of the key that end soon.
    pub(crate) fn namespace() -> String {
        format!(
            "[namespaces.default]\nencrypt = [\"{CLOUD_KEY}\"]\n\
             [keys.calls]\nattempt_timeout = \"500ms\"\ntotal_timeout = \"2s\"\nbreaker_pause = \"100ms\"\n"
        )
    }

    /// What another process makes of a body: its data key is in the memory of no server.
    pub(crate) fn sealed_elsewhere(&self, plain: &Value) -> Value {
        let output = run_with_input(
            &["encode", "--key", CLOUD_KEY, "--namespace", "default"],
            &[("GCP_KMS_ENDPOINT", &self.url())],
            &body_of(plain),
        );
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

//! The program, servers for it to call, and what it answers.

use std::{
    fs,
    net::TcpListener,
    process::{Command, Output, Stdio},
};

use fake_cloud_kms::{Emulator, Options};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::support::program;

pub(crate) const GCP_KEY: &str =
    "gcp-kms://projects/p/locations/global/keyRings/r/cryptoKeys/orders";
const PLAINTEXT: &str = "codec-server doctor was here";

/// The program with servers to call, in an environment that holds nothing else.
pub(crate) struct Bench {
    pub(crate) folder: TempDir,
    pub(crate) emulator: Emulator,
    pub(crate) runtime: Runtime,
}

/// What it answered.
pub(crate) struct Answer {
    pub(crate) status: i32,
    pub(crate) findings: Vec<Value>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        Self {
            folder: tempfile::tempdir().unwrap(),
            emulator: runtime
                .block_on(Emulator::start(Options::default()))
                .unwrap(),
            runtime,
        }
    }

    /// With the key `orders` at Cloud KMS.
    pub(crate) fn with_key() -> Self {
        let bench = Self::new();
        bench.keys(&["create", GCP_KEY]);
        bench
    }

    pub(crate) fn faults(&self, faults: &[&str]) {
        let faults = faults.iter().map(|fault| fault.parse().unwrap());
        self.emulator.set_faults(faults);
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = program();
        command
            .env("HOME", self.folder.path())
            .env("RUST_LOG", "error")
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    #[track_caller]
    pub(crate) fn keys(&self, arguments: &[&str]) {
        let mut command = self.command();
        command.env("GCP_KMS_ENDPOINT", self.emulator.url());
        let output = command.arg("keys").args(arguments).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {error}");
    }

    #[track_caller]
    pub(crate) fn doctor(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Answer {
        let mut command = self.command();
        command.envs(variables.iter().copied());
        let doctor = ["doctor", "--json", "--samples", "2"];
        let output = command.args(doctor).args(arguments).output().unwrap();
        Answer::of(&output)
    }

    /// Of the key at Cloud KMS.
    #[track_caller]
    pub(crate) fn gcp(&self, arguments: &[&str]) -> Answer {
        let url = self.emulator.url();
        let all = [&["--key", GCP_KEY], arguments].concat();
        self.doctor(&all, &[("GCP_KMS_ENDPOINT", &url)])
    }

    pub(crate) fn file(&self, name: &str, content: &str) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A path in the folder of the program, as the program names it to a person who may be in another folder.
    pub(crate) fn whole_path(&self, name: &str) -> String {
        let folder = self.folder.path().canonicalize().unwrap();
        folder.join(name).display().to_string()
    }

    pub(crate) fn local_key(&self, name: &str) {
        let key = format!("local://{name}");
        self.keys(&["create", &key, "--keyring", "keys"]);
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // The servers' tasks end in their runtime.
        let _runtime = self.runtime.enter();
    }
}

impl Answer {
    #[track_caller]
    pub(crate) fn of(output: &Output) -> Self {
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!text.contains(PLAINTEXT), "{text}");
        assert_eq!(error, "", "{text}");
        let answer: Value = serde_json::from_str(&text).unwrap();
        let findings = answer["findings"].as_array().unwrap().clone();
        let failed = findings.iter().any(|finding| finding["status"] == "failed");
        assert_eq!(answer["ok"], json!(!failed));
        Self {
            status: output.status.code().unwrap(),
            findings,
        }
    }

    #[track_caller]
    pub(crate) fn all(&self, check: &str) -> Vec<&Value> {
        let of = |finding: &&Value| finding["check"] == check;
        self.findings.iter().filter(of).collect()
    }

    #[track_caller]
    pub(crate) fn one(&self, check: &str) -> &Value {
        let found = self.all(check);
        assert_eq!(found.len(), 1, "{check}: {found:#?}");
        found[0]
    }

    /// The finding of one operation.
    #[track_caller]
    pub(crate) fn permission(&self, operation: &str) -> &Value {
        let found = self.all("permission");
        let of = |finding: &&&Value| finding["operation"] == operation;
        found.iter().find(of).unwrap()
    }

    /// That `check` failed and nothing before it, that nothing after it was looked at, and that it says these words.
    #[track_caller]
    pub(crate) fn stopped_at(&self, check: &str, status: i32, words: &[&str]) {
        assert_eq!(self.status, status, "{:#?}", self.findings);
        let failed: Vec<_> = self.with_status("failed");
        assert_eq!(failed.len(), 1, "{failed:#?}");
        assert_eq!(failed[0]["check"], check, "{failed:#?}");
        said(failed[0], words);
        let place = |finding: &Value| finding["status"] == "failed";
        let after = self.findings.iter().skip_while(|finding| !place(finding));
        for later in after.skip(1).filter(|later| later["check"] != "rotation") {
            assert_eq!(later["status"], "skipped", "{later:#?}");
        }
    }

    pub(crate) fn with_status(&self, status: &str) -> Vec<&Value> {
        let of = |finding: &&Value| finding["status"] == status;
        self.findings.iter().filter(of).collect()
    }

    #[track_caller]
    pub(crate) fn healthy(&self) {
        assert_eq!(self.with_status("failed"), Vec::<&Value>::new());
        assert_eq!(self.status, 0);
    }
}

/// In the summary or the remedy.
#[track_caller]
pub(crate) fn said(finding: &Value, words: &[&str]) {
    let text = format!(
        "{} → {}",
        finding["summary"].as_str().unwrap(),
        finding["remedy"].as_str().unwrap_or_default()
    );
    for word in words {
        assert!(text.contains(word), "no `{word}` in: {text}");
    }
}

impl Answer {
    #[track_caller]
    pub(crate) fn stopped_at_permission(&self, operation: &str, words: &[&str]) {
        assert_eq!(self.status, 77, "{:#?}", self.findings);
        let failed = self.with_status("failed");
        assert_eq!(failed, [self.permission(operation)]);
        said(failed[0], words);
        for check in ["latency", "cost", "round-trip", "cache"] {
            assert_eq!(self.one(check)["status"], "skipped");
        }
    }
}

/// An address of this machine where nobody listens.
pub(crate) fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

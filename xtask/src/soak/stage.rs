//! The servers of a soak: a fake of Cloud KMS with one key, and the codec server with an audit log.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;
use dev_servers::Service;
use tempfile::TempDir;
use ureq::Agent;

use crate::step;

const KEY: &str = "gcp-kms://projects/p/locations/global/keyRings/r/cryptoKeys/k";
const KEY_SERVICE: &str = "GCP_KMS_ENDPOINT";

pub(super) struct Stage {
    program: PathBuf,
    codec: Service,
    key_service: Service,
    folder: TempDir,
}

impl Stage {
    pub(super) fn start(program: PathBuf, fake_cloud_kms: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let key_service = Service::start("Cloud KMS", Command::new(fake_cloud_kms))?;
        step::output(keys(&program, &key_service, "create"))?;
        let audit = folder.path().join("audit");
        fs::create_dir(&audit)?;
        fs::set_permissions(&audit, PermissionsExt::from_mode(0o700))?;
        let file = folder.path().join("codec.toml");
        fs::write(&file, configuration(&audit))?;
        let mut command = Command::new(&program);
        command.args(["serve", "--config"]).arg(file);
        command
            .env(KEY_SERVICE, key_service.url())
            .env("RUST_LOG", "error");
        let codec = Service::start("the codec server", command)?;
        Ok(Self {
            program,
            codec,
            key_service,
            folder,
        })
    }

    /// The codec server's URL.
    pub(super) fn codec(&self) -> &str {
        self.codec.url()
    }

    pub(super) fn codec_id(&self) -> u32 {
        self.codec.process().id()
    }

    /// Makes a new version of the key, which encrypts from now on.
    pub(super) fn rotate(&self) -> anyhow::Result<()> {
        self.set_faults(&[])?;
        step::output(keys(&self.program, &self.key_service, "rotate")).map(drop)
    }

    pub(super) fn set_faults(&self, faults: &[&str]) -> anyhow::Result<()> {
        let url = format!("{}/_emulator/faults", self.key_service.url());
        let sent = Agent::new_with_defaults().put(&url).send_json(faults);
        sent.context("the fake of Cloud KMS takes no faults")
            .map(drop)
    }

    /// Ends the codec server, and has its audit log verified.
    pub(super) fn stop_and_verify_audit_log(mut self) -> anyhow::Result<bool> {
        self.codec.stop();
        let mut verify = Command::new(&self.program);
        verify
            .args(["audit", "verify"])
            .arg(self.folder.path().join("audit"));
        Ok(verify.output()?.status.success())
    }
}

/// `codec-server keys COMMAND` on the key of the soak.
fn keys(program: &Path, key_service: &Service, command: &str) -> Command {
    let mut keys = Command::new(program);
    keys.args(["keys", command, KEY]);
    keys.env(KEY_SERVICE, key_service.url());
    keys
}

/// Few data keys are kept, and each lives for some seconds, so that requests need the key service all the time. They are
/// kept longer than an outage lasts, and more of them than clients send requests at a time: the active one stays.
fn configuration(audit: &Path) -> String {
    format!(
        r#"[server]
listen = "127.0.0.1:0"
admin_listen = "127.0.0.1:0"
[audit]
folder = '{}'
[keys.calls]
attempt_timeout = "1500ms"
total_timeout = "3s"
breaker_pause = "1s"
[cache]
data_keys = 8
ttl = "2m"
[namespaces.default]
encrypt = ["{KEY}"]
[namespaces.default.dek]
max_age = "10s"
renew_before = "3s"
"#,
        audit.display()
    )
}

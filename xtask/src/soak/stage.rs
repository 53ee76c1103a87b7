//! The servers of a soak: a fake of Cloud KMS with one key, and the codec server with an audit log.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::Duration,
};

use anyhow::Context;
use dev_servers::Service;
use tempfile::TempDir;
use ureq::Agent;

use super::{
    memory_limit::{GroupMemory, MemoryLimit},
    sizing::Sizing,
};
use crate::step;

const KEY: &str = "gcp-kms://projects/p/locations/global/keyRings/r/cryptoKeys/k";
const KEY_SERVICE: &str = "GCP_KMS_ENDPOINT";
/// A folder on a disk. Files in memory would count as memory of the server that writes them.
const DISK: &str = "/var/tmp";

pub(super) struct Stage {
    program: PathBuf,
    codec: Service,
    key_service: Service,
    folder: TempDir,
    /// Is removed after the servers have ended.
    limit: Option<MemoryLimit>,
}

impl Stage {
    /// Starts both servers, the codec server with at most so many MiB of memory.
    pub(super) fn start(
        program: PathBuf,
        fake_cloud_kms: &Path,
        memory_limit: Option<u32>,
    ) -> anyhow::Result<Self> {
        let limit = memory_limit.map(MemoryLimit::new).transpose()?;
        let sizing = memory_limit.map(Sizing::of);
        let folder = match limit {
            Some(_) => tempfile::tempdir_in(DISK).context("no folder in /var/tmp")?,
            None => tempfile::tempdir()?,
        };
        let key_service = Service::start("Cloud KMS", Command::new(fake_cloud_kms))?;
        step::output(keys(&program, &key_service, "create"))?;
        let audit = folder.path().join("audit");
        fs::create_dir(&audit)?;
        fs::set_permissions(&audit, PermissionsExt::from_mode(0o700))?;
        let file = folder.path().join("codec.toml");
        let lines = sizing.as_ref().map(Sizing::lines);
        fs::write(&file, configuration(&audit, &lines.unwrap_or_default()))?;
        let mut command = match &limit {
            Some(limit) => limit.command(&program, &folder.path().join("codec-server")),
            None => Command::new(&program),
        };
        command.args(["serve", "--config"]).arg(file);
        command
            .env(KEY_SERVICE, key_service.url())
            .env("RUST_LOG", "error")
            .envs(sizing.as_ref().map(Sizing::variable));
        let codec = Service::start("the codec server", command);
        let codec = codec.with_context(|| match memory_limit {
            Some(mib) => format!("the codec server does not start with {mib} MiB of memory"),
            None => "the codec server does not start".to_owned(),
        })?;
        Ok(Self {
            program,
            codec,
            key_service,
            folder,
            limit,
        })
    }

    /// The codec server's URL.
    pub(super) fn codec(&self) -> &str {
        self.codec.url()
    }

    pub(super) fn codec_id(&self) -> u32 {
        self.codec.process().id()
    }

    /// How the codec server has ended, if it ends within this time.
    pub(super) fn ended(&mut self, within: Duration) -> Option<ExitStatus> {
        self.codec.process_mut().wait(within).ok()
    }

    /// What the system counted for the codec server, where its memory is limited.
    pub(super) fn memory(&self) -> anyhow::Result<Option<GroupMemory>> {
        self.limit.as_ref().map(MemoryLimit::memory).transpose()
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
fn configuration(audit: &Path, server: &str) -> String {
    format!(
        r#"[server]
listen = "127.0.0.1:0"
admin_listen = "127.0.0.1:0"
{server}[audit]
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

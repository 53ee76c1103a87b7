//! The demo's servers.

use std::{env, fs, path::Path, process::Command};

use anyhow::{Context, ensure};
use dev_servers::{Process, Service, TemporalOptions, TemporalServer, is_free};
use tempfile::TempDir;

use super::{
    credential::{self, Credential},
    programs::Programs,
};
use crate::step;

const CODEC_PORT: u16 = 8081;
const TEMPORAL_PORT: u16 = 7233;
const UI_PORT: u16 = 8233;

/// The running servers and their shared folder. Dropping this removes all of them.
pub(super) struct Stage {
    // Dropped in this order: clients before servers.
    worker: Process,
    temporal: TemporalServer,
    codec: Service,
    messages: Option<Service>,
    folder: TempDir,
}

impl Stage {
    /// Starts everything. With `free_ports`, all ports are free ones instead of the well-known ones.
    pub(super) fn start(
        programs: &Programs,
        credential: &Credential,
        free_ports: bool,
    ) -> anyhow::Result<Self> {
        let usual = |port: u16| Some(port).filter(|port| !free_ports && is_free(*port));
        let folder = TempDir::with_prefix("temporal-kms-codec-demo-").context("no folder")?;
        for name in ["keyring", "home", "tasks"] {
            fs::create_dir(folder.path().join(name))?;
        }
        let keyring = folder.path().join("keyring");

        let codec_port = usual(CODEC_PORT).unwrap_or(0);
        let codec = Service::codec_server(&programs.codec_server, &keyring, codec_port)?;
        let options = TemporalOptions {
            ui: true,
            ui_codec_endpoint: Some(codec.url().to_owned()),
            port: usual(TEMPORAL_PORT),
            ui_port: usual(UI_PORT),
            ..TemporalOptions::default()
        };
        let temporal = TemporalServer::start(&programs.temporal, &options)?;
        let stand_in = || Service::fake_anthropic(&programs.fake_anthropic);
        let messages = (!credential.is_own()).then(stand_in).transpose()?;
        let worker = worker(programs, &temporal, messages.as_ref(), folder.path())?;
        Ok(Self {
            worker,
            temporal,
            codec,
            messages,
            folder,
        })
    }

    /// Says what runs where.
    pub(super) fn describe(&self) {
        let temporal = self.temporal.address();
        step::note(&format!(
            "codec server   {}, with a fresh key local://default",
            self.codec()
        ));
        step::note(&format!("Temporal       {temporal}, Web UI {}", self.ui()));
        match &self.messages {
            Some(api) => {
                step::note(&format!(
                    "Messages API   {}, in place of Anthropic's:",
                    api.url()
                ));
                step::note(
                    "               set ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN for the real one",
                );
            }
            None => step::note("Messages API   Anthropic's own, with your credential"),
        }
        step::note("worker         waits for Claude tasks");
    }

    pub(super) fn temporal(&self) -> &TemporalServer {
        &self.temporal
    }

    /// The codec server's URL.
    pub(super) fn codec(&self) -> &str {
        self.codec.url()
    }

    /// The Web UI's URL.
    pub(super) fn ui(&self) -> String {
        self.temporal.ui_url().unwrap_or_default()
    }

    /// Everything that the demo's programs may write to.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What every server has printed so far, with its name.
    pub(super) fn outputs(&self) -> Vec<(&'static str, String)> {
        self.processes()
            .map(|(name, process)| (name, process.output()))
            .collect()
    }

    /// The servers' process ids, with their names.
    pub(super) fn ids(&self) -> Vec<(&'static str, u32)> {
        self.processes()
            .map(|(name, process)| (name, process.id()))
            .collect()
    }

    /// `claude-tasks submit` for this worker.
    pub(super) fn submit(&self, programs: &Programs) -> Command {
        client("submit", programs, &self.temporal, self.folder.path())
    }

    /// Stops everything and checks that nothing is left.
    pub(super) fn stop(self) -> anyhow::Result<()> {
        let ids = self.ids();
        let folder = self.folder.path().to_owned();
        let urls = [self.codec().to_owned(), self.temporal.url(), self.ui()];
        drop(self);
        for (name, id) in ids {
            ensure!(
                !Path::new(&format!("/proc/{id}")).exists(),
                "{name} still runs ({id})"
            );
        }
        for url in urls {
            let port = url.rsplit(':').next().and_then(|port| port.parse().ok());
            ensure!(port.is_some_and(is_free), "somebody still listens at {url}");
        }
        ensure!(!folder.exists(), "{} is still there", folder.display());
        Ok(())
    }

    fn processes(&self) -> impl Iterator<Item = (&'static str, &Process)> {
        let messages = self
            .messages
            .iter()
            .map(|api| ("the Messages API", api.process()));
        let servers = [
            ("the worker", &self.worker),
            ("the Temporal server", self.temporal.process()),
            ("the codec server", self.codec.process()),
        ];
        servers.into_iter().chain(messages)
    }
}

fn worker(
    programs: &Programs,
    temporal: &TemporalServer,
    messages: Option<&Service>,
    folder: &Path,
) -> anyhow::Result<Process> {
    let mut command = client("worker", programs, temporal, folder);
    command.arg("--claude").arg(&programs.claude);
    command.arg("--workdir").arg(folder.join("tasks"));
    if let Some(api) = messages {
        command.env("ANTHROPIC_BASE_URL", api.url());
    }
    credential::keep_from(&mut command);
    Ok(Process::spawn("the worker", command)?)
}

fn client(
    subcommand: &str,
    programs: &Programs,
    temporal: &TemporalServer,
    folder: &Path,
) -> Command {
    let mut command = Command::new(&programs.claude_tasks);
    // Do not use the user's own configuration and files.
    command.env_clear().env("HOME", folder.join("home"));
    command.envs(env::var_os("PATH").map(|path| ("PATH", path)));
    command.args([subcommand, "--address", &temporal.url(), "--keyring"]);
    command.arg(folder.join("keyring"));
    command
}

//! The demo's servers.

use std::{env, fs, path::Path, process::Command};

use anyhow::{Context, ensure};
use dev_servers::{Process, Service, TemporalOptions, TemporalServer, is_free};
use tempfile::TempDir;

use super::{credential::Credential, programs::Programs, service::TaskService};
use crate::step;

const API_PORT: u16 = 8080;
const CODEC_PORT: u16 = 8081;
const TEMPORAL_PORT: u16 = 7233;
const UI_PORT: u16 = 8233;

/// The running servers and their shared folder. Dropping this removes all of them.
pub(super) struct Stage {
    // Dropped in this order: clients before servers.
    service: TaskService,
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
        for name in ["keyring", "home", "tasks", "objects"] {
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
        let mut command = client("all", programs, &temporal, folder.path());
        if let Some(api) = &messages {
            command.env("ANTHROPIC_BASE_URL", api.url());
        }
        let port = usual(API_PORT).unwrap_or(0);
        let service = TaskService::start(programs, command, folder.path(), port)?;
        Ok(Self {
            service,
            temporal,
            codec,
            messages,
            folder,
        })
    }

    /// Says what runs where.
    pub(super) fn describe(&self) -> anyhow::Result<()> {
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
        self.service.describe()
    }

    pub(super) fn temporal(&self) -> &TemporalServer {
        &self.temporal
    }

    /// The task service.
    pub(super) fn service(&self) -> &TaskService {
        &self.service
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

    /// `claude-tasks submit` for this worker. The demo looks for the secrets of this task in its history, so they must be there.
    pub(super) fn submit(&self, programs: &Programs) -> Command {
        let mut command = client("submit", programs, &self.temporal, self.folder.path());
        command.args(["--store", "none"]);
        command
    }

    /// Stops everything and checks that nothing is left.
    pub(super) fn stop(self) -> anyhow::Result<()> {
        let ids = self.ids();
        let folder = self.folder.path().to_owned();
        let (codec, api) = (self.codec().to_owned(), self.service.url().to_owned());
        let urls = [codec, api, self.temporal.url(), self.ui()];
        let port = |url: &String| url.rsplit(':').next()?.parse().ok();
        let ports = urls
            .iter()
            .map(|url| port(url).context("a URL has no port"));
        let mut ports = ports.collect::<anyhow::Result<Vec<u16>>>()?;
        ports.extend(self.service.peer_ports());
        drop(self);
        for (name, id) in ids {
            ensure!(
                !Path::new(&format!("/proc/{id}")).exists(),
                "{name} still runs ({id})"
            );
        }
        for port in ports {
            ensure!(is_free(port), "a program still listens on port {port}");
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
            ("the Temporal server", self.temporal.process()),
            ("the codec server", self.codec.process()),
        ];
        self.service.processes().chain(servers).chain(messages)
    }
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

//! The task service of the demo: its API and its worker in one process, and what its tasks reach.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};
use dev_servers::{Process, Service, SshServer, WebhookReceiver};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{credential, programs::Programs, repository::Repository};
use crate::step;

/// The variable with the secret that signs webhooks.
pub(super) const CALLBACK_SECRET: &str = "CLOUDRUN_CALLBACK_SECRET";

/// The running service, a repository for its tasks, and a receiver of its webhooks.
pub(super) struct TaskService {
    // Dropped in this order: the service before what it calls.
    service: Service,
    repository: Repository,
    receiver: WebhookReceiver,
    token: Zeroizing<String>,
    callback_secret: Zeroizing<String>,
    objects: PathBuf,
}

impl TaskService {
    /// Completes `command`, which is `claude-tasks all` with its connection, and starts it. Port 0 is one that the system picks.
    pub(super) fn start(
        programs: &Programs,
        mut command: Command,
        folder: &Path,
        port: u16,
    ) -> anyhow::Result<Self> {
        let repository = Repository::create(programs, folder)?;
        // The service has to try the first webhook again.
        let receiver = WebhookReceiver::start(&[503])?;
        let callback_secret = Zeroizing::new(Uuid::new_v4().simple().to_string());
        let (token, caller) = new_caller(programs)?;
        let objects = folder.join("objects");
        let file = folder.join("claude-tasks.toml");
        let is_file = repository.server().is_none();
        let api = format!(
            "[api]\nlisten = \"127.0.0.1:{port}\"\nfile_repositories = {is_file}\n{caller}\n"
        );
        fs::write(&file, api)?;

        command.arg("--config").arg(file);
        command.arg("--claude").arg(&programs.claude);
        command.arg("--workdir").arg(folder.join("tasks"));
        command.arg("--store").arg(&objects);
        command.args(["--webhook-allow", "127.0.0.1"]);
        match repository.server() {
            Some(server) => {
                command.args(["--git-allow", "127.0.0.1", "--git-known-hosts"]);
                command.arg(server.known_hosts());
            }
            None => {
                // The sandbox hides the folder of the repository from git.
                command.args(["--git-files", "--sandbox", "off"]);
            }
        }
        command.env(CALLBACK_SECRET, callback_secret.as_str());
        credential::keep_from(&mut command);
        Ok(Self {
            service: Service::start("the task service", command)?,
            repository,
            receiver,
            token,
            callback_secret,
            objects,
        })
    }

    /// Says what runs where.
    pub(super) fn describe(&self) -> anyhow::Result<()> {
        step::note(&format!(
            "task service   {}, with a worker for Claude tasks",
            self.url()
        ));
        step::note(&format!("repository     {}", self.repository.url()?));
        if self.repository.server().is_none() {
            step::note(
                "               a folder, because no SSH server can be used here: install openssh-server and openssh-client",
            );
            step::note(
                "               to see tasks that have an SSH key. Tasks run without the sandbox, which hides the folder",
            );
        }
        Ok(())
    }

    /// The API's URL.
    pub(super) fn url(&self) -> &str {
        self.service.url()
    }

    /// The token of the API's only caller.
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    pub(super) fn callback_secret(&self) -> &str {
        &self.callback_secret
    }

    pub(super) fn repository(&self) -> &Repository {
        &self.repository
    }

    pub(super) fn receiver(&self) -> &WebhookReceiver {
        &self.receiver
    }

    /// Where the sealed secrets of a task are stored until it ends.
    pub(super) fn secrets_of(&self, task: &str) -> PathBuf {
        self.objects.join("encrypted-payloads/default").join(task)
    }

    pub(super) fn processes(&self) -> impl Iterator<Item = (&'static str, &Process)> {
        let sshd = self.repository.server().map(SshServer::process);
        let sshd = sshd.map(|process| ("sshd", process));
        [("the task service", self.service.process())]
            .into_iter()
            .chain(sshd)
    }

    /// The ports of what the tasks reach.
    pub(super) fn peer_ports(&self) -> impl Iterator<Item = u16> {
        let sshd = self.repository.server().map(SshServer::port);
        [self.receiver.port()].into_iter().chain(sshd)
    }
}

/// A caller's token, and the section of the configuration that lets this caller in.
fn new_caller(programs: &Programs) -> anyhow::Result<(Zeroizing<String>, String)> {
    let mut command = Command::new(&programs.codec_server);
    command.args(["token", "--name", "demo", "--permission", "default:write"]);
    let made = command.output().context("cannot run codec-server")?;
    let section = String::from_utf8(made.stderr)?;
    ensure!(
        made.status.success(),
        "codec-server token failed: {section}"
    );
    let token = Zeroizing::new(String::from_utf8(made.stdout)?);
    Ok((Zeroizing::new(token.trim().to_owned()), section))
}

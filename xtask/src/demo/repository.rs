//! The repository of the demo's second task.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};
use dev_servers::SshServer;
use zeroize::Zeroizing;

use super::programs::Programs;
use crate::step;

/// The branch with the first commit.
pub(super) const BRANCH: &str = "main";

/// A bare repository with one commit, behind an SSH server where the machine has one.
pub(super) struct Repository {
    git: PathBuf,
    folder: PathBuf,
    server: Option<SshServer>,
}

impl Repository {
    /// Creates it in `folder`.
    pub(super) fn create(programs: &Programs, folder: &Path) -> anyhow::Result<Self> {
        let mut repository = Self {
            git: programs.git.clone(),
            folder: folder.join("repository.git"),
            server: None,
        };
        repository.commit_first(&folder.join("first"))?;
        if let Some(sshd) = &programs.sshd {
            match repository.serve(sshd, &folder.join("ssh")) {
                Ok(server) => repository.server = Some(server),
                Err(error) => step::note(&format!("sshd: {error:#}")),
            }
        }
        Ok(repository)
    }

    fn commit_first(&self, work: &Path) -> anyhow::Result<()> {
        for folder in [&self.folder, work] {
            fs::create_dir(folder)?;
        }
        let branch = format!("--initial-branch={BRANCH}");
        self.git(&["init", "--quiet", "--bare", &branch])?;
        fs::write(work.join("README.md"), "# Envelopes\n")?;
        self.git_in(work, &["init", "--quiet", &branch])?;
        self.git_in(work, &["add", "."])?;
        self.git_in(work, &["commit", "--quiet", "--message=First"])?;
        let bare = self.folder.to_string_lossy();
        self.git_in(work, &["push", "--quiet", &bare, BRANCH])?;
        Ok(())
    }

    /// Starts an SSH server, and makes sure that the repository can be reached through it.
    fn serve(&self, sshd: &Path, folder: &Path) -> anyhow::Result<SshServer> {
        fs::create_dir(folder)?;
        let server = SshServer::start(sshd, folder)?;
        let mut command = self.command(folder);
        command.args(["ls-remote", "--exit-code"]);
        command.arg(server.url(&self.folder)?);
        let ssh = format!(
            "ssh -F /dev/null -i '{}' -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes \
             -o 'UserKnownHostsFile=\"{}\"'",
            server.client_key().display(),
            server.known_hosts().display()
        );
        command.env("GIT_SSH_COMMAND", ssh);
        text(command).context("its repository cannot be reached")?;
        Ok(server)
    }

    /// The URL for `gitRepo`.
    pub(super) fn url(&self) -> anyhow::Result<String> {
        match &self.server {
            Some(server) => Ok(server.url(&self.folder)?),
            None => Ok(format!("file://{}", self.folder.display())),
        }
    }

    /// The SSH server, if the machine has one.
    pub(super) fn server(&self) -> Option<&SshServer> {
        self.server.as_ref()
    }

    /// The key for `sshKey`. A repository in a folder needs none.
    pub(super) fn deploy_key(&self) -> anyhow::Result<Option<Zeroizing<String>>> {
        let key = |server: &SshServer| fs::read_to_string(server.client_key()).map(Zeroizing::new);
        let key = self.server.as_ref().map(key).transpose();
        key.context("cannot read the key of the repository")
    }

    /// What git prints in the repository.
    pub(super) fn git(&self, arguments: &[&str]) -> anyhow::Result<String> {
        self.git_in(&self.folder, arguments)
    }

    fn git_in(&self, folder: &Path, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = self.command(folder);
        command.args(["-c", "user.name=Demo", "-c", "user.email=demo@example.com"]);
        command.args(arguments);
        text(command)
    }

    /// git in `folder`, without the user's own configuration.
    fn command(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.git);
        command.current_dir(folder);
        command.envs([
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
        ]);
        for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            command.env_remove(variable);
        }
        command
    }
}

fn text(mut command: Command) -> anyhow::Result<String> {
    let output = command.output().context("cannot run git")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "git failed: {complaint}");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

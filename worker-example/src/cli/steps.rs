//! The options of `worker` for repositories and webhooks.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::{exit::CommandError, units};
use crate::{
    git::GitSettings,
    webhook::{AddressPolicy, AllowedAddress, CallbackSecrets, Sender},
};

/// How the worker reaches repositories and the servers of callers.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Repositories and webhooks")]
pub(super) struct StepArgs {
    /// The git program: a name on the PATH, or a path.
    #[arg(
        long,
        env = "CLAUDE_TASKS_GIT",
        default_value = "git",
        value_name = "PATH"
    )]
    git: PathBuf,
    /// A file with host keys of git servers, in the format of OpenSSH's `known_hosts`. Those of GitHub, GitLab and Bitbucket are
    /// built in. Servers with other keys are refused.
    #[arg(long, env = "CLAUDE_TASKS_GIT_KNOWN_HOSTS", value_name = "FILE")]
    git_known_hosts: Option<PathBuf>,
    /// Clone `file://` repositories, too. Only for tests: a task could read every repository of the worker's user.
    #[arg(long, env = "CLAUDE_TASKS_GIT_FILES", hide = true)]
    git_files: bool,
    /// An address that webhooks may go to although it is not public: a network such as 10.0.0.0/8, an address, or a host name;
    /// may be given several times.
    #[arg(
        long,
        env = "CLAUDE_TASKS_WEBHOOK_ALLOW",
        value_delimiter = ',',
        value_name = "ADDRESS"
    )]
    webhook_allow: Vec<AllowedAddress>,
    /// An address at which repositories may be although it is not public: a network such as 10.0.0.0/8, an address, or a host
    /// name; may be given several times.
    #[arg(
        long,
        env = "CLAUDE_TASKS_GIT_ALLOW",
        value_delimiter = ',',
        value_name = "ADDRESS"
    )]
    git_allow: Vec<AllowedAddress>,
    /// How long a webhook is tried until its receiver acknowledges it, such as 1d.
    #[arg(
        long,
        env = "CLAUDE_TASKS_WEBHOOK_AGE",
        default_value = "1d",
        value_name = "TIME",
        value_parser = units::time
    )]
    pub webhook_age: Duration,
}

impl StepArgs {
    /// The settings for repositories.
    ///
    /// | variable | meaning | default |
    /// |---|---|---|
    /// | `CLAUDE_TASKS_GIT_FILES` | for tests: `true` lets tasks clone `file://` repositories | `false` |
    pub(super) fn git(&self) -> GitSettings {
        GitSettings {
            program: self.git.clone(),
            known_hosts: self.git_known_hosts.clone(),
            files_allowed: self.git_files,
            addresses: AddressPolicy::new(self.git_allow.clone()),
            ..GitSettings::default()
        }
    }

    /// What sends webhooks. `None` without a secret: no webhook is sent unsigned.
    ///
    /// # Errors
    /// When the secrets of the environment or the system's certificate authorities cannot be used.
    pub(super) fn webhooks(&self) -> Result<Option<Sender>, CommandError> {
        let Some(secrets) = CallbackSecrets::from_env()? else {
            return Ok(None);
        };
        let policy = AddressPolicy::new(self.webhook_allow.clone());
        let sender = Sender::new(secrets, policy);
        sender
            .map(Some)
            .map_err(|e| CommandError::Webhooks(e.to_string()))
    }
}

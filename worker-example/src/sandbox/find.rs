//! Finds out, when a worker starts, what can confine its tasks on this machine.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use thiserror::Error;
use tokio_util::sync::CancellationToken;

use super::{
    cgroup::Cgroups,
    place::{Sandbox, Shared},
    programs::{Programs, RunLimits},
    settings::{SandboxMode, SandboxSettings, TaskNetwork},
    supervised::Launcher,
    users::Users,
    workspace::{Workspace, is_executable},
};
use crate::task::TaskId;

const BUBBLEWRAP: &str = "bwrap";
/// What the log and the results say where the operator wants no sandbox.
const OFF: &str = "not isolated: the operator has switched the sandbox off. The task ran as the worker's user, could read what \
    the worker can read, had the machine's network, and had no limits of memory, CPUs, processes and disk";
/// A trial program ends with this code. Nothing that fails on the way to it does.
const TRIAL_CODE: i32 = 42;
const TRIAL: RunLimits = RunLimits {
    timeout: Duration::from_secs(30),
    output: 4096,
};

/// The sandbox cannot be used as the operator demands.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum SandboxError {
    /// Something that `--sandbox required` demands does not work.
    #[error(
        "the sandbox is required and does not work here: {0}. Install bubblewrap and allow user namespaces or run the \
         worker as root, or accept less with --sandbox auto"
    )]
    Required(String),
    /// The trial could not be made.
    #[error("cannot try the sandbox: {0}")]
    Trial(#[source] io::Error),
}

impl Sandbox {
    /// Finds out what works on this machine. `grace` is how long a program may take to clean up.
    ///
    /// # Errors
    /// When the operator requires what does not work.
    pub(crate) async fn find(
        settings: SandboxSettings,
        launcher: Launcher,
        workdir: &Path,
        grace: Duration,
    ) -> Result<Self, SandboxError> {
        let mode = settings.mode;
        let mut shared = Shared {
            launcher,
            grace,
            settings,
            bubblewrap: None,
            helper: std::env::current_exe().map_err(SandboxError::Trial)?,
            users: None,
            cgroups: None,
            missing: Vec::new(),
        };
        if mode == SandboxMode::Off {
            tracing::warn!("{OFF}");
            shared.missing.push(OFF.to_owned());
            return Ok(Self {
                shared: Arc::new(shared),
            });
        }
        if shared.settings.network == TaskNetwork::Host {
            tracing::warn!(
                "tasks have the network of this machine: they reach its services and those of its network, such as Temporal \
                 and the cloud's metadata service. With --task-network on, they reach public addresses only"
            );
        }
        let is_root = nix::unistd::Uid::effective().is_root();
        let mut problems = Vec::new();
        let mut found = false;
        // Only root can give users, and a task must not be root.
        for with_bubblewrap in [true, false] {
            if !with_bubblewrap && !is_root {
                break;
            }
            shared = shared.with(with_bubblewrap, is_root, workdir)?;
            let (back, tried) = trial(shared, workdir).await?;
            shared = back;
            match tried {
                Ok(()) => {
                    found = true;
                    break;
                }
                Err(problem) => problems.push(problem),
            }
        }
        if !found {
            shared = shared.with(false, false, workdir)?;
        }
        if shared.bubblewrap.is_none() {
            let reason = problems.join("; ");
            if mode == SandboxMode::Required {
                return Err(SandboxError::Required(reason));
            }
            let not_applied = match shared.settings.network {
                TaskNetwork::Off => ", in spite of --task-network off",
                TaskNetwork::On => ", in spite of --task-network on",
                TaskNetwork::Host => "",
            };
            shared.missing.push(format!(
                "not isolated: the task could see the machine's files, processes and network{not_applied}, because bubblewrap \
                 does not work on this machine ({reason})"
            ));
            if shared.users.is_none() {
                shared.missing.push(
                    "not isolated: the task ran as the worker's user, and could read what the worker can read".to_owned(),
                );
            }
        }
        match Cgroups::find() {
            Ok(cgroups) => shared.cgroups = Some(cgroups),
            Err(reason) => shared.missing.push(format!(
                "the memory limit held for each process of the task and not for all together, and CPUs were not limited, \
                 because the worker has no control group of its own ({reason})"
            )),
        }
        for missing in &shared.missing {
            tracing::warn!("{missing}");
        }
        tracing::info!(
            bubblewrap = shared.bubblewrap.is_some(),
            own_users = shared.users.is_some(),
            control_groups = shared.cgroups.is_some(),
            network = ?shared.settings.network,
            "the sandbox of tasks is ready"
        );
        Ok(Self {
            shared: Arc::new(shared),
        })
    }
}

impl Shared {
    fn with(
        mut self,
        with_bubblewrap: bool,
        with_users: bool,
        workdir: &Path,
    ) -> Result<Self, SandboxError> {
        // A name that is not found is tried all the same, so that the trial says why it does not work.
        self.bubblewrap = with_bubblewrap.then(|| on_path(BUBBLEWRAP));
        self.users = if with_users {
            Users::new(workdir).map_err(SandboxError::Trial)?
        } else {
            None
        };
        Ok(self)
    }
}

/// Runs a small program in a sandbox like those of tasks. Returns why that does not work.
async fn trial(
    shared: Shared,
    workdir: &Path,
) -> Result<(Shared, Result<(), String>), SandboxError> {
    let what = match (&shared.bubblewrap, &shared.users) {
        (Some(_), _) => BUBBLEWRAP,
        (None, _) => "a user of its own",
    };
    let sandbox = Sandbox {
        shared: Arc::new(shared),
    };
    let tried = sandbox.try_once(workdir).await;
    let tried = tried.map_err(|problem| format!("{what}: {problem}"));
    match Arc::try_unwrap(sandbox.shared) {
        Ok(shared) => Ok((shared, tried)),
        Err(_) => Err(SandboxError::Trial(io::Error::other(
            "the trial has not ended",
        ))),
    }
}

impl Sandbox {
    async fn try_once(&self, workdir: &Path) -> Result<(), String> {
        let task: TaskId = "trial".parse().map_err(|_| "no task id".to_owned())?;
        let workspace = Workspace::create(workdir, &task).map_err(|e| e.to_string())?;
        let ended = self.run_trial(&workspace).await;
        workspace.remove().map_err(|e| e.to_string())?;
        ended
    }

    async fn run_trial(&self, workspace: &Workspace) -> Result<(), String> {
        let programs = Programs::new(self, workspace).map_err(|e| e.to_string())?;
        let script: OsString = format!(": > trial && exit {TRIAL_CODE}").into();
        let spec = programs.spec("/bin/sh".into(), vec!["-c".into(), script]);
        let never = CancellationToken::new();
        let ended = programs
            .run(spec, b"", TRIAL, &never)
            .await
            .map_err(|e| e.to_string())?;
        if ended.exit_code == TRIAL_CODE {
            return Ok(());
        }
        let errors = String::from_utf8_lossy(&ended.stderr);
        Err(errors.lines().last().unwrap_or("it failed").to_owned())
    }
}

fn on_path(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| is_executable(file))
        .unwrap_or_else(|| name.into())
}

//! What confines the tasks of one worker, and what each of them holds of it.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use super::{
    cgroup::{Cgroups, TaskCgroup},
    deleted::Supervisors,
    settings::{SandboxSettings, TaskNetwork},
    supervised::Launcher,
    users::{TaskUser, Users},
    workspace::Workspace,
};

/// What confines the tasks of a worker.
#[derive(Clone, Debug)]
pub(crate) struct Sandbox {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) launcher: Launcher,
    /// How long a program may take to clean up.
    pub(super) grace: Duration,
    pub(super) settings: SandboxSettings,
    /// The program of bubblewrap, if it works.
    pub(super) bubblewrap: Option<PathBuf>,
    /// This program's file.
    pub(super) helper: PathBuf,
    pub(super) users: Option<Users>,
    pub(super) cgroups: Option<Cgroups>,
    pub(super) missing: Vec<String>,
}

/// What one task holds until its last program has ended.
#[derive(Debug, Default)]
pub(super) struct Held {
    // Fields are dropped in this order: the group kills first.
    pub(super) cgroup: Option<TaskCgroup>,
    pub(super) user: Option<TaskUser>,
    pub(super) supervisors: Arc<Supervisors>,
}

impl Sandbox {
    /// What could not be applied to tasks, for their results.
    #[must_use]
    pub(crate) fn missing(&self) -> &[String] {
        &self.shared.missing
    }

    /// Whether tasks reach other servers: the operator permits it, or nothing prevents it.
    #[must_use]
    pub(crate) fn has_network(&self) -> bool {
        self.shared.bubblewrap.is_none() || self.shared.settings.network != TaskNetwork::Off
    }

    /// Whether tasks reach other servers through the egress proxy only.
    #[must_use]
    pub(crate) fn needs_egress_proxy(&self) -> bool {
        self.shared.bubblewrap.is_some() && self.shared.settings.network == TaskNetwork::On
    }

    /// Takes a user and a control group for a task, and makes its folders usable for them.
    pub(super) fn hold(&self, workspace: &Workspace) -> io::Result<Held> {
        let shared = &self.shared;
        let held = Held {
            cgroup: match &shared.cgroups {
                Some(cgroups) => Some(cgroups.create(shared.settings.limits)?),
                None => None,
            },
            user: shared.users.as_ref().map(Users::take).transpose()?,
            supervisors: Arc::default(),
        };
        workspace.prepare_for(
            held.user.as_ref().map(TaskUser::id),
            shared.bubblewrap.is_none(),
        )?;
        Ok(held)
    }
}

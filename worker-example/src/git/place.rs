//! Where git runs for a task, and what the operator says about it.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::{
    redact::Redactor,
    sandbox::{Programs, Workspace, private_folder},
    task::StepError,
    webhook::AddressPolicy,
};

/// The operator's settings for repositories.
#[derive(Clone, Debug)]
pub(crate) struct GitSettings {
    /// The program.
    pub(crate) program: PathBuf,
    /// Host keys beside those of GitHub, GitLab and Bitbucket, in the format of OpenSSH's `known_hosts`.
    pub(crate) known_hosts: Option<PathBuf>,
    /// Whether `file://` repositories are allowed. Only for tests: a task could read every repository of the worker's user.
    pub(crate) files_allowed: bool,
    /// Which servers a repository may be on.
    pub(crate) addresses: AddressPolicy,
    /// How long a commit and a push are tried, if they fail for a passing reason.
    pub(crate) patience: Duration,
}

impl Default for GitSettings {
    fn default() -> Self {
        Self {
            program: "git".into(),
            known_hosts: None,
            files_allowed: false,
            addresses: AddressPolicy::default(),
            patience: Duration::from_mins(10),
        }
    }
}

/// The folders of one task and the means to run programs in them.
#[derive(Clone, Debug)]
pub(crate) struct GitPlace<'a> {
    pub(super) programs: &'a Programs,
    pub(super) settings: &'a GitSettings,
    pub(super) redactor: &'a Redactor,
    pub(super) cancelled: &'a CancellationToken,
    pub(super) workspace: PathBuf,
    folder: PathBuf,
}

impl<'a> GitPlace<'a> {
    /// The place of a task's repository.
    pub(crate) fn new(
        programs: &'a Programs,
        workspace: &Workspace,
        settings: &'a GitSettings,
        redactor: &'a Redactor,
        cancelled: &'a CancellationToken,
    ) -> Self {
        Self {
            programs,
            settings,
            redactor,
            cancelled,
            workspace: workspace.root(),
            folder: workspace.git(),
        }
    }

    /// The service's own repository.
    pub(super) fn repository(&self) -> PathBuf {
        self.folder.join("repository")
    }

    /// The folder for what the workspace's side of a commit writes.
    pub(super) fn outbox(&self) -> PathBuf {
        self.folder.join("outbox")
    }

    /// The working tree of a rebase.
    pub(super) fn rebase_tree(&self) -> PathBuf {
        self.folder.join("rebase")
    }

    /// The folder of the key and the host keys.
    pub(super) fn ssh(&self) -> PathBuf {
        self.folder.join("ssh")
    }

    /// Makes a folder of the task new and empty.
    pub(super) fn renew(&self, folder: &Path) -> Result<(), StepError> {
        let renewed = match fs::remove_dir_all(folder) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => private_folder(folder).and_then(|()| {
                // Where tasks have a user of their own and no view of their own, git goes through the folder above.
                fs::set_permissions(&self.folder, fs::Permissions::from_mode(0o711))
            }),
        };
        renewed.map_err(|e| {
            StepError::transient(format!("cannot create the folder of the repository: {e}"))
        })
    }
}

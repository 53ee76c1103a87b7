//! Prepares a task: its workspace, its log, and the files in it.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use temporalio_common::error::ApplicationFailure;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::{PreparedTask, TaskRunner, remove};
use crate::{
    files::{self, CommandLimits},
    git::{self, Checkout, GitPlace},
    proxy::EgressProxy,
    sandbox::{Programs, Workspace},
    store::StoreLog,
    task::{FailureKind, StepError, TaskId, TaskInput, TaskRequest},
    worker::{claude::Redactor, failures, log_store::TaskLog},
};

/// What the result of a task says that was submitted without the worker's store.
const INLINE: &str = "the secrets of the request are in the task's history, because it was submitted without the store of this \
    worker: people who may decrypt see its credential. Submit tasks with --store or --server";

/// A workspace that has its files.
struct Filled {
    egress: Option<EgressProxy>,
    programs: Programs,
    folder: PathBuf,
    checkout: Option<Checkout>,
    generated: Vec<String>,
}

impl TaskRunner {
    /// Checks a request, and prepares the workspace and the log of its task. What can fail comes before the session begins,
    /// so that Temporal tries again.
    ///
    /// # Errors
    /// The failure of the activity.
    pub(in crate::worker) async fn prepare(
        &self,
        id: &str,
        input: TaskInput,
        stop: &CancellationToken,
    ) -> Result<PreparedTask, ApplicationFailure> {
        let is_inline = !input.has_sealed();
        let (task, mut request) = self.open(id, input).await?;
        let mut warnings = request.warnings();
        if is_inline && self.vault.is_some() {
            warnings.push(INLINE.to_owned());
        }
        warnings.extend(
            self.claude
                .caps
                .lower(&mut request, self.claude.permission_mode),
        );
        let request = Arc::new(request);
        let redactor = redactor(&task, Arc::clone(&request)).await?;
        let cannot_begin = |what: &str, e: &dyn fmt::Display| {
            let problem = format!("{what}: {e}");
            failures::of_attempt(id, FailureKind::CannotRun, problem)
        };
        let (workspace, log) = self
            .folders(&task)
            .await
            .map_err(|e| cannot_begin("cannot create the task's folders", &e))?;
        let made = self
            .fill(&task, &request, &workspace, &redactor, stop)
            .await
            .map_err(|failed| match failed {
                StepError::Failed {
                    message,
                    retry: false,
                } => failures::of_session(id, FailureKind::CannotRun, message, None),
                error => {
                    let problem = format!("cannot prepare the task: {error}");
                    failures::of_attempt(id, FailureKind::CannotRun, problem)
                }
            });
        match made {
            Ok(Filled {
                egress,
                programs,
                folder,
                checkout,
                generated,
            }) => Ok(PreparedTask {
                task,
                request,
                warnings,
                redactor,
                egress,
                programs,
                workspace,
                log,
                folder,
                checkout,
                generated,
            }),
            Err(failure) => {
                remove(&task, workspace).await;
                Err(failure)
            }
        }
    }

    /// Fills the workspace: the repository, the files of the request, and what its commands make.
    async fn fill(
        &self,
        task: &TaskId,
        request: &TaskRequest,
        workspace: &Workspace,
        redactor: &Redactor,
        stop: &CancellationToken,
    ) -> Result<Filled, StepError> {
        let (programs, egress) = self
            .confinement
            .programs(task, workspace, &self.workdir)
            .map_err(|e| StepError::transient(format!("cannot prepare the task's sandbox: {e}")))?;
        let place = GitPlace::new(&programs, workspace, &self.git, redactor, stop);
        let checkout = git::check_out(&place, request).await?;
        workspace
            .fill(request)
            .map_err(|e| StepError::transient(format!("cannot write the task's files: {e}")))?;
        let generated = files::write(&workspace.root(), request)?;
        files::run_commands(&programs, request, redactor, CommandLimits::default(), stop).await?;
        let folder = working_folder(&workspace.root(), request.cwd_relative.as_deref())?;
        Ok(Filled {
            egress,
            programs,
            folder,
            checkout,
            generated,
        })
    }

    async fn folders(&self, task: &TaskId) -> io::Result<(Workspace, TaskLog)> {
        let workdir = self.workdir.clone();
        let id = task.clone();
        let made = spawn_blocking(move || {
            io::Result::Ok((
                Workspace::create(&workdir, &id)?,
                TaskLog::create(&workdir, &id)?,
            ))
        });
        let (workspace, mut log) = made.await.map_err(io::Error::from)??;
        if let Some(vault) = &self.vault {
            let stored = StoreLog::open(vault, task).await;
            log.write_to(stored.map_err(io::Error::other)?);
        }
        Ok((workspace, log))
    }
}

/// Builds the redactor on a thread of its own, because this takes time for large secrets.
async fn redactor(
    task: &TaskId,
    request: Arc<TaskRequest>,
) -> Result<Arc<Redactor>, ApplicationFailure> {
    let kind = FailureKind::CannotRun;
    match spawn_blocking(move || Redactor::of(&request)).await {
        Ok(Ok(redactor)) => Ok(Arc::new(redactor)),
        Ok(Err(error)) => Err(failures::of_session(
            task.as_str(),
            kind,
            error.to_string(),
            None,
        )),
        Err(error) => Err(failures::of_attempt(
            task.as_str(),
            kind,
            io::Error::from(error).to_string(),
        )),
    }
}

/// The folder in which Claude Code runs. A link of the repository must not lead out of the workspace.
fn working_folder(root: &Path, relative: Option<&str>) -> Result<PathBuf, StepError> {
    let Some(relative) = relative else {
        return Ok(root.to_owned());
    };
    let found = root.join(relative).canonicalize().and_then(|folder| {
        let root = root.canonicalize()?;
        Ok((folder.is_dir() && folder.starts_with(root)).then_some(folder))
    });
    match found {
        Ok(Some(folder)) => Ok(folder),
        Ok(None) | Err(_) => Err(StepError::final_one(
            "cwdRelative must be a folder of the workspace, and it is not. Check the repository and its branch",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claude_code_runs_inside_the_workspace() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::create_dir_all(root.path().join("a/b")).unwrap();
        std::fs::write(root.path().join("file"), "").unwrap();
        std::os::unix::fs::symlink(outside.path(), root.path().join("link")).unwrap();
        let folder = |relative| working_folder(root.path(), relative);
        assert_eq!(folder(None).unwrap(), root.path());
        assert!(folder(Some("a/b")).unwrap().ends_with("a/b"));
        for bad in ["missing", "file", "link", "../", "/"] {
            assert!(folder(Some(bad)).is_err(), "{bad}");
        }
    }
}

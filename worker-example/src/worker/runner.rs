//! What a worker does for a task: prepare it, run Claude Code, and remove what is left.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use temporalio_client::{ActivityIdentifier, RpcOptions};
use temporalio_common::error::ApplicationFailure;
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::{
    claude::{ClaudeConfig, OutputLimits, Publish, Redactor, Session, SessionEnd, StopReason},
    confinement::Confinement,
    failures::{self, FOR_ANOTHER_TASK},
    log_store::TaskLog,
    uploads::Uploads,
};
use crate::{
    client::error_chain,
    files::{self, CommandLimits, UploadLimits},
    git::{self, Checkout, GitPlace, GitSettings},
    proxy::EgressProxy,
    sandbox::{Programs, Workspace},
    signed::RequestKeys,
    store::{StoreLog, Vault},
    task::{
        ActionsReport, FailureKind, GitAction, Progress, RequestRules, SessionOutcome, StepError,
        TaskId, TaskIdError, TaskInput, TaskRequest, UploadAction,
    },
    webhook::{Approved, SECRET, Sender},
};

/// What the result of a task says that was submitted without the worker's store.
const INLINE: &str = "the secrets of the request are in the task's history, because it was submitted without the store of this \
    worker: people who may decrypt see its credential. Submit tasks with --store or --server";
/// How long Temporal may take to store that a session begins.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(20);

/// What a worker does for a task, with the operator's settings.
#[derive(Debug)]
pub(crate) struct TaskRunner {
    /// How Claude Code is run.
    pub(crate) claude: ClaudeConfig,
    /// What every task gets around it.
    pub(crate) confinement: Confinement,
    /// The folder of workspaces and logs.
    pub(crate) workdir: PathBuf,
    /// The limits of the output.
    pub(crate) limits: OutputLimits,
    /// How long a stopped task may take to clean up.
    pub(crate) grace: Duration,
    /// How long Claude Code may run after its result without beginning another turn.
    pub(crate) linger: Duration,
    /// How often progress is sent in a heartbeat.
    pub(crate) interval: Duration,
    /// Cancelled when running tasks must end because the worker ends.
    pub(crate) ending: CancellationToken,
    /// Where secrets and logs are stored.
    pub(crate) vault: Option<Vault>,
    /// The keys whose signatures are accepted.
    pub(crate) request_keys: RequestKeys,
    /// How repositories are reached.
    pub(crate) git: GitSettings,
    /// Sends webhooks. `None` without a secret that signs them.
    pub(crate) webhooks: Option<Sender>,
    /// The uploads of all tasks.
    pub(super) uploads: Uploads,
    /// The namespace, which requests are signed for.
    pub(crate) namespace: String,
}

/// A task whose workspace is ready.
#[derive(Debug)]
pub(super) struct PreparedTask {
    pub(super) task: TaskId,
    request: Arc<TaskRequest>,
    warnings: Vec<String>,
    redactor: Arc<Redactor>,
    // Dropped in this order: the socket must be gone before another task gets the user that may use it.
    egress: Option<EgressProxy>,
    /// They end before the workspace is removed.
    programs: Programs,
    workspace: Workspace,
    log: TaskLog,
    /// The folder in which Claude Code runs.
    folder: PathBuf,
    /// What was checked out.
    checkout: Option<Checkout>,
    /// The files that the service wrote into the workspace.
    generated: Vec<String>,
}

impl PreparedTask {
    /// Whether the request asks for actions after a successful session.
    pub(super) fn has_actions(&self) -> bool {
        self.request.post_execution_actions.is_some()
    }

    /// Removes the workspace. The log stays.
    pub(super) async fn remove(self) {
        drop(self.egress);
        drop(self.programs);
        remove(&self.task, self.workspace).await;
    }
}

/// A workspace that has its files.
struct Filled {
    egress: Option<EgressProxy>,
    programs: Programs,
    folder: PathBuf,
    checkout: Option<Checkout>,
    generated: Vec<String>,
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

async fn remove(task: &TaskId, workspace: Workspace) {
    let removed = spawn_blocking(|| workspace.remove()).await;
    if let Err(error) = removed.map_err(io::Error::from).flatten() {
        tracing::error!(task = %task, %error, "cannot remove the task's workspace");
    }
}

/// The task's id, if the request belongs to this task. The workflow checks this, too. But an attacker's workflow of any type can
/// schedule the activity with a copied request.
fn task_of(id: &str, input: &TaskInput) -> Result<TaskId, String> {
    let task: TaskId = id.parse().map_err(|e: TaskIdError| e.to_string())?;
    if input.task_id() != Some(id) {
        return Err(FOR_ANOTHER_TASK.to_owned());
    }
    Ok(task)
}

impl TaskRunner {
    /// Checks a request, and prepares the workspace and the log of its task. What can fail comes before the session begins,
    /// so that Temporal tries again.
    ///
    /// # Errors
    /// The failure of the activity.
    pub(super) async fn prepare(
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

    /// Opens the secrets of a request, and checks the request and its signature.
    async fn open(
        &self,
        id: &str,
        input: TaskInput,
    ) -> Result<(TaskId, TaskRequest), ApplicationFailure> {
        let (task, input) = self.genuine(id, input).await?;
        let rules = RequestRules::default().with_file_repositories(self.git.files_allowed);
        let request = input.into_request(rules).map_err(|problem| {
            failures::of_session(id, FailureKind::InvalidRequest, problem.to_string(), None)
        })?;
        Ok((task, request))
    }

    /// Approves the webhook of a task that was not prepared. The request can be one that cannot be run, but it is this task's,
    /// and it is signed as the operator wants.
    ///
    /// # Errors
    /// The failure of the activity.
    pub(super) async fn approve_callback(
        &self,
        id: &str,
        input: TaskInput,
    ) -> Result<String, ApplicationFailure> {
        let (_, input) = self.genuine(id, input).await?;
        self.approval(id, input.callback_url()).ok_or_else(|| {
            let problem = format!("the worker has no secret that signs webhooks. Set {SECRET}");
            failures::of_session(id, FailureKind::CannotRun, problem, None)
        })
    }

    /// The approval of a webhook whose request was checked. `None` without a receiver, or without a secret.
    pub(super) fn approval(&self, task: &str, callback: Option<&str>) -> Option<String> {
        let approved = Approved {
            namespace: &self.namespace,
            task,
            url: callback?,
        };
        Some(self.webhooks.as_ref()?.secrets().approve(approved))
    }

    /// Opens the secrets of a request, and checks that it is this task's and is signed as the operator wants.
    async fn genuine(
        &self,
        id: &str,
        mut input: TaskInput,
    ) -> Result<(TaskId, TaskInput), ApplicationFailure> {
        let invalid =
            |problem: String| failures::of_session(id, FailureKind::InvalidRequest, problem, None);
        let task = task_of(id, &input).map_err(invalid)?;
        if let Some(sealed) = input.take_sealed().map_err(|e| invalid(e.to_string()))? {
            let cannot_open = |is_final: bool, problem: String| {
                let kind = FailureKind::CannotRun;
                if is_final {
                    failures::of_session(id, kind, problem, None)
                } else {
                    failures::of_attempt(id, kind, problem)
                }
            };
            let vault = self.vault.as_ref().ok_or_else(|| {
                let problem = "the secrets of the request are in a store, and this worker has no store. Start it with the \
                    --store of the program that submitted the task";
                tracing::warn!(task = %task, problem, "cannot begin a task");
                cannot_open(false, problem.to_owned())
            })?;
            let secrets = vault
                .secrets(&sealed, &task)
                .await
                .map_err(|error| cannot_open(error.is_final(), error.to_string()))?;
            input
                .put_secrets(&secrets)
                .map_err(|e| invalid(e.to_string()))?;
        }
        self.request_keys
            .check(&mut input, &self.namespace)
            .map_err(|problem| invalid(problem.to_owned()))?;
        Ok((task, input))
    }

    /// Runs Claude Code in a prepared workspace.
    ///
    /// # Errors
    /// The failure or the cancellation of the activity. Temporal repeats the activity only if the session did not begin.
    pub(super) async fn run(
        &self,
        ctx: &ActivityContext,
        prepared: &mut PreparedTask,
    ) -> Result<SessionOutcome, ActivityError> {
        let task = prepared.task.clone();
        tracing::info!(task = %task, attempt = ctx.info().attempt, "task begins");
        let end = self.begin_and_run(ctx, prepared).await?;
        tracing::info!(task = %task, exit_code = end.exit_code, stopped = ?end.stopped,
            events = end.progress.total(), "task ends");
        let logs_path = prepared.log.path().to_owned();
        let mut warnings = prepared.warnings.clone();
        // Only the result has them. The operator chose the sandbox, and the events are the same with each choice.
        warnings.extend_from_slice(self.confinement.sandbox.missing());
        conclude(&task, end, logs_path, warnings)
    }

    /// Does what the request asks for after a successful session: the commit and the uploads. Their failure is reported and
    /// does not fail the task.
    pub(super) async fn act(
        &self,
        prepared: &PreparedTask,
        stop: &CancellationToken,
    ) -> ActionsReport {
        let mut report = ActionsReport {
            task_id: prepared.task.to_string(),
            ..ActionsReport::default()
        };
        let Some(actions) = &prepared.request.post_execution_actions else {
            return report;
        };
        if let Some(action) = &actions.git {
            self.commit(prepared, action, stop, &mut report).await;
        }
        if let Some(action) = &actions.upload_files {
            self.upload(prepared, action, stop, &mut report).await;
        }
        report
    }

    async fn commit(
        &self,
        prepared: &PreparedTask,
        action: &GitAction,
        stop: &CancellationToken,
        report: &mut ActionsReport,
    ) {
        let place = GitPlace::new(
            &prepared.programs,
            &prepared.workspace,
            &self.git,
            &prepared.redactor,
            stop,
        );
        let done = git::finish(
            &place,
            &prepared.task,
            prepared.checkout.as_ref(),
            prepared.request.ssh_key.as_ref(),
            action,
            &prepared.generated,
        );
        let done = done.await;
        report.git_commit = done.commit;
        report.warnings.extend(done.warnings);
        report.warnings.extend(done.problem);
    }

    async fn upload(
        &self,
        prepared: &PreparedTask,
        action: &UploadAction,
        stop: &CancellationToken,
        report: &mut ActionsReport,
    ) {
        let Some(vault) = &self.vault else {
            let problem = "nothing is uploaded, because uploadFiles needs a store. Start the workers with --store";
            report.warnings.push(problem.to_owned());
            return;
        };
        let (root, patterns) = (prepared.workspace.root(), action.glob_patterns.clone());
        let generated = prepared.generated.clone();
        let found = spawn_blocking(move || {
            files::collect(&root, &patterns, &generated, UploadLimits::default())
        });
        let found = match found.await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                report.warnings.push(format!("the upload failed: {error}"));
                return;
            }
            Err(error) => {
                let error = io::Error::from(error);
                report.warnings.push(format!("the upload failed: {error}"));
                return;
            }
        };
        report.warnings.extend(found.warnings);
        let prefix = action.gcs_prefix.as_deref();
        self.uploads
            .store(vault, &prepared.task, prefix, found.uploads, stop, report)
            .await;
    }

    async fn begin_and_run(
        &self,
        ctx: &ActivityContext,
        prepared: &mut PreparedTask,
    ) -> Result<SessionEnd, ActivityError> {
        let task = prepared.task.as_str();
        let failed = |problem: String| {
            failures::of_session(task, FailureKind::CannotRun, problem, None).into()
        };
        let proxy = self
            .confinement
            .proxy(&prepared.request, &prepared.programs, &self.workdir)
            .map_err(|error| {
                let problem = format!("cannot prepare the task's way to the API: {error}");
                failures::of_attempt(task, FailureKind::CannotRun, problem)
            })?;
        self.begin(ctx, &prepared.task).await?;
        // Heartbeats, attempts and whole runs can be reset in Temporal. The worker's own mark stays.
        match prepared.log.begin_session() {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                return Err(failed(format!(
                    "a task with this id already began, see {}; the task is not repeated. Submit it \
                     with another id",
                    prepared.log.path()
                )));
            }
            Err(e) => {
                return Err(failed(format!(
                    "cannot record in the log's folder that the task begins: {e}"
                )));
            }
        }
        let session = Session {
            task: &prepared.task,
            redactor: Arc::clone(&prepared.redactor),
            config: &self.claude,
            folder: &prepared.folder,
            programs: &prepared.programs,
            proxy: &proxy,
            limits: self.limits,
            grace: self.grace,
            linger: self.linger,
            interval: self.interval,
            timeout: prepared.request.timeout(),
            warnings: &prepared.warnings,
        };
        let ran = session
            .run(
                &prepared.request,
                &prepared.workspace,
                &mut prepared.log,
                self.stop_reason(ctx),
                &mut Heartbeats(ctx),
            )
            .await;
        ran.map_err(|e| failed(e.to_string()))
    }

    /// Tells Temporal that the session begins. After this, no attempt of any worker begins it again.
    async fn begin(&self, ctx: &ActivityContext, task: &TaskId) -> Result<(), ActivityError> {
        let not_begun = |kind: FailureKind, why: String| {
            let message = format!("the task has not begun: {why}");
            Err(failures::of_attempt(task.as_str(), kind, message).into())
        };
        if self.ending.is_cancelled() {
            return not_begun(
                FailureKind::WorkerShutdown,
                "the worker is shutting down".to_owned(),
            );
        }
        let token = ActivityIdentifier::TaskToken(ctx.info().task_token.clone().into());
        let options = RpcOptions::builder().timeout(BEGIN_TIMEOUT).build();
        let answer = ctx
            .client()
            .get_async_activity_handle(token)
            .heartbeat(Some(Progress::of_beginning(task)), options)
            .await;
        match answer {
            Ok(answer) if answer.cancel_requested => {
                Err(ActivityError::Cancelled { details: None })
            }
            Ok(_) => Ok(()),
            Err(error) => not_begun(FailureKind::CannotRun, error_chain(&error)),
        }
    }

    async fn stop_reason(&self, ctx: &ActivityContext) -> StopReason {
        tokio::select! {
            () = ctx.cancelled() => StopReason::Cancelled,
            () = self.ending.cancelled() => StopReason::WorkerShutdown,
        }
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

fn conclude(
    task: &TaskId,
    end: SessionEnd,
    logs_path: String,
    warnings: Vec<String>,
) -> Result<SessionOutcome, ActivityError> {
    let stopped = end.stopped;
    let mut outcome = SessionOutcome {
        task_id: task.to_string(),
        exit_code: end.exit_code,
        result: end.result,
        progress: end.progress,
        stderr: end.stderr,
        logs_path,
        warnings,
    };
    if let (Some(StopReason::AfterResult), Some(result)) = (stopped, &outcome.result) {
        // Claude Code would have ended with this code.
        outcome.exit_code = i32::from(result.is_error);
    }
    if !outcome.is_error() {
        outcome.stderr.clear();
    }
    let failure = |kind: FailureKind, message: &str, outcome| {
        let failure = failures::of_session(task.as_str(), kind, message.to_owned(), Some(outcome));
        Err(failure.into())
    };
    match stopped {
        None | Some(StopReason::AfterResult) => Ok(outcome),
        Some(StopReason::Cancelled) => Err(ActivityError::Cancelled {
            details: Some(outcome.into()),
        }),
        Some(StopReason::Timeout { after }) => {
            let minutes = after.as_secs() / 60;
            let unit = if minutes == 1 { "minute" } else { "minutes" };
            failure(
                FailureKind::Timeout,
                &format!("timed out after {minutes} {unit}"),
                outcome,
            )
        }
        Some(StopReason::OutputLimit) => {
            let events = outcome.progress.total();
            let message = format!(
                "output limit reached ({events} events); print less, or raise the worker's --max-events or --max-output"
            );
            failure(FailureKind::OutputLimit, &message, outcome)
        }
        Some(StopReason::DiskLimit { problem }) => {
            let message = format!("disk limit reached: {problem}");
            failure(FailureKind::OutputLimit, &message, outcome)
        }
        Some(StopReason::WorkerShutdown) => failure(
            FailureKind::WorkerShutdown,
            "the worker shut down while the task ran; submit it again",
            outcome,
        ),
    }
}

/// Sends progress to Temporal as the details of heartbeats, encrypted by the codec.
struct Heartbeats<'a>(&'a ActivityContext);

impl Publish for Heartbeats<'_> {
    async fn publish(&mut self, progress: Progress) {
        if let Err(error) = self.0.record_heartbeat(progress).await {
            // The task continues. Without heartbeats, Temporal soon gives it up.
            tracing::warn!(%error, "cannot encode a heartbeat");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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

    #[test]
    fn a_copied_request_is_not_for_this_task() {
        let input = || {
            let request = json!({"prompt": "p", "anthropicApiKey": "k"});
            let request = TaskRequest::from_value(request).unwrap();
            TaskInput::new(request, &"victim".parse().unwrap())
        };
        assert_eq!(task_of("victim", &input()).unwrap().as_str(), "victim");
        for (id, problem) in [
            ("attack", "does not belong to this task"),
            ("", "taskId must be"),
        ] {
            let refused = task_of(id, &input()).unwrap_err();
            assert!(refused.contains(problem), "{refused}");
        }
    }
}

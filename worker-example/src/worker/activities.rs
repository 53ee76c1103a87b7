//! The activity that runs a task: it prepares the workspace, runs Claude Code, and cleans up.

use std::{fmt, io, path::PathBuf, sync::Arc, time::Duration};

use temporalio_client::{ActivityIdentifier, RpcOptions};
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{
    claude::{ClaudeConfig, OutputLimits, Publish, Redactor, Session, SessionEnd, StopReason},
    confinement::Confinement,
    failures::{self, FOR_ANOTHER_TASK},
    log_store::TaskLog,
};
use crate::{
    client::error_chain,
    proxy::Proxy,
    sandbox::{self, Programs, Workspace},
    task::{
        FailureKind, Progress, RequestRules, SessionOutcome, TaskId, TaskIdError, TaskInput,
        TaskRequest,
    },
};

/// How long Temporal may take to store that a session begins.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(20);

/// The activities of one worker.
#[derive(Debug)]
pub struct ClaudeActivities {
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
}

#[activities]
impl ClaudeActivities {
    /// Runs Claude Code for a request, in a workspace that is removed afterwards.
    ///
    /// # Errors
    /// An application failure whose type is a [`FailureKind`], or the cancellation, with the session's outcome if Claude Code
    /// ran. Temporal repeats the activity only if the session did not begin.
    #[activity(name = "run_claude")]
    pub async fn run_claude(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: TaskInput,
    ) -> Result<SessionOutcome, ActivityError> {
        let id = ctx.info().workflow_id.clone().unwrap_or_default();
        // An earlier attempt sends a heartbeat when its session begins. Even one that cannot be read shows that it began.
        if !ctx.heartbeat_details().raw().is_empty() {
            let last: Option<Progress> = ctx.heartbeat_details().deserialize().ok().flatten();
            let last = last.filter(|last| last.is_of(&id));
            return Err(failures::of_lost_session(&id, last).into());
        }
        let (task, mut request) = request_of(&id, input).map_err(|problem| {
            failures::of_session(&id, FailureKind::InvalidRequest, problem, None)
        })?;
        let mut warnings = request.warnings();
        warnings.extend(
            self.claude
                .caps
                .lower(&mut request, self.claude.permission_mode),
        );
        warnings.extend_from_slice(self.confinement.sandbox.missing());
        tracing::info!(task = %task, attempt = ctx.info().attempt, "task begins");
        let span = tracing::info_span!("run_claude", task = %task);
        let run = self.run(&ctx, &task, Arc::new(request), &warnings);
        let (end, logs_path) = run.instrument(span).await?;
        tracing::info!(task = %task, exit_code = end.exit_code, stopped = ?end.stopped,
            events = end.progress.total(), "task ends");
        conclude(&task, end, logs_path, warnings)
    }
}

/// The request, if it belongs to this task. The workflow checks this, too. But an attacker's workflow of any type can
/// schedule the activity with a copied request.
fn request_of(id: &str, input: TaskInput) -> Result<(TaskId, TaskRequest), String> {
    let task: TaskId = id.parse().map_err(|e: TaskIdError| e.to_string())?;
    if input.task_id() != Some(id) {
        return Err(FOR_ANOTHER_TASK.to_owned());
    }
    let request = input
        .into_request(RequestRules::default())
        .map_err(|e| e.to_string())?;
    if let Some(field) = request.field_without_step() {
        return Err(format!(
            "this version of the worker does not run the step of `{field}`; leave it out"
        ));
    }
    Ok((task, request))
}

impl ClaudeActivities {
    async fn run(
        &self,
        ctx: &ActivityContext,
        task: &TaskId,
        request: Arc<TaskRequest>,
        warnings: &[String],
    ) -> Result<(SessionEnd, String), ActivityError> {
        let cannot_begin = |what: &str, e: &dyn fmt::Display| {
            failures::of_attempt(
                task.as_str(),
                FailureKind::CannotRun,
                format!("{what}: {e}"),
            )
        };
        // What can fail comes before the session begins, so that Temporal tries again.
        let redactor = redactor(task, Arc::clone(&request)).await?;
        let (workspace, mut log) = self
            .prepare(task)
            .await
            .map_err(|e| cannot_begin("cannot create the task's folders", &e))?;
        let ran = if let Err(e) = workspace.fill(&request) {
            Err(cannot_begin("cannot write the task's files", &e).into())
        } else {
            match self.confine(&workspace, &request) {
                Err(e) => Err(cannot_begin("cannot prepare the task's sandbox", &e).into()),
                Ok((programs, proxy)) => {
                    let session =
                        self.session(task, &request, warnings, redactor, (&programs, &proxy));
                    self.begin_and_run(ctx, session, &request, &workspace, &mut log)
                        .await
                }
            }
        };
        let path = log.path().to_owned();
        match spawn_blocking(|| workspace.remove()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(task = %task, %error, "cannot remove the task's workspace");
            }
            Err(error) => {
                tracing::error!(task = %task, %error, "cannot remove the task's workspace");
            }
        }
        Ok((ran?, path))
    }

    async fn begin_and_run(
        &self,
        ctx: &ActivityContext,
        session: Session<'_>,
        request: &TaskRequest,
        workspace: &Workspace,
        log: &mut TaskLog,
    ) -> Result<SessionEnd, ActivityError> {
        let task = session.task.as_str();
        self.begin(ctx, session.task).await?;
        // Heartbeats, attempts and whole runs can be reset in Temporal. The worker's own mark stays.
        match log.begin_session() {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                let problem = format!(
                    "a task with this id already began at this worker, see {}; the task is not repeated. Submit it \
                     with another id",
                    log.path()
                );
                let kind = FailureKind::CannotRun;
                return Err(failures::of_session(task, kind, problem, None).into());
            }
            Err(e) => {
                let problem =
                    format!("cannot record in the log's folder that the task begins: {e}");
                let kind = FailureKind::CannotRun;
                return Err(failures::of_session(task, kind, problem, None).into());
            }
        }
        let stop = self.stop_reason(ctx);
        let ran = session
            .run(request, workspace, log, stop, &mut Heartbeats(ctx))
            .await;
        ran.map_err(|e| {
            failures::of_session(task, FailureKind::CannotRun, e.to_string(), None).into()
        })
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

    fn session<'a>(
        &'a self,
        task: &'a TaskId,
        request: &TaskRequest,
        warnings: &'a [String],
        redactor: Arc<Redactor>,
        (programs, proxy): (&'a Programs, &'a Proxy),
    ) -> Session<'a> {
        Session {
            task,
            redactor,
            config: &self.claude,
            programs,
            proxy,
            limits: self.limits,
            grace: self.grace,
            linger: self.linger,
            interval: self.interval,
            timeout: request.timeout(),
            warnings,
        }
    }

    fn confine(
        &self,
        workspace: &Workspace,
        request: &TaskRequest,
    ) -> io::Result<(Programs, Proxy)> {
        let programs = self.confinement.programs(workspace)?;
        let proxy = self.confinement.proxy(request, &programs, &self.workdir)?;
        Ok((programs, proxy))
    }

    async fn stop_reason(&self, ctx: &ActivityContext) -> StopReason {
        tokio::select! {
            () = ctx.cancelled() => StopReason::Cancelled,
            () = self.ending.cancelled() => StopReason::WorkerShutdown,
        }
    }

    async fn prepare(&self, task: &TaskId) -> io::Result<(Workspace, TaskLog)> {
        let (workdir, task) = (self.workdir.clone(), task.clone());
        let made = spawn_blocking(move || {
            sandbox::sweep(&workdir)?;
            Ok((
                Workspace::create(&workdir, &task)?,
                TaskLog::create(&workdir, &task)?,
            ))
        });
        made.await.map_err(io::Error::other)?
    }
}

/// Builds the redactor on a thread of its own, because this takes time for large secrets.
async fn redactor(
    task: &TaskId,
    request: Arc<TaskRequest>,
) -> Result<Arc<Redactor>, ActivityError> {
    let kind = FailureKind::CannotRun;
    match spawn_blocking(move || Redactor::of(&request)).await {
        Ok(Ok(redactor)) => Ok(Arc::new(redactor)),
        Ok(Err(error)) => {
            Err(failures::of_session(task.as_str(), kind, error.to_string(), None).into())
        }
        Err(error) => Err(failures::of_attempt(task.as_str(), kind, error.to_string()).into()),
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
        Some(StopReason::DiskLimit { limit }) => {
            let message = format!(
                "disk limit reached: the task's files use more than {limit} bytes; write less, or raise the worker's \
                 --task-disk"
            );
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
    fn a_copied_request_is_not_for_this_task() {
        let input = || {
            let request = json!({"prompt": "p", "anthropicApiKey": "k"});
            let request = TaskRequest::from_value(request).unwrap();
            TaskInput::new(request, &"victim".parse().unwrap())
        };
        assert_eq!(request_of("victim", input()).unwrap().0.as_str(), "victim");
        for (id, problem) in [
            ("attack", "does not belong to this task"),
            ("", "taskId must be"),
        ] {
            let refused = request_of(id, input()).unwrap_err();
            assert!(refused.contains(problem), "{refused}");
        }
    }
}

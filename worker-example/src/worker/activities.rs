//! What a task does outside the workflow: for now one activity, which runs the CLI.

use crate::{
    claude::{ClaudeConfig, Ended, OutputLimits, Publish, Redactor, Session, Stop},
    connect::chain,
    failure::FailureKind,
    log_store::TaskLog,
    outcome::SessionOutcome,
    process::Launcher,
    progress::Progress,
    request::{TaskInput, TaskRequest},
    task_id::{TaskId, TaskIdError},
    workspace::{self, Workspace},
};
use std::{path::PathBuf, sync::Arc, time::Duration};
use temporalio_client::{ActivityIdentifier, RpcOptions};
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

/// How long Temporal may take to note that a session begins.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(20);

/// What a caller reads whose request names another task.
pub(crate) const FOR_ANOTHER_TASK: &str = "the request is not for this task: it is not a JSON object whose taskId is the \
    workflow's id";

/// The activities of one worker.
#[derive(Debug)]
pub struct ClaudeActivities {
    /// How the CLI is run.
    pub(crate) claude: ClaudeConfig,
    /// How its supervisor is started.
    pub(crate) launcher: Launcher,
    /// Where workspaces and logs are.
    pub(crate) workdir: PathBuf,
    /// The bounds of the output.
    pub(crate) limits: OutputLimits,
    /// How long the CLI may take to clean up.
    pub(crate) grace: Duration,
    /// How long the CLI may stay after its result without beginning another turn.
    pub(crate) linger: Duration,
    /// How often progress is published.
    pub(crate) interval: Duration,
    /// Cancelled when running tasks must end because the worker does.
    pub(crate) ending: CancellationToken,
}

#[activities]
impl ClaudeActivities {
    /// Runs Claude Code for a request, in a workspace made for it and removed afterwards.
    ///
    /// # Errors
    /// Non-retryable application failures of the types in [`FailureKind`], with a
    /// [`SessionOutcome`] as details where the CLI had run; a cancellation, likewise.
    #[activity(name = "run_claude")]
    pub async fn run_claude(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: TaskInput,
    ) -> Result<SessionOutcome, ActivityError> {
        let id = ctx.info().workflow_id.clone().unwrap_or_default();
        // Whatever an earlier attempt left, even if it cannot be read, says that the session had begun.
        if !ctx.heartbeat_details().raw().is_empty() {
            let last: Option<Progress> = ctx.heartbeat_details().deserialize().ok().flatten();
            let last = last.filter(|last| last.is_of(&id));
            return Err(FailureKind::of_lost_session(&id, last).into());
        }
        let (task, mut request) = request_of(&id, input)
            .map_err(|problem| FailureKind::InvalidRequest.of_session(&id, problem, None))?;
        let warnings = self
            .claude
            .caps
            .lower(&mut request, self.claude.permission_mode);
        tracing::info!(task = %task, attempt = ctx.info().attempt, "task begins");
        let (ended, logs_path) = self.run(&ctx, &task, Arc::new(request), &warnings).await?;
        tracing::info!(task = %task, exit_code = ended.exit_code, stopped = ?ended.stopped,
            events = ended.progress.total(), "task ends");
        conclude(&task, ended, logs_path, warnings)
    }
}

/// The request, if it is for this task. Workflows of any type can schedule the activity, with a copied request as input:
/// that [`ClaudeTask`](crate::ClaudeTask) checks the same does not help here.
fn request_of(id: &str, input: TaskInput) -> Result<(TaskId, TaskRequest), String> {
    let task: TaskId = id.parse().map_err(|e: TaskIdError| e.to_string())?;
    if input.task_id() != Some(id) {
        return Err(FOR_ANOTHER_TASK.to_owned());
    }
    let request = input.into_request().map_err(|e| e.to_string())?;
    Ok((task, request))
}

impl ClaudeActivities {
    async fn run(
        &self,
        ctx: &ActivityContext,
        task: &TaskId,
        request: Arc<TaskRequest>,
        warnings: &[String],
    ) -> Result<(Ended, String), ActivityError> {
        let cannot_begin = |what: &str, e: &dyn std::fmt::Display| {
            FailureKind::CannotRun.of_attempt(task.as_str(), format!("{what}: {e}"))
        };
        // All that can fail comes before the session begins: then the task is tried again.
        let redactor = redactor(task, Arc::clone(&request)).await?;
        let (workspace, mut log) = self
            .prepare(task)
            .await
            .map_err(|e| cannot_begin("no workspace", &e))?;
        let ran = if let Err(e) = workspace.fill(&request) {
            Err(cannot_begin("the workspace cannot be filled", &e).into())
        } else {
            let session = self.session(task, &request, warnings, redactor);
            self.begin_and_run(ctx, session, &request, &workspace, &mut log)
                .await
        };
        let path = log.path().to_owned();
        match spawn_blocking(|| workspace.remove()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(task = %task, %error, "the task's workspace stays"),
            Err(error) => tracing::error!(task = %task, %error, "the task's workspace may stay"),
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
    ) -> Result<Ended, ActivityError> {
        let task = session.task.as_str();
        self.begin(ctx, session.task).await?;
        // Temporal forgets on request: heartbeats, attempts and whole runs can be reset.
        match log.begin_session() {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                let problem = format!(
                    "a task of this id began at this worker before, see {}; the task is not repeated. Submit it under \
                     another id",
                    log.path()
                );
                return Err(FailureKind::CannotRun
                    .of_session(task, problem, None)
                    .into());
            }
            Err(e) => {
                let problem = format!("the task's begin cannot be recorded: {e}");
                return Err(FailureKind::CannotRun
                    .of_session(task, problem, None)
                    .into());
            }
        }
        let stop = self.stop(ctx);
        let ran = session
            .run(request, workspace, log, stop, &mut Heartbeats(ctx))
            .await;
        ran.map_err(|e| {
            let failure = FailureKind::CannotRun.of_session(task, e.to_string(), None);
            failure.into()
        })
    }

    /// Leaves word in Temporal that the session begins. From then on no attempt, of whatever worker, begins it again.
    async fn begin(&self, ctx: &ActivityContext, task: &TaskId) -> Result<(), ActivityError> {
        let not_begun = |kind: FailureKind, why: String| {
            let message = format!("the task has not begun: {why}");
            Err(kind.of_attempt(task.as_str(), message).into())
        };
        if self.ending.is_cancelled() {
            return not_begun(
                FailureKind::WorkerShutdown,
                "the worker shuts down".to_owned(),
            );
        }
        let token = ActivityIdentifier::TaskToken(ctx.info().task_token.clone().into());
        let options = RpcOptions::builder().timeout(BEGIN_TIMEOUT).build();
        let told = ctx
            .client()
            .get_async_activity_handle(token)
            .heartbeat(Some(Progress::of(task)), options)
            .await;
        match told {
            Ok(answer) if answer.cancel_requested => {
                Err(ActivityError::Cancelled { details: None })
            }
            Ok(_) => Ok(()),
            Err(error) => not_begun(FailureKind::CannotRun, chain(&error)),
        }
    }

    fn session<'a>(
        &'a self,
        task: &'a TaskId,
        request: &TaskRequest,
        warnings: &'a [String],
        redactor: Arc<Redactor>,
    ) -> Session<'a> {
        Session {
            task,
            redactor,
            config: &self.claude,
            launcher: &self.launcher,
            limits: self.limits,
            grace: self.grace,
            linger: self.linger,
            interval: self.interval,
            timeout: request.timeout(),
            warnings,
        }
    }

    async fn stop(&self, ctx: &ActivityContext) -> Stop {
        tokio::select! {
            () = ctx.cancelled() => Stop::Cancelled,
            () = self.ending.cancelled() => Stop::WorkerShutdown,
        }
    }

    async fn prepare(&self, task: &TaskId) -> std::io::Result<(Workspace, TaskLog)> {
        let (workdir, task) = (self.workdir.clone(), task.clone());
        let made = spawn_blocking(move || {
            workspace::sweep(&workdir)?;
            Ok((
                Workspace::create(&workdir, &task)?,
                TaskLog::create(&workdir, &task)?,
            ))
        });
        made.await.map_err(std::io::Error::other)?
    }
}

/// Made on a thread of its own: for the largest secrets it takes a while.
async fn redactor(
    task: &TaskId,
    request: Arc<TaskRequest>,
) -> Result<Arc<Redactor>, ActivityError> {
    let kind = FailureKind::CannotRun;
    match spawn_blocking(move || Redactor::of(&request)).await {
        Ok(Ok(redactor)) => Ok(Arc::new(redactor)),
        Ok(Err(error)) => Err(kind
            .of_session(task.as_str(), error.to_string(), None)
            .into()),
        Err(error) => Err(kind.of_attempt(task.as_str(), error.to_string()).into()),
    }
}

fn conclude(
    task: &TaskId,
    ended: Ended,
    logs_path: String,
    warnings: Vec<String>,
) -> Result<SessionOutcome, ActivityError> {
    let stopped = ended.stopped;
    let mut outcome = SessionOutcome {
        task_id: task.to_string(),
        exit_code: ended.exit_code,
        result: ended.result,
        progress: ended.progress,
        stderr: ended.stderr,
        logs_path,
        warnings,
    };
    if let (Some(Stop::AfterResult), Some(result)) = (stopped, &outcome.result) {
        // How it would have ended by itself.
        outcome.exit_code = i32::from(result.is_error);
    }
    if !outcome.is_error() {
        outcome.stderr.clear();
    }
    let failure = |kind: FailureKind, message: &str, outcome| {
        let failure = kind.of_session(task.as_str(), message.to_owned(), Some(outcome));
        Err(failure.into())
    };
    match stopped {
        None | Some(Stop::AfterResult) => Ok(outcome),
        Some(Stop::Cancelled) => Err(ActivityError::Cancelled {
            details: Some(outcome.into()),
        }),
        Some(Stop::Timeout { after }) => {
            let minutes = after.as_secs() / 60;
            let unit = if minutes == 1 { "minute" } else { "minutes" };
            failure(
                FailureKind::Timeout,
                &format!("timed out after {minutes} {unit}"),
                outcome,
            )
        }
        Some(Stop::OutputLimit) => {
            let events = outcome.progress.total();
            let message = format!(
                "output limit reached ({events} events); raise the worker's --max-events or --max-output"
            );
            failure(FailureKind::OutputLimit, &message, outcome)
        }
        Some(Stop::WorkerShutdown) => failure(
            FailureKind::WorkerShutdown,
            "the worker shut down while the task ran; submit it again",
            outcome,
        ),
    }
}

/// Progress goes to Temporal as the details of heartbeats, through the codec.
struct Heartbeats<'a>(&'a ActivityContext);

impl Publish for Heartbeats<'_> {
    async fn publish(&mut self, progress: Progress) {
        if let Err(error) = self.0.record_heartbeat(progress).await {
            // The task goes on: without heartbeats the server gives it up by itself.
            tracing::warn!(%error, "a heartbeat cannot be encoded");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_copied_request_is_not_for_this_task() {
        let input = || {
            let request = json!({"prompt": "p", "anthropicApiKey": "k"});
            let request = TaskRequest::from_value(request).unwrap();
            TaskInput::new(request, &"victim".parse().unwrap())
        };
        assert_eq!(request_of("victim", input()).unwrap().0.as_str(), "victim");
        for (id, problem) in [("attack", "not for this task"), ("", "taskId must be")] {
            let refused = request_of(id, input()).unwrap_err();
            assert!(refused.contains(problem), "{refused}");
        }
    }
}

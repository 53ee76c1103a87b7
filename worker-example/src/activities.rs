//! What a task does outside the workflow: for now one activity, which runs the CLI.

use crate::{
    claude::{ClaudeConfig, Ended, OutputLimits, Publish, Session, Stop},
    connect::chain,
    failure::FailureKind,
    log_store::TaskLog,
    outcome::SessionOutcome,
    process::Launcher,
    progress::Progress,
    request::{TaskInput, TaskRequest},
    task_id::TaskId,
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
        // Whatever an earlier attempt left, even if it cannot be read, says that the session had begun.
        if !ctx.heartbeat_details().raw().is_empty() {
            let last = ctx.heartbeat_details().deserialize().ok().flatten();
            return Err(FailureKind::of_lost_session(last.unwrap_or_default()).into());
        }
        let invalid = |e: String| FailureKind::InvalidRequest.of_session(e, None);
        let id = ctx.info().workflow_id.as_deref().unwrap_or_default();
        let task: TaskId = id
            .parse()
            .map_err(|e: crate::TaskIdError| invalid(e.to_string()))?;
        let mut request = input.into_request().map_err(|e| invalid(e.to_string()))?;
        let warnings = self
            .claude
            .caps
            .lower(&mut request, self.claude.permission_mode);
        tracing::info!(task = %task, attempt = ctx.info().attempt, "task begins");
        let (ended, logs_path) = self.run(&ctx, &task, &request, &warnings).await?;
        tracing::info!(task = %task, exit_code = ended.exit_code, stopped = ?ended.stopped,
            events = ended.progress.total(), "task ends");
        conclude(ended, logs_path, warnings)
    }
}

impl ClaudeActivities {
    async fn run(
        &self,
        ctx: &ActivityContext,
        task: &TaskId,
        request: &TaskRequest,
        warnings: &[String],
    ) -> Result<(Ended, String), ActivityError> {
        let cannot = |what: &str, e: &dyn std::fmt::Display| {
            FailureKind::CannotRun.of_session(format!("{what}: {e}"), None)
        };
        let folders = self
            .prepare(task)
            .await
            .map_err(|e| cannot("no workspace", &e))?;
        let (workspace, mut log) = folders;
        let ran = match workspace.fill(request) {
            Err(e) => Err(cannot("the workspace cannot be filled", &e).into()),
            Ok(()) => match self.begin(ctx).await {
                Err(error) => Err(error),
                Ok(()) => self
                    .session(request, warnings)
                    .run(
                        request,
                        &workspace,
                        &mut log,
                        self.stop(ctx),
                        &mut Heartbeats(ctx),
                    )
                    .await
                    .map_err(|e| {
                        FailureKind::CannotRun
                            .of_session(e.to_string(), None)
                            .into()
                    }),
            },
        };
        let path = log.path().to_owned();
        match spawn_blocking(|| workspace.remove()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(task = %task, %error, "the task's workspace stays"),
            Err(error) => tracing::error!(task = %task, %error, "the task's workspace may stay"),
        }
        Ok((ran?, path))
    }

    /// Leaves word in Temporal that the session begins. From then on no attempt, of whatever worker, begins it again.
    async fn begin(&self, ctx: &ActivityContext) -> Result<(), ActivityError> {
        let not_begun = |kind: FailureKind, why: String| {
            let message = format!("the task has not begun: {why}");
            Err(kind.of_attempt(message).into())
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
            .heartbeat(Some(Progress::default()), options)
            .await;
        match told {
            Ok(answer) if answer.cancel_requested => {
                Err(ActivityError::Cancelled { details: None })
            }
            Ok(_) => Ok(()),
            Err(error) => not_begun(FailureKind::CannotRun, chain(&error)),
        }
    }

    fn session<'a>(&'a self, request: &TaskRequest, warnings: &'a [String]) -> Session<'a> {
        Session {
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

fn conclude(
    ended: Ended,
    logs_path: String,
    warnings: Vec<String>,
) -> Result<SessionOutcome, ActivityError> {
    let stopped = ended.stopped;
    let mut outcome = SessionOutcome {
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
        Err(kind.of_session(message.to_owned(), Some(outcome)).into())
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

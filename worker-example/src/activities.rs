//! What a task does outside the workflow: for now one activity, which runs the CLI.

use crate::{
    claude::{ClaudeConfig, Ended, OutputLimits, Publish, Session, Stop},
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
use temporalio_common::error::ApplicationFailure;
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

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
        let invalid = |e: String| FailureKind::InvalidRequest.of_session(e, None);
        let request = input.into_request().map_err(|e| invalid(e.to_string()))?;
        let id = ctx.info().workflow_id.as_deref().unwrap_or_default();
        let task: TaskId = id
            .parse()
            .map_err(|e: crate::TaskIdError| invalid(e.to_string()))?;
        tracing::info!(task = %task, "task begins");
        let (ended, logs_path) = self.run(&ctx, &task, &request).await?;
        tracing::info!(task = %task, exit_code = ended.exit_code, stopped = ?ended.stopped,
            events = ended.progress.total(), "task ends");
        conclude(ended, logs_path)
    }
}

impl ClaudeActivities {
    async fn run(
        &self,
        ctx: &ActivityContext,
        task: &TaskId,
        request: &TaskRequest,
    ) -> Result<(Ended, String), ApplicationFailure> {
        let cannot = |what: &str, e: &dyn std::fmt::Display| {
            FailureKind::CannotRun.of_session(format!("{what}: {e}"), None)
        };
        let folders = self
            .prepare(task)
            .await
            .map_err(|e| cannot("no workspace", &e))?;
        let (workspace, mut log) = folders;
        workspace
            .fill(request)
            .map_err(|e| cannot("the workspace cannot be filled", &e))?;
        let session = Session {
            config: &self.claude,
            launcher: &self.launcher,
            limits: self.limits,
            grace: self.grace,
            interval: self.interval,
            timeout: request.timeout(),
        };
        let stop = async {
            tokio::select! {
                () = ctx.cancelled() => Stop::Cancelled,
                () = self.ending.cancelled() => Stop::WorkerShutdown,
            }
        };
        let ran = session
            .run(request, &workspace, &mut log, stop, &mut Heartbeats(ctx))
            .await;
        let path = log.path().to_owned();
        match spawn_blocking(|| workspace.remove()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(task = %task, %error, "the task's workspace stays"),
            Err(error) => tracing::error!(task = %task, %error, "the task's workspace may stay"),
        }
        Ok((
            ran.map_err(|e| FailureKind::CannotRun.of_session(e.to_string(), None))?,
            path,
        ))
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

fn conclude(ended: Ended, logs_path: String) -> Result<SessionOutcome, ActivityError> {
    let stopped = ended.stopped;
    let mut outcome = SessionOutcome {
        exit_code: ended.exit_code,
        result: ended.result,
        progress: ended.progress,
        stderr: ended.stderr,
        logs_path,
    };
    if !outcome.is_error() {
        outcome.stderr.clear();
    }
    let failure = |kind: FailureKind, message: &str, outcome| {
        Err(kind.of_session(message.to_owned(), Some(outcome)).into())
    };
    match stopped {
        None => Ok(outcome),
        Some(Stop::Cancelled) => Err(ActivityError::Cancelled {
            details: Some(outcome.into()),
        }),
        Some(Stop::Timeout) => failure(FailureKind::Timeout, "the task's time was over", outcome),
        Some(Stop::OutputLimit) => failure(
            FailureKind::OutputLimit,
            "Claude Code printed more than a task may",
            outcome,
        ),
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

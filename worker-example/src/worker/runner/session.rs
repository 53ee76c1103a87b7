//! Runs Claude Code in a prepared workspace, and tells Temporal that it begins, goes on and ends.

use std::{io, sync::Arc, time::Duration};

use temporalio_client::{ActivityIdentifier, RpcOptions};
use temporalio_sdk::activities::{ActivityContext, ActivityError};

use super::{PreparedTask, TaskRunner};
use crate::{
    client::error_chain,
    task::{FailureKind, Progress, SessionOutcome, TaskId},
    worker::{
        claude::{Publish, Session, SessionEnd, StopReason},
        failures,
    },
};

/// How long Temporal may take to store that a session begins.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(20);

impl TaskRunner {
    /// Runs Claude Code in a prepared workspace.
    ///
    /// # Errors
    /// The failure or the cancellation of the activity. Temporal repeats the activity only if the session did not begin.
    pub(in crate::worker) async fn run(
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

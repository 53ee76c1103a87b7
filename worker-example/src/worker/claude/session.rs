//! One session of Claude Code, from its start until none of its processes is left.

mod following;

use std::{future::Future, io, path::Path, sync::Arc, time::Duration};

use thiserror::Error;

use self::following::Following;
use super::{command::ClaudeConfig, redact::Redactor};
use crate::{
    proxy::Proxy,
    sandbox::{DiskProblem, ProgramSpec, Programs, Workspace},
    task::{Event, Progress, ResultEvent, TaskId, TaskRequest},
    worker::log_store::TaskLog,
};

/// How much a session may print.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutputLimits {
    /// The longest line that is kept, in bytes.
    pub(crate) line_bytes: usize,
    /// The most lines.
    pub(crate) lines: u64,
    /// The most bytes.
    pub(crate) bytes: u64,
}

impl Default for OutputLimits {
    fn default() -> Self {
        Self {
            line_bytes: 8 << 20,
            lines: 200_000,
            bytes: 512 << 20,
        }
    }
}

/// Why the worker ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// The task was cancelled.
    Cancelled,
    /// The worker is shutting down.
    WorkerShutdown,
    /// The task reached its time limit.
    Timeout {
        /// The time limit.
        after: Duration,
    },
    /// It printed more than the limits allow.
    OutputLimit,
    /// It may not use more disk.
    DiskLimit {
        /// Why.
        problem: DiskProblem,
    },
    /// It had printed its result and did not exit.
    AfterResult,
}

/// How a session ended.
#[derive(Debug)]
pub(crate) struct SessionEnd {
    /// Claude Code's exit code; 128 + N after signal N.
    pub(crate) exit_code: i32,
    /// Why the worker ended it. `None` if it ended by itself.
    pub(crate) stopped: Option<StopReason>,
    /// The last `result` event.
    pub(crate) result: Option<ResultEvent>,
    /// The newest events and the totals.
    pub(crate) progress: Progress,
    /// The last lines of standard error, without secrets.
    pub(crate) stderr: String,
}

/// The session could not be run, or not be observed until its end.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum RunError {
    /// The supervisor did not start.
    #[error("cannot start Claude Code's supervisor: {0}")]
    Launch(#[source] io::Error),
    /// The log cannot be written. The worker stopped Claude Code.
    #[error("cannot write the task's log: {0}. Check the disk of the worker's --workdir")]
    Log(#[source] io::Error),
    /// The output or the exit code cannot be read. The worker stopped Claude Code.
    #[error("cannot read Claude Code's output: {0}")]
    Output(#[source] io::Error),
}

/// All that a session needs.
#[derive(Clone, Debug)]
pub(crate) struct Session<'a> {
    /// The task.
    pub(crate) task: &'a TaskId,
    /// The operator's settings.
    pub(crate) config: &'a ClaudeConfig,
    /// The folder in which Claude Code runs.
    pub(crate) folder: &'a Path,
    /// Runs programs in the task's sandbox.
    pub(crate) programs: &'a Programs,
    /// The way to the API.
    pub(crate) proxy: &'a Proxy,
    /// The bounds of the output.
    pub(crate) limits: OutputLimits,
    /// How long the CLI may take to clean up.
    pub(crate) grace: Duration,
    /// How long the CLI may stay after its result without beginning another turn.
    pub(crate) linger: Duration,
    /// How often progress is published.
    pub(crate) interval: Duration,
    /// How long the session may last.
    pub(crate) timeout: Duration,
    /// The warnings that the first event tells the caller.
    pub(crate) warnings: &'a [String],
    /// Finds the task's secrets in the output.
    pub(crate) redactor: Arc<Redactor>,
}

/// Publishes the progress of a running session.
pub(crate) trait Publish: Send {
    /// Publishes the progress.
    fn publish(&mut self, progress: Progress) -> impl Future<Output = ()> + Send;
}

impl Session<'_> {
    /// Runs Claude Code for a request, in a workspace that has its files, until it ends or `stop` returns a reason to end it.
    ///
    /// # Errors
    /// When Claude Code cannot be started, or not be observed until its end.
    pub(crate) async fn run(
        &self,
        request: &TaskRequest,
        workspace: &Workspace,
        log: &mut TaskLog,
        stop: impl Future<Output = StopReason> + Send,
        publisher: &mut impl Publish,
    ) -> Result<SessionEnd, RunError> {
        let mut spec = ProgramSpec::new(
            self.config.program.clone(),
            self.config.arguments(request, workspace),
            self.folder.to_owned(),
        );
        spec.environment = self.config.environment(request, self.programs, self.proxy);
        spec.extra_read_only = vec![self.proxy.socket()];
        let input = request.prompt.expose().as_bytes();
        let mut child = self
            .programs
            .launch(spec, input)
            .await
            .map_err(RunError::Launch)?;
        let output = child
            .output()
            .ok_or_else(|| RunError::Launch(io::Error::other("the supervisor has no output")))?;
        let mut following = Following::new(self, child, log);
        if !self.warnings.is_empty() {
            following.keep(&Event::warnings(self.warnings), 0).await;
        }
        let stop = async {
            tokio::select! {
                reason = stop => reason,
                problem = self.programs.disk_exceeded() => StopReason::DiskLimit { problem },
            }
        };
        following.follow(output, stop, publisher).await
    }
}

//! One session of the CLI, from its start until nothing is left of it.

use super::{
    command::ClaudeConfig,
    events::{Event, ResultEvent},
    lines::{LimitedLines, Line},
    redact::Redactor,
};
use crate::{
    deadline::later,
    log_store::TaskLog,
    process::{Launcher, Spec, Supervised},
    progress::{Progress, Window},
    request::TaskRequest,
    task_id::TaskId,
    workspace::Workspace,
};
use std::{collections::VecDeque, future::Future, io, pin::pin, sync::Arc, time::Duration};
use thiserror::Error;
use tokio::{
    process::{ChildStderr, ChildStdout},
    task::spawn_blocking,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

/// How long the supervisor may take beyond the grace time. Then the task fails; the supervisor goes on killing.
const SUPERVISOR_EXTRA: Duration = Duration::from_secs(20);
/// How long output may keep coming after the supervisor ended, which says that no process is left.
const LAST_OUTPUT: Duration = Duration::from_secs(5);
/// Text above this size is searched for secrets on a thread of its own, so that heartbeats go on.
const LONG_LINE: usize = 256 * 1024;
const STDERR_LINE: usize = 1024;
const STDERR_LINES: usize = 20;

/// The bounds of what a session may print.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutputLimits {
    /// The longest line that is kept, in bytes.
    pub(crate) line_bytes: usize,
    /// How many lines there may be.
    pub(crate) lines: u64,
    /// How many bytes there may be.
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

/// Why a session is to end before it ended itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Somebody cancelled the task.
    Cancelled,
    /// The worker shuts down.
    WorkerShutdown,
    /// The task's time is over.
    Timeout {
        /// How long that was.
        after: Duration,
    },
    /// It printed more than it may.
    OutputLimit,
    /// It had its result and did not exit.
    AfterResult,
}

/// A session that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The CLI's exit code; 128 + N after signal N.
    pub(crate) exit_code: i32,
    /// Why it was made to end, if it was.
    pub(crate) stopped: Option<Stop>,
    /// The last `result` event.
    pub(crate) result: Option<ResultEvent>,
    /// The newest events and the totals.
    pub(crate) progress: Progress,
    /// The last lines of standard error, without secrets.
    pub(crate) stderr: String,
}

/// A session could not be run to its end.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum RunError {
    /// The supervisor did not start.
    #[error("the CLI's supervisor cannot be started: {0}")]
    Launch(#[source] io::Error),
    /// The log cannot be written. The CLI was stopped.
    #[error("the task's log cannot be written: {0}")]
    Log(#[source] io::Error),
    /// The output cannot be read, or the end not be awaited. The CLI was stopped.
    #[error("the CLI's output cannot be read: {0}")]
    Output(#[source] io::Error),
}

/// What it takes to run sessions.
#[derive(Clone, Debug)]
pub(crate) struct Session<'a> {
    /// The task.
    pub(crate) task: &'a TaskId,
    /// The operator's configuration.
    pub(crate) config: &'a ClaudeConfig,
    /// How the supervisor is started.
    pub(crate) launcher: &'a Launcher,
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
    /// What the first event tells the caller.
    pub(crate) warnings: &'a [String],
    /// Finds the task's secrets in the output.
    pub(crate) redactor: Arc<Redactor>,
}

/// Takes what a session has to say while it runs.
pub(crate) trait Publish: Send {
    /// Says how far it is.
    fn publish(&mut self, progress: Progress) -> impl Future<Output = ()> + Send;
}

impl Session<'_> {
    /// Runs the CLI for a request, in a workspace that is filled already, until it ends or `stop`
    /// says why it must.
    ///
    /// # Errors
    /// When the CLI could not be started, or not be followed to its end.
    pub(crate) async fn run(
        &self,
        request: &TaskRequest,
        workspace: &Workspace,
        log: &mut TaskLog,
        stop: impl Future<Output = Stop> + Send,
        publisher: &mut impl Publish,
    ) -> Result<Ended, RunError> {
        let mut spec = Spec::new(
            self.config.program.clone(),
            self.config.arguments(request, workspace),
            workspace.root(),
        );
        spec.environment = self.config.environment(request, workspace);
        spec.lock = Some(workspace.lock());
        spec.grace = self.grace;
        let input = request.prompt.expose().as_bytes();
        let mut child = self
            .launcher
            .launch(spec, input)
            .await
            .map_err(RunError::Launch)?;
        let output = child
            .output()
            .ok_or_else(|| RunError::Launch(io::Error::other("no output")))?;
        let mut following = Following::new(self, child, log);
        if !self.warnings.is_empty() {
            following.keep(&Event::warnings(self.warnings), 0).await;
        }
        following.follow(output, stop, publisher).await
    }
}

/// The state of a session while it is followed.
struct Following<'a> {
    session: &'a Session<'a>,
    child: Supervised,
    redactor: Arc<Redactor>,
    log: &'a mut TaskLog,
    window: Window,
    result: Option<ResultEvent>,
    stderr: VecDeque<String>,
    lines: u64,
    bytes: u64,
    stopped: Option<Stop>,
    failed: Option<RunError>,
    /// When a CLI that has given its result must have begun another turn or exited.
    exit_by: Option<Instant>,
    /// The supervisor did not end in time and was woken, in case the task had stopped it.
    woken: bool,
    /// When waiting for the end is given up: set once the CLI is asked to end.
    give_up: Option<Instant>,
}

impl<'a> Following<'a> {
    fn new(session: &'a Session<'a>, child: Supervised, log: &'a mut TaskLog) -> Self {
        Self {
            session,
            child,
            redactor: Arc::clone(&session.redactor),
            log,
            window: Window::of(session.task),
            result: None,
            stderr: VecDeque::new(),
            lines: 0,
            bytes: 0,
            stopped: None,
            failed: None,
            exit_by: None,
            woken: false,
            give_up: None,
        }
    }

    async fn follow(
        &mut self,
        (stdout, stderr): (ChildStdout, ChildStderr),
        stop: impl Future<Output = Stop> + Send,
        publisher: &mut impl Publish,
    ) -> Result<Ended, RunError> {
        let mut stop = pin!(stop);
        let mut output = LimitedLines::new(stdout, self.session.limits.line_bytes);
        let mut errors = LimitedLines::new(stderr, STDERR_LINE);
        let (mut output_open, mut errors_open, mut exit) = (true, true, None);
        let timeout = later(self.session.timeout);
        let mut publishing = interval(self.session.interval);
        publishing.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last_publication = Instant::now();
        while output_open || errors_open || exit.is_none() {
            let running = self.give_up.is_none();
            tokio::select! {
                biased;
                why = &mut stop, if running => self.stop(why),
                () = sleep_until(self.exit_by.unwrap_or(timeout)), if running && self.exit_by.is_some() => {
                    self.stop(Stop::AfterResult);
                }
                () = sleep_until(timeout), if running => self.time_out(),
                () = sleep_until(self.give_up.unwrap_or(timeout)), if !running => {
                    if exit.is_some() || self.woken {
                        break;
                    }
                    self.woken = true;
                    self.child.wake();
                    self.give_up = Some(later(SUPERVISOR_EXTRA));
                }
                _ = publishing.tick() => {
                    last_publication = Instant::now();
                    self.publish(publisher).await;
                }
                line = output.next(), if output_open => {
                    match line {
                        Ok(Some(line)) => self.take(line).await,
                        Ok(None) => output_open = false,
                        Err(error) => { output_open = false; self.fail(RunError::Output(error)); }
                    }
                    if self.window.is_filling() && last_publication.elapsed() >= self.session.interval / 2 {
                        publishing.reset_immediately();
                    }
                }
                line = errors.next(), if errors_open => match line {
                    Ok(Some(line)) => self.take_error(line),
                    Ok(None) | Err(_) => errors_open = false,
                },
                code = self.child.wait(), if exit.is_none() => {
                    exit = Some(code);
                    self.give_up = Some(later(LAST_OUTPUT));
                }
            }
        }
        if let Err(error) = self.log.close().await {
            self.fail(RunError::Log(error));
        }
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let Some(code) = exit else {
            tracing::error!("processes of a task do not end; its supervisor goes on killing them");
            return Err(RunError::Output(io::Error::other(
                "its processes do not end",
            )));
        };
        let exit_code = code.map_err(RunError::Output)?;
        Ok(Ended {
            exit_code,
            stopped: self.stopped,
            result: self.result.take(),
            progress: self.window.publish(Instant::now().into_std()),
            stderr: self.stderr.make_contiguous().join("\n"),
        })
    }

    async fn publish(&mut self, publisher: &mut impl Publish) {
        publisher
            .publish(self.window.publish(Instant::now().into_std()))
            .await;
        if let Err(error) = self.log.flush().await {
            self.fail(RunError::Log(error));
        }
    }

    fn stop(&mut self, why: Stop) {
        if self.give_up.is_none() {
            self.stopped = Some(why);
            self.end();
        }
    }

    fn fail(&mut self, error: RunError) {
        self.failed.get_or_insert(error);
        if self.give_up.is_none() {
            self.end();
        }
    }

    fn end(&mut self) {
        self.child.stop();
        self.give_up = Some(later(self.session.grace.saturating_add(SUPERVISOR_EXTRA)));
    }

    /// The time is over. A CLI that has given its result and only waits for something it started has done its task.
    fn time_out(&mut self) {
        let after = self.session.timeout;
        self.stop(match self.exit_by {
            Some(_) => Stop::AfterResult,
            None => Stop::Timeout { after },
        });
    }

    async fn take(&mut self, line: Line) {
        let limits = self.session.limits;
        let (event, bytes) = match line {
            Line::Text(line) => {
                let bytes = line.len() as u64;
                match self.redacted(line).await {
                    Ok(line) => (Event::parse(&line), bytes),
                    Err(error) => return self.fail(RunError::Output(error)),
                }
            }
            Line::TooLong { bytes } => (Event::left_out("unknown", bytes, false), bytes),
        };
        self.lines += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        if self.lines > limits.lines || self.bytes > limits.bytes {
            // What comes after is read, so that the CLI can end, and forgotten.
            self.stop(Stop::OutputLimit);
            return;
        }
        self.keep(&event, bytes).await;
        self.exit_by = match (&event.result, self.exit_by) {
            (Some(_), _) => Some(later(self.session.linger)),
            (None, Some(_)) if !event.begins_turn => Some(later(self.session.linger)),
            (None, _) => None,
        };
        // What a CLI says that was told to end changes nothing.
        if event.result.is_some() && self.stopped.is_none() {
            self.result = event.result;
        }
    }

    async fn redacted(&self, line: String) -> io::Result<String> {
        if line.len() <= LONG_LINE {
            return Ok(self.redactor.redact(&line).into_owned());
        }
        let redactor = Arc::clone(&self.redactor);
        spawn_blocking(move || redactor.redact(&line).into_owned())
            .await
            .map_err(io::Error::other)
    }

    async fn keep(&mut self, event: &Event, bytes: u64) {
        self.window.push(event, bytes);
        if let Err(error) = self.log.append(&event.json).await {
            self.fail(RunError::Log(error));
        }
    }

    fn take_error(&mut self, line: Line) {
        let line = match line {
            Line::Text(line) => self.redactor.redact(&line).into_owned(),
            Line::TooLong { bytes } => format!("[a line of {bytes} bytes]"),
        };
        if self.stderr.len() == STDERR_LINES {
            self.stderr.pop_front();
        }
        self.stderr.push_back(line);
    }
}

//! One session of the CLI, from its start until nothing is left of it.

use super::{
    command::ClaudeConfig,
    events::{Event, ResultEvent},
    lines::{LimitedLines, Line},
    redact::Redactor,
};
use crate::{
    log_store::TaskLog,
    process::{Launcher, Spec, Supervised},
    progress::{Progress, Window},
    request::TaskRequest,
    workspace::Workspace,
};
use std::{collections::VecDeque, future::Future, io, pin::pin, time::Duration};
use thiserror::Error;
use tokio::{
    process::{ChildStderr, ChildStdout},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

/// How long the supervisor may take beyond the grace time before it is killed itself.
const SUPERVISOR_EXTRA: Duration = Duration::from_secs(20);
/// How long output may keep coming after the supervisor ended, which says that nobody is left.
const LINGER: Duration = Duration::from_secs(5);
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
    Timeout,
    /// It printed more than it may.
    OutputLimit,
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
    /// The operator's configuration.
    pub(crate) config: &'a ClaudeConfig,
    /// How the supervisor is started.
    pub(crate) launcher: &'a Launcher,
    /// The bounds of the output.
    pub(crate) limits: OutputLimits,
    /// How long the CLI may take to clean up.
    pub(crate) grace: Duration,
    /// How often progress is published.
    pub(crate) interval: Duration,
    /// How long the session may last.
    pub(crate) timeout: Duration,
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
        let mut following = Following::new(self, child, Redactor::of(request), log);
        following.follow(output, stop, publisher).await
    }
}

/// The state of a session while it is followed.
struct Following<'a> {
    session: &'a Session<'a>,
    child: Supervised,
    redactor: Redactor,
    log: &'a mut TaskLog,
    window: Window,
    result: Option<ResultEvent>,
    stderr: VecDeque<String>,
    lines: u64,
    bytes: u64,
    stopped: Option<Stop>,
    failed: Option<RunError>,
    /// When waiting for the end is given up: set once the CLI is asked to end.
    give_up: Option<Instant>,
}

impl<'a> Following<'a> {
    fn new(
        session: &'a Session<'a>,
        child: Supervised,
        redactor: Redactor,
        log: &'a mut TaskLog,
    ) -> Self {
        Self {
            session,
            child,
            redactor,
            log,
            window: Window::default(),
            result: None,
            stderr: VecDeque::new(),
            lines: 0,
            bytes: 0,
            stopped: None,
            failed: None,
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
        let timeout = Instant::now() + self.session.timeout;
        let mut ticks = interval(self.session.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut published = Instant::now();
        while output_open || errors_open || exit.is_none() {
            let running = self.give_up.is_none();
            tokio::select! {
                biased;
                why = &mut stop, if running => self.stop(why),
                () = sleep_until(timeout), if running => self.stop(Stop::Timeout),
                () = sleep_until(self.give_up.unwrap_or(timeout)), if !running => {
                    self.child.kill_group();
                    break;
                }
                _ = ticks.tick() => {
                    published = Instant::now();
                    self.publish(publisher).await;
                }
                line = output.next(), if output_open => {
                    match line {
                        Ok(Some(line)) => self.take(line).await,
                        Ok(None) => output_open = false,
                        Err(error) => { output_open = false; self.fail(RunError::Output(error)); }
                    }
                    if self.window.is_filling() && published.elapsed() >= self.session.interval / 2 {
                        ticks.reset_immediately();
                    }
                }
                line = errors.next(), if errors_open => match line {
                    Ok(Some(line)) => self.take_error(line),
                    Ok(None) | Err(_) => errors_open = false,
                },
                code = self.child.wait(), if exit.is_none() => {
                    exit = Some(code);
                    self.give_up = Some(Instant::now() + LINGER);
                }
            }
        }
        if let Err(error) = self.log.close().await {
            self.fail(RunError::Log(error));
        }
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let exit_code = match exit {
            Some(code) => code.map_err(RunError::Output)?,
            None => return Err(RunError::Output(io::Error::other("the CLI does not end"))),
        };
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
        self.give_up = Some(Instant::now() + self.session.grace + SUPERVISOR_EXTRA);
    }

    async fn take(&mut self, line: Line) {
        let limits = self.session.limits;
        let (event, bytes) = match line {
            Line::Text(line) => (
                Event::parse(&self.redactor.redact(&line)),
                line.len() as u64,
            ),
            Line::TooLong { bytes } => (Event::left_out("unknown", bytes, false), bytes),
        };
        self.lines += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        if self.lines > limits.lines || self.bytes > limits.bytes {
            // What comes after is read, so that the CLI can end, and forgotten.
            self.stop(Stop::OutputLimit);
            return;
        }
        self.window.push(&event, bytes);
        if let Err(error) = self.log.append(&event.json).await {
            self.fail(RunError::Log(error));
        }
        if event.result.is_some() {
            self.result = event.result;
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

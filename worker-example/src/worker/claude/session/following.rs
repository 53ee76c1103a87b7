//! Follows a session: its output, its limits, and its end.

use std::{collections::VecDeque, future::Future, io, pin::pin, sync::Arc, time::Duration};

use temporal_kms_codec_service::deadline::later;
use tokio::{
    process::{ChildStderr, ChildStdout},
    task::spawn_blocking,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use super::{
    super::{
        lines::{LimitedLines, Line},
        redact::Redactor,
    },
    Publish, RunError, Session, SessionEnd, StopReason,
};
use crate::{
    sandbox::Supervised,
    task::{Event, ResultEvent},
    worker::{event_window::EventWindow, log_store::TaskLog},
};

/// How much longer than the grace time the supervisor may take. After this the task fails, while the supervisor continues to
/// kill processes.
const SUPERVISOR_EXTRA: Duration = Duration::from_secs(20);
/// How long output may still arrive after the supervisor has ended, which means that no process is left.
const LAST_OUTPUT: Duration = Duration::from_secs(5);
/// A longer line is searched for secrets on a thread of its own, so that heartbeats continue.
const LONG_LINE: usize = 256 * 1024;
/// The longest line of standard error that is kept, in bytes.
const STDERR_LINE: usize = 1024;
/// How many lines of standard error are kept.
const STDERR_LINES: usize = 20;

/// The state of a session while it is followed.
pub(super) struct Following<'a> {
    session: &'a Session<'a>,
    child: Supervised,
    redactor: Arc<Redactor>,
    log: &'a mut TaskLog,
    window: EventWindow,
    result: Option<ResultEvent>,
    stderr: VecDeque<String>,
    lines: u64,
    bytes: u64,
    stopped: Option<StopReason>,
    failed: Option<RunError>,
    /// When Claude Code must have exited or begun another turn, once it has printed its result.
    exit_by: Option<Instant>,
    /// Whether SIGCONT was sent to a supervisor that did not end in time. The task may have stopped it.
    woken: bool,
    /// When to stop waiting for the end. Set when Claude Code is asked to end.
    give_up: Option<Instant>,
}

impl<'a> Following<'a> {
    pub(super) fn new(session: &'a Session<'a>, child: Supervised, log: &'a mut TaskLog) -> Self {
        Self {
            session,
            child,
            redactor: Arc::clone(&session.redactor),
            log,
            window: EventWindow::new(session.task),
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

    pub(super) async fn follow(
        &mut self,
        (stdout, stderr): (ChildStdout, ChildStderr),
        stop: impl Future<Output = StopReason> + Send,
        publisher: &mut impl Publish,
    ) -> Result<SessionEnd, RunError> {
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
                reason = &mut stop, if running => self.stop(reason),
                () = sleep_until(self.exit_by.unwrap_or(timeout)), if running && self.exit_by.is_some() => {
                    self.stop(StopReason::AfterResult);
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
        let closed = {
            // A store may take long for the last events. Heartbeats go on.
            let mut closing = pin!(self.log.close());
            loop {
                tokio::select! {
                    closed = &mut closing => break closed,
                    _ = publishing.tick() => {
                        publisher.publish(self.window.publish(Instant::now())).await;
                    }
                }
            }
        };
        if let Err(error) = closed {
            self.fail(RunError::Log(error));
        }
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let Some(code) = exit else {
            tracing::error!(
                "processes of a task do not end; its supervisor continues to kill them"
            );
            return Err(RunError::Output(io::Error::other(
                "its processes do not end",
            )));
        };
        let exit_code = code.map_err(RunError::Output)?;
        Ok(SessionEnd {
            exit_code,
            stopped: self.stopped,
            result: self.result.take(),
            progress: self.window.publish(Instant::now()),
            stderr: self.stderr.make_contiguous().join("\n"),
        })
    }

    async fn publish(&mut self, publisher: &mut impl Publish) {
        publisher.publish(self.window.publish(Instant::now())).await;
        if let Err(error) = self.log.flush().await {
            self.fail(RunError::Log(error));
        }
    }

    fn stop(&mut self, reason: StopReason) {
        if self.give_up.is_none() {
            self.stopped = Some(reason);
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

    /// The time limit is reached. If Claude Code has printed its result and only waits for a background command, the task is done.
    fn time_out(&mut self) {
        let after = self.session.timeout;
        self.stop(match self.exit_by {
            Some(_) => StopReason::AfterResult,
            None => StopReason::Timeout { after },
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
            // Later lines are read and dropped, so that Claude Code can write them and end.
            self.stop(StopReason::OutputLimit);
            return;
        }
        self.keep(&event, bytes).await;
        self.exit_by = match (&event.result, self.exit_by) {
            (Some(_), _) => Some(later(self.session.linger)),
            (None, Some(_)) if !event.begins_turn => Some(later(self.session.linger)),
            (None, _) => None,
        };
        // A result that Claude Code prints after it was asked to end does not count.
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
            .map_err(io::Error::from)
    }

    pub(super) async fn keep(&mut self, event: &Event, bytes: u64) {
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

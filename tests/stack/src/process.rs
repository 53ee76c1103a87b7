use std::{
    collections::VecDeque,
    io::{self, BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use nix::sys::signal::{Signal, kill, killpg};

use crate::{
    StackError,
    children::{Seen, descendants, kill_survivors},
    registry,
};

const GRACE: Duration = Duration::from_secs(8);
const DRAIN: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(20);
/// A worker that logs everything prints about 20,000 lines for two tasks.
const KEPT_LINES: usize = 100_000;
const SHOWN_LINES: usize = 30;

/// A running program whose output is kept, and which ends with this value.
///
/// It runs in a process group of its own, so a Ctrl-C in the terminal reaches only its owner.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: Arc<Log>,
    /// The lines that [`wait_for_next_line`](Self::wait_for_next_line) has seen.
    seen: usize,
}

impl Process {
    /// Starts `command` without standard input and with both outputs captured.
    ///
    /// # Errors
    /// The program cannot be executed.
    pub fn spawn(name: &str, mut command: Command) -> Result<Self, StackError> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = registry::register(|| command.spawn().map(|child| (child.id(), child)))
            .map_err(|source| StackError::Spawn {
                name: name.to_owned(),
                program: PathBuf::from(command.get_program()),
                source,
            })?;
        let log = Arc::new(Log::default());
        collect(&log, child.stdout.take());
        collect(&log, child.stderr.take());
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
            seen: 0,
        })
    }

    /// Waits until `pick` takes a line of the output, from the first line on, and returns what it
    /// made of it.
    ///
    /// # Errors
    /// The program ends before, or `limit` passes.
    pub fn wait_for_line<T>(
        &mut self,
        limit: Duration,
        pick: impl FnMut(&str) -> Option<T>,
    ) -> Result<T, StackError> {
        self.search(limit, &mut 0, pick)
    }

    /// As [`wait_for_line`](Self::wait_for_line), but from the line on that follows the last one found here.
    ///
    /// # Errors
    /// The program ends before, or `limit` passes.
    pub fn wait_for_next_line<T>(
        &mut self,
        limit: Duration,
        pick: impl FnMut(&str) -> Option<T>,
    ) -> Result<T, StackError> {
        let mut seen = self.seen;
        let found = self.search(limit, &mut seen, pick);
        self.seen = seen;
        found
    }

    fn search<T>(
        &mut self,
        limit: Duration,
        next: &mut usize,
        mut pick: impl FnMut(&str) -> Option<T>,
    ) -> Result<T, StackError> {
        let started = Instant::now();
        loop {
            let ended = self.child.try_wait().ok().flatten();
            if ended.is_some() {
                self.log.wait_for_end();
            }
            if let Some(found) = self.log.search(next, &mut pick) {
                return Ok(found);
            }
            if let Some(status) = ended {
                return Err(self.ended(status));
            }
            if started.elapsed() >= limit {
                return Err(StackError::NotReady {
                    name: self.name.clone(),
                    waited: limit,
                    output: self.log.tail(),
                });
            }
            self.log.wait(*next);
        }
    }

    /// Hands every line to `each` as it comes, until the program ends by itself.
    ///
    /// # Errors
    /// It still runs after `limit`, or the system cannot tell.
    pub fn follow(
        &mut self,
        limit: Duration,
        mut each: impl FnMut(&str),
    ) -> Result<ExitStatus, StackError> {
        let deadline = Instant::now() + limit;
        let mut next = 0;
        let mut show = |line: &str| -> Option<()> {
            each(line);
            None
        };
        while self.is_running() && Instant::now() < deadline {
            self.log.search(&mut next, &mut show);
            self.log.wait(next);
        }
        let status = self.wait(deadline.saturating_duration_since(Instant::now()))?;
        self.log.search(&mut next, &mut show);
        Ok(status)
    }

    /// Waits until the program ends by itself.
    ///
    /// # Errors
    /// It still runs after `limit`, or the system cannot tell.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus, StackError> {
        self.wait_until(Instant::now() + limit)
            .map_err(StackError::system("cannot wait for a process"))?
            .ok_or_else(|| StackError::NotReady {
                name: self.name.clone(),
                waited: limit,
                output: self.log.tail(),
            })
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The ids of all processes below it.
    #[must_use]
    pub fn descendants(&self) -> Vec<i32> {
        let below = descendants(self.child.id());
        below.into_iter().map(Seen::pid).collect()
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Everything it has printed so far, both outputs.
    #[must_use]
    pub fn output(&self) -> String {
        self.log.text(usize::MAX)
    }

    /// The last line that it has printed and that is not empty.
    #[must_use]
    pub fn last_line(&self) -> Option<String> {
        let lines = self.log.lock();
        let said = |line: &&String| !line.trim().is_empty();
        lines.kept.iter().rev().find(said).cloned()
    }

    /// The last lines that it has printed, enough to see why it failed.
    #[must_use]
    pub fn last_output(&self) -> String {
        self.log.tail()
    }

    /// Asks the program to end, then ends it and all its descendants.
    pub fn stop(&mut self) {
        if self.is_running() {
            let family = descendants(self.child.id());
            let process = registry::pid(self.child.id());
            let _ = kill(process, Signal::SIGTERM);
            let _ = self.wait_until(Instant::now() + GRACE);
            let _ = killpg(process, Signal::SIGKILL);
            let _ = self.child.wait();
            kill_survivors(&family);
        }
        registry::forget(self.child.id());
    }

    fn wait_until(&mut self, deadline: Instant) -> io::Result<Option<ExitStatus>> {
        loop {
            if let Some(status) = self.child.try_wait()? {
                self.log.wait_for_end();
                return Ok(Some(status));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            thread::sleep(POLL);
        }
    }

    fn ended(&self, status: ExitStatus) -> StackError {
        StackError::Ended {
            name: self.name.clone(),
            status,
            output: self.log.tail(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The last lines of a program, counted from its first one.
#[derive(Debug, Default)]
struct Log {
    lines: Mutex<Lines>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    kept: VecDeque<String>,
    dropped: usize,
    /// How many of the program's outputs are still read.
    open: usize,
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: String) {
        let mut lines = self.lock();
        if lines.kept.len() == KEPT_LINES {
            lines.kept.pop_front();
            lines.dropped += 1;
        }
        lines.kept.push_back(line);
        self.changed.notify_all();
    }

    fn search<T>(&self, next: &mut usize, pick: &mut impl FnMut(&str) -> Option<T>) -> Option<T> {
        let lines = self.lock();
        let from = next.saturating_sub(lines.dropped);
        let mut rest = lines.kept.iter().enumerate().skip(from);
        let found = rest.find_map(|(index, line)| Some((index, pick(line)?)));
        *next = match &found {
            Some((index, _)) => lines.dropped + index + 1,
            None => lines.dropped + lines.kept.len(),
        };
        found.map(|(_, found)| found)
    }

    /// Waits a moment, less when a line after `seen` has come.
    fn wait(&self, seen: usize) {
        let lines = self.lock();
        if lines.dropped + lines.kept.len() == seen {
            drop(self.changed.wait_timeout(lines, POLL));
        }
    }

    /// Waits until everything is read that a program has printed before it ended. A descendant may
    /// keep its outputs open, so not forever.
    fn wait_for_end(&self) {
        let lines = self.lock();
        drop(
            self.changed
                .wait_timeout_while(lines, DRAIN, |lines| lines.open > 0),
        );
    }

    fn tail(&self) -> String {
        self.text(SHOWN_LINES)
    }

    fn text(&self, last: usize) -> String {
        let lines = self.lock();
        let skipped = lines.kept.len().saturating_sub(last);
        let shown: Vec<&str> = lines
            .kept
            .iter()
            .skip(skipped)
            .map(String::as_str)
            .collect();
        shown.join("\n")
    }
}

fn collect(log: &Arc<Log>, output: Option<impl Read + Send + 'static>) {
    let Some(output) = output else { return };
    let log = Arc::clone(log);
    log.lock().open += 1;
    thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            log.push(String::from_utf8_lossy(&line).trim_end().to_owned());
        }
        log.lock().open -= 1;
        log.changed.notify_all();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::spawn("a script", command).unwrap()
    }

    fn number(line: &str) -> Option<u32> {
        line.parse().ok()
    }

    fn exists(pid: u32) -> bool {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !state.is_empty() && !state.contains(") Z ")
    }

    #[test]
    fn a_dropped_process_takes_a_child_in_another_session_along() {
        let mut process = shell("setsid sleep 600 & echo $!; wait");
        let child = process
            .wait_for_line(Duration::from_secs(10), number)
            .unwrap();
        assert!(exists(child));
        drop(process);
        let deadline = Instant::now() + Duration::from_secs(10);
        while exists(child) && Instant::now() < deadline {
            thread::sleep(POLL);
        }
        assert!(!exists(child));
    }

    #[test]
    fn a_process_that_ends_early_says_what_it_printed() {
        let mut process = shell("echo no such key >&2; exit 3");
        let error = process
            .wait_for_line(Duration::from_secs(10), number)
            .unwrap_err();
        assert!(matches!(error, StackError::Ended { status, .. } if status.code() == Some(3)));
    }

    #[test]
    fn every_line_is_followed_to_the_end() {
        let mut process = shell("for i in 1 2 3; do echo $i; done; echo 4 >&2; exit 5");
        let mut seen = Vec::new();
        let limit = Duration::from_secs(10);
        let status = process.follow(limit, |line| seen.push(line.to_owned()));
        assert_eq!(status.unwrap().code(), Some(5));
        seen.sort();
        assert_eq!(seen, ["1", "2", "3", "4"]);
    }

    #[test]
    fn the_next_line_comes_after_the_last_one_that_was_found() {
        let mut process = shell("echo 1; echo 2; exec sleep 600");
        let limit = Duration::from_secs(10);
        for expected in [1, 2] {
            assert_eq!(process.wait_for_next_line(limit, number).unwrap(), expected);
        }
    }

    #[test]
    fn a_line_printed_before_the_wait_is_found() {
        let mut process = shell("echo 17; exec sleep 600");
        let limit = Duration::from_secs(10);
        assert_eq!(process.wait_for_line(limit, number).unwrap(), 17);
        assert_eq!(process.wait_for_line(limit, number).unwrap(), 17);
    }
}

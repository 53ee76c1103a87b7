//! Writes the lines of a server's log to stderr.
//!
//! A line for each request would be a call of the system for each request. So lines of routine that follow each other within
//! [`PAUSE`] are gathered, and written together at its end. A line after a pause, a warning and an error are written at once,
//! behind all lines before them. What is gathered is lost only when the process is killed.

use std::{
    io::{self, Write},
    mem,
    sync::LazyLock,
    thread,
    time::Duration,
};

use parking_lot::{Condvar, Mutex};
use tokio::time::Instant;
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// How long lines are gathered.
const PAUSE: Duration = Duration::from_millis(20);
/// Gathered bytes that are written without a pause.
const MOST_GATHERED: usize = 32 << 10;

static LINES: LazyLock<Lines> = LazyLock::new(Lines::default);

/// Where the log's lines go to.
#[derive(Clone, Copy, Debug)]
pub(super) struct ToStderr;

impl MakeWriter<'_> for ToStderr {
    type Writer = LineWriter;

    fn make_writer(&self) -> LineWriter {
        LineWriter { is_routine: false }
    }

    fn make_writer_for(&self, event: &Metadata<'_>) -> LineWriter {
        // A level is greater when it is more detailed.
        LineWriter {
            is_routine: *event.level() >= Level::INFO,
        }
    }
}

/// Writes what is gathered: before the process ends.
pub(super) fn flush() {
    let _ = LINES.state.lock().flush(&mut io::stderr());
}

/// Writes one line.
#[derive(Debug)]
pub(super) struct LineWriter {
    is_routine: bool,
}

impl Write for LineWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let must_wake = LINES.add(line, self.is_routine, &mut io::stderr())?;
        if must_wake {
            LINES.wake();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Default)]
struct Lines {
    state: Mutex<State>,
    gathered: Condvar,
}

#[derive(Default)]
struct State {
    gathered: Vec<u8>,
    written: Option<Instant>,
    has_thread: bool,
}

impl Lines {
    /// Adds a line. Returns whether a later call must write it.
    fn add(&self, line: &[u8], is_routine: bool, out: &mut impl Write) -> io::Result<bool> {
        let mut state = self.state.lock();
        let now = Instant::now();
        let is_first = state.gathered.is_empty();
        let paused = |written: Instant| now.duration_since(written) >= PAUSE;
        if !is_routine || (is_first && state.written.is_none_or(paused)) {
            // A warning is tried even when the lines before it could not be written.
            let flushed = state.flush(out);
            state.written = Some(now);
            return out.write_all(line).and(flushed).map(|()| false);
        }
        state.gathered.extend_from_slice(line);
        if state.gathered.len() >= MOST_GATHERED {
            state.written = Some(now);
            return state.flush(out).map(|()| false);
        }
        Ok(is_first)
    }

    /// Has the thread write what is gathered after a pause.
    fn wake(&'static self) {
        let mut state = self.state.lock();
        if !state.has_thread {
            let thread = thread::Builder::new().name("log".to_owned());
            state.has_thread = thread.spawn(|| self.run()).is_ok();
        }
        if state.has_thread {
            self.gathered.notify_one();
        } else {
            let _ = state.flush(&mut io::stderr());
        }
    }

    fn run(&self) {
        loop {
            let mut state = self.state.lock();
            while state.gathered.is_empty() {
                self.gathered.wait(&mut state);
            }
            drop(state);
            thread::sleep(PAUSE);
            let mut state = self.state.lock();
            state.written = Some(Instant::now());
            let _ = state.flush(&mut io::stderr());
        }
    }
}

impl State {
    fn flush(&mut self, out: &mut impl Write) -> io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let written = out.write_all(&self.gathered);
        self.gathered.clear();
        if self.gathered.capacity() > 2 * MOST_GATHERED {
            drop(mem::take(&mut self.gathered));
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn routine_is_gathered_and_nothing_changes_its_place() {
        let (lines, mut out) = (Lines::default(), Vec::new());
        let mut add = |line: &str, is_routine| {
            let must_wake = lines.add(line.as_bytes(), is_routine, &mut out).unwrap();
            (must_wake, String::from_utf8(out.clone()).unwrap())
        };
        assert_eq!(add("1", true), (false, "1".to_owned()), "after a pause");
        assert_eq!(add("2", true), (true, "1".to_owned()));
        assert_eq!(add("3", true), (false, "1".to_owned()), "woken already");
        assert_eq!(add("!", false), (false, "123!".to_owned()));
        assert_eq!(add("4", true), (true, "123!".to_owned()));
        tokio::time::advance(PAUSE).await;
        let much = "x".repeat(MOST_GATHERED);
        assert_eq!(add(&much, true), (false, format!("123!4{much}")));
        tokio::time::advance(PAUSE).await;
        assert_eq!(add("5", true), (false, format!("123!4{much}5")));
    }
}

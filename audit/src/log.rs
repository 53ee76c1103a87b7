//! The log as a program uses it.

mod receipt;

use std::{
    fmt,
    path::PathBuf,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

pub use self::receipt::Receipt;
use self::receipt::{State, Waiting};
use crate::{
    anchor::{Anchoring, Anchors},
    calls::Calls,
    chain::{Head, Position},
    destination::Destination,
    error::AuditError,
    event::Event,
    folder::{self, Folder, names},
    numbers::{AuditStats, Numbers, Problem},
    options::{AuditOptions, OnFailure, Target},
    queue::{Entry, NotTaken, Queue, Reply, WakeOnDrop},
    stream::{Stdout, Stream},
    syslog::Syslog,
    writer::Writer,
};

/// For calls of keys in the background, when the log ends.
const LAST_CALLS: Duration = Duration::from_secs(2);

/// An audit log that this process writes. It writes `start` first.
///
/// Dropping it writes what waits; [`close`](Self::close) also writes `stop`.
pub struct AuditLog {
    queue: Arc<Queue>,
    numbers: Arc<Numbers>,
    heads: watch::Receiver<Position>,
    on_failure: OnFailure,
    patience: Duration,
    thread: Mutex<Option<JoinHandle<()>>>,
    anchors: Mutex<Option<Anchors>>,
    started: Mutex<Option<Receipt>>,
    calls: Calls,
    folder: Option<PathBuf>,
}

/// The files of a log in a folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditFiles {
    /// How many there are.
    pub count: usize,
    /// How many bytes they have together.
    pub bytes: u64,
}

impl AuditLog {
    /// Opens a log, and writes that this process starts.
    ///
    /// # Errors
    /// When the log cannot be used: its folder is missing or not private, another process writes it, or its end is not that
    /// of an audit log.
    pub fn open(options: &AuditOptions) -> Result<Arc<Self>, AuditError> {
        let program = options.program.as_str();
        match &options.target {
            Target::Folder(path) => Self::over(Folder::open(path, options)?, options),
            Target::Stdout => Self::over(Stream::new(Stdout, program), options),
            Target::Syslog(address) => {
                let syslog = Syslog::new(address.clone(), program);
                Self::over(Stream::new(syslog, program), options)
            }
        }
    }

    /// Whether such a log could be opened, as far as this shows without writing: its folder is private and writable, and so
    /// are its files. Another process may be writing it. Standard output and syslog are not looked at.
    ///
    /// # Errors
    /// Why not.
    pub fn check_target(target: &Target) -> Result<(), AuditError> {
        match target {
            Target::Folder(path) => folder::check(path),
            Target::Stdout | Target::Syslog(_) => Ok(()),
        }
    }

    pub(crate) fn over(
        destination: impl Destination + 'static,
        options: &AuditOptions,
    ) -> Result<Arc<Self>, AuditError> {
        let (queue, numbers) = (Arc::<Queue>::default(), Arc::<Numbers>::default());
        let (writer, heads) = Writer::new(destination, queue.clone(), numbers.clone())?;
        let thread = thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || writer.run())
            .map_err(AuditError::Thread)?;
        let log = Self {
            queue,
            numbers,
            heads,
            on_failure: options.on_failure,
            patience: options.patience,
            thread: Mutex::new(Some(thread)),
            anchors: Mutex::default(),
            started: Mutex::default(),
            calls: Calls::default(),
            folder: match &options.target {
                Target::Folder(path) => Some(path.clone()),
                Target::Stdout | Target::Syslog(_) => None,
            },
        };
        let (reply, written) = oneshot::channel();
        let start = Event::new("start")
            .text("program", &options.program)
            .maybe("user", options.user.as_deref())
            .number("process", std::process::id().into());
        let started = log.push(start, Some(reply));
        log.queue.wake();
        *log.started.lock() = Some(log.receipt(started, written));
        Ok(Arc::new(log))
    }

    /// Waits until the line `start` is written: a program that changes something once tries the log before.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn started(&self) -> Result<(), AuditError> {
        let started = self.started.lock().take();
        match started {
            Some(started) => started.written().await,
            None => self.check(),
        }
    }

    /// Adds a line. It is in the log's order when this returns, and the receipt waits until it is written.
    pub fn record(&self, event: impl Into<Event>) -> Receipt {
        if self.on_failure == OnFailure::Continue {
            self.note(event.into());
            return Receipt(State::Known(Ok(())));
        }
        let (reply, written) = oneshot::channel();
        let pushed = self.push(event.into(), Some(reply));
        self.receipt(pushed, written)
    }

    /// Adds a line that nobody waits for.
    pub fn note(&self, event: Event) {
        // What happened is counted and logged by the writer.
        let _ = self.push(event, None);
        self.queue.wake();
    }

    /// As [`record`](Self::record), for a line that may be left out, such as one that anybody can cause. `None` when it is
    /// not taken because much waits for the disk. The log does not count as failing then.
    pub fn offer(&self, event: impl Into<Event>) -> Option<Receipt> {
        let body = event.into().into_body();
        let (reply, written) = oneshot::channel();
        let waits = self.on_failure != OnFailure::Continue;
        let reply = waits.then_some(reply);
        let chain = None;
        self.queue.offer(Entry { body, reply, chain }).ok()?;
        if waits {
            return Some(self.receipt(Ok(()), written));
        }
        self.queue.wake();
        Some(Receipt(State::Known(Ok(()))))
    }

    /// Whether work may begin: refuses while the log cannot be written, unless the log's options say to go on.
    ///
    /// # Errors
    /// Why the log cannot be written.
    pub fn check(&self) -> Result<(), AuditError> {
        if self.on_failure == OnFailure::Continue || !self.numbers.are_failing() {
            return Ok(());
        }
        let problem = self.problem().unwrap_or_default();
        Err(AuditError::Unwritten(problem))
    }

    /// Why the log cannot be written at the moment, for readiness and alarms. `None` when all is well.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        self.numbers.problem()
    }

    /// What was done so far.
    #[must_use]
    pub fn stats(&self) -> AuditStats {
        self.numbers.stats()
    }

    /// The last line that was written.
    #[must_use]
    pub fn head(&self) -> Head {
        self.heads.borrow().head
    }

    /// The files of the log. `None` when it is not in a folder. It reads the folder, which can block.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn files(&self) -> Result<Option<AuditFiles>, AuditError> {
        let Some(folder) = &self.folder else {
            return Ok(None);
        };
        let names = names::list(folder)?;
        // A file may be moved away meanwhile.
        let sizes = names.iter().filter_map(|name| {
            let file = std::fs::metadata(folder.join(name.to_string()));
            file.ok().map(|file| file.len())
        });
        Ok(Some(AuditFiles {
            bytes: sizes.sum(),
            count: names.len(),
        }))
    }

    /// Anchors the log from now on. It needs a Tokio runtime, which runs a task for it.
    pub fn anchor(&self, anchoring: Anchoring) {
        let (queue, numbers) = (self.queue.clone(), self.numbers.clone());
        let anchors = Anchors::start(anchoring, queue, numbers, self.heads.clone());
        *self.anchors.lock() = Some(anchors);
    }

    /// Writes that the process stops, makes the last anchor, and waits until everything is written.
    ///
    /// Calls of keys that go on in the background have a short time to end. From now on no other call begins, unless the
    /// log's options say to go on without a record. `stop` is the last line but for anchors. It counts the calls that had
    /// not ended (`open_calls`).
    ///
    /// # Errors
    /// When the last lines cannot be written.
    pub async fn close(&self) -> Result<(), AuditError> {
        let open = self.calls.finish(LAST_CALLS).await;
        let (reply, written) = oneshot::channel();
        let stop = Event::new("stop");
        let stop = match open {
            0 => stop,
            open => stop.number("open_calls", open),
        };
        self.push(stop, Some(reply))?;
        let stopped = self.receipt(Ok(()), written).written().await;
        let anchors = self.anchors.lock().take();
        if let Some(anchors) = anchors {
            anchors.finish().await;
        }
        self.queue.close();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
        stopped
    }

    /// A call of a key begins.
    ///
    /// # Errors
    /// When it must not, because no line can be written about it.
    pub(crate) fn begin_call(&self) -> Result<(), AuditError> {
        self.check()?;
        match self.on_failure {
            OnFailure::Continue => self.calls.begin_anyway(),
            _ if !self.calls.begin() => return Err(AuditError::Closed),
            _ => {}
        }
        Ok(())
    }

    /// It has ended. The line about it is in the log's order already.
    pub(crate) fn end_call(&self) {
        self.calls.end();
    }

    /// The receipt of a line that was added. Its last step wakes the writer.
    fn receipt(
        &self,
        pushed: Result<(), AuditError>,
        written: oneshot::Receiver<Result<(), Arc<str>>>,
    ) -> Receipt {
        Receipt(match pushed {
            Ok(()) => State::Waiting(Waiting {
                written,
                patience: self.patience,
                wake: WakeOnDrop(Arc::clone(&self.queue)),
            }),
            Err(error) => State::Known(Err(error)),
        })
    }

    /// Adds a line. The caller must wake the writer.
    fn push(&self, event: Event, reply: Option<Reply>) -> Result<(), AuditError> {
        let body = event.into_body();
        self.queue
            .push(Entry {
                body,
                reply,
                chain: None,
            })
            .map_err(|why| match why {
                NotTaken::Closed => AuditError::Closed,
                NotTaken::Full => {
                    let reason = "too many lines wait for the disk";
                    self.numbers.failed(1, Problem(reason.into()));
                    AuditError::Unwritten(reason.to_owned())
                }
            })
    }
}

impl Drop for AuditLog {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditLog")
            .field("head", &self.head())
            .field("on_failure", &self.on_failure)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

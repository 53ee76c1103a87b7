//! The thread that writes. It takes everything that waits, and writes it with one call of the system.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{sync::watch, time::Instant};

use crate::{
    chain::{Head, Position},
    destination::{Damage, Destination, Resume},
    error::AuditError,
    event::Event,
    numbers::{Numbers, Problem},
    queue::{Entry, Queue},
};

/// What is written at once. A killed process leaves at most one such piece unfinished.
const BATCH: usize = 1 << 20;
/// How often a log that cannot be written is tried.
const RETRY: Duration = Duration::from_secs(1);
/// How often a log that still cannot be written is an error in the server's own log.
const REMIND: Duration = Duration::from_mins(1);

pub(crate) struct Writer<D> {
    destination: D,
    queue: Arc<Queue>,
    numbers: Arc<Numbers>,
    heads: watch::Sender<Position>,
    head: Head,
    /// The number of the chain that it belongs to.
    chain: u64,
    /// Begins the next write: what has to be said of the end that was found.
    preface: Vec<Event>,
    needs_line_feed: bool,
    /// Whether the destination must say where the chain goes on.
    must_resume: bool,
    failure: Option<Failure>,
    /// How many missing lines the log has told of.
    told: u64,
    lines: Vec<u8>,
}

/// Lines that could not be written.
struct Failure {
    since: SystemTime,
    reminded: Instant,
    reason: Arc<str>,
}

impl<D: Destination> Writer<D> {
    /// Finds the end of the log.
    ///
    /// # Errors
    /// When the log cannot be used.
    pub(crate) fn new(
        mut destination: D,
        queue: Arc<Queue>,
        numbers: Arc<Numbers>,
    ) -> Result<(Self, watch::Receiver<Position>), AuditError> {
        let resume = destination.resume()?;
        let (chain, head) = (0, resume.head);
        let (heads, seen) = watch::channel(Position { chain, head });
        let mut writer = Self {
            destination,
            queue,
            numbers,
            heads,
            head,
            chain,
            preface: Vec::new(),
            needs_line_feed: false,
            must_resume: false,
            failure: None,
            told: 0,
            lines: Vec::new(),
        };
        writer.resumed(&resume);
        Ok((writer, seen))
    }

    /// Writes until the queue is closed.
    pub(crate) fn run(mut self) {
        loop {
            let limit = self.failure.as_ref().map(|_| RETRY);
            let (entries, is_closed) = self.queue.take(limit);
            let mut rest = entries.into_iter().peekable();
            // An empty batch is tried as well, so that a log that works again is noticed.
            if rest.peek().is_none() && self.failure.is_some() {
                self.batch(Vec::new());
            }
            while rest.peek().is_some() {
                let mut size = 0;
                let mut batch = Vec::new();
                while size < BATCH
                    && let Some(entry) = rest.next()
                {
                    size += entry.body.len() + 128;
                    batch.push(entry);
                }
                self.batch(batch);
            }
            if is_closed {
                return;
            }
        }
    }

    fn batch(&mut self, batch: Vec<Entry>) {
        let written = self.write(&batch);
        let count = batch.len() as u64;
        let reply = match written {
            Ok(()) => {
                self.numbers.written(count);
                Ok(())
            }
            Err(error) => Err(self.failed(&error, count)),
        };
        for entry in batch {
            if let Some(waiting) = entry.reply {
                // Nobody waits any more when the request was given up.
                let _ = waiting.send(reply.clone());
            }
        }
    }

    fn write(&mut self, batch: &[Entry]) -> Result<(), AuditError> {
        if self.must_resume {
            let resume = self.destination.resume()?;
            self.must_resume = false;
            self.head = resume.head;
            self.chain += u64::from(resume.is_new_chain);
            self.resumed(&resume);
        }
        let mut preface = self.preface.clone();
        let missing = self.numbers.missing();
        if missing > self.told {
            preface.push(self.gap(missing - self.told));
        }
        // A torn line belongs to its file, so its end is written there.
        if !self.needs_line_feed {
            let len = batch.iter().map(|entry| entry.body.len() + 128).sum();
            if let Some(head) = self.destination.begin_if_due(self.head, len)? {
                self.head = head;
                self.publish();
            }
        }
        self.lines.clear();
        if self.needs_line_feed {
            self.lines.push(b'\n');
        }
        let mut head = self.head;
        for event in preface {
            head = head.extend(&event.into_body(), &mut self.lines);
        }
        let chain = self.chain;
        let fits = |entry: &&Entry| entry.chain.is_none_or(|about| about == chain);
        for entry in batch.iter().filter(fits) {
            head = head.extend(&entry.body, &mut self.lines);
        }
        if head == self.head {
            return Ok(());
        }
        self.destination
            .write(&self.lines, head)
            .map_err(|failed| {
                self.must_resume = failed.is_unknown;
                AuditError::Unwritten(failed.error.to_string())
            })?;
        self.head = head;
        self.preface.clear();
        self.needs_line_feed = false;
        self.told = missing;
        self.works();
        self.publish();
        Ok(())
    }

    fn publish(&self) {
        let (chain, head) = (self.chain, self.head);
        self.heads.send_replace(Position { chain, head });
    }

    /// Says how many lines are missing, and since when.
    fn gap(&self, missing: u64) -> Event {
        let event = Event::new("gap").number("missing", missing);
        match &self.failure {
            Some(Failure { since, reason, .. }) => {
                let since = humantime::format_rfc3339_micros(*since).to_string();
                event.text("since", &since).text("error", reason)
            }
            None => event,
        }
    }

    fn resumed(&mut self, resume: &Resume) {
        self.needs_line_feed = resume.needs_line_feed;
        self.preface.clear();
        if let Some(damage) = &resume.damage {
            damage.log();
            self.preface.push(damage.event());
        }
    }

    fn failed(&mut self, error: &AuditError, lost: u64) -> Arc<str> {
        let reason: Arc<str> = match error {
            AuditError::Unwritten(reason) => reason.as_str().into(),
            error => error.to_string().into(),
        };
        self.numbers.failed(lost, Problem(reason.clone()));
        let failure = self.failure.get_or_insert_with(|| {
            tracing::error!(error = %reason, "the audit log cannot be written");
            Failure {
                since: SystemTime::now(),
                reminded: Instant::now(),
                reason: reason.clone(),
            }
        });
        failure.reason = reason.clone();
        if failure.reminded.elapsed() >= REMIND {
            failure.reminded = Instant::now();
            tracing::error!(error = %reason, missing = self.numbers.missing(), "the audit log still cannot be written");
        }
        reason
    }

    fn works(&mut self) {
        if self.numbers.are_failing() {
            self.numbers.works();
        }
        if self.failure.take().is_some() {
            tracing::warn!(
                missing = self.told,
                "the audit log can be written again; it says how many lines are missing"
            );
        }
    }
}

impl Damage {
    fn event(&self) -> Event {
        let mut event = Event::new("recovered").text("last", &self.last.hash.to_string());
        if let Some(torn) = &self.torn {
            event = event
                .number("torn_lines", torn.lines)
                .number("torn_bytes", torn.bytes)
                .text("torn_sha256", &torn.hash.to_string());
        }
        if self.lost > 0 {
            event = event.number("lost", self.lost);
        }
        if self.is_changed {
            event = event.text("changed", "the last line is not the one that was written");
        }
        event
    }

    fn log(&self) {
        if self.lost > 0 || self.is_changed {
            tracing::error!(
                line = self.last.seq,
                lost = self.lost,
                changed = self.is_changed,
                "the end of the audit log is not as it was left; the log says so, and `audit verify` reports it"
            );
        } else {
            tracing::warn!(
                line = self.last.seq,
                "the audit log ended within a line, as a killed process leaves it; the log says so"
            );
        }
    }
}

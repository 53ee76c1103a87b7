//! Anchors: signed statements of which line had which hash at which time. Nobody without the signing key can rewrite what
//! is before an anchor.

mod statement;

use std::{sync::Arc, time::Duration};

use temporal_kms::Signer;
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
    time::{self, timeout},
};

pub(crate) use self::statement::Anchor;
use self::statement::sign;
use crate::{
    chain::Position,
    event::Event,
    numbers::Numbers,
    queue::{Entry, Queue},
};

/// How long the last anchor may take when the process stops.
const LAST: Duration = Duration::from_secs(5);

/// When a log is anchored, and with which key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Anchoring {
    /// The key. Without one, the head of the log is written to the server's own log only.
    pub signer: Option<Arc<dyn Signer>>,
    /// After so many lines. Default: 1,000.
    pub lines: u64,
    /// After so long, if there are new lines, and after a failure. Default: 5 minutes.
    pub every: Duration,
}

impl Anchoring {
    /// Anchors that are signed by `signer`.
    #[must_use]
    pub fn with(signer: Option<Arc<dyn Signer>>) -> Self {
        Self {
            signer,
            lines: 1000,
            every: Duration::from_mins(5),
        }
    }

    /// Sets after how many lines and after how long.
    #[must_use]
    pub fn after(mut self, lines: u64, every: Duration) -> Self {
        (self.lines, self.every) = (lines, every);
        self
    }
}

/// The task that anchors a log.
pub(crate) struct Anchors {
    task: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

impl Anchors {
    pub(crate) fn start(
        anchoring: Anchoring,
        queue: Arc<Queue>,
        numbers: Arc<Numbers>,
        heads: watch::Receiver<Position>,
    ) -> Self {
        let (stop, stopped) = oneshot::channel();
        let worker = Worker {
            anchoring,
            queue,
            numbers,
            heads,
            anchored: 0,
            chain: 0,
            has_failed: false,
        };
        Self {
            task: tokio::spawn(worker.run(stopped)),
            stop,
        }
    }

    /// Makes the last anchor.
    pub(crate) async fn finish(self) {
        let _ = self.stop.send(());
        if timeout(LAST, self.task).await.is_err() {
            tracing::warn!("the last anchor of the audit log was not signed in time");
        }
    }
}

struct Worker {
    anchoring: Anchoring,
    queue: Arc<Queue>,
    numbers: Arc<Numbers>,
    heads: watch::Receiver<Position>,
    /// The number of the last line that is anchored.
    anchored: u64,
    /// Its chain.
    chain: u64,
    /// Whether the last attempt failed.
    has_failed: bool,
}

impl Worker {
    async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        loop {
            tokio::select! {
                due = self.due() => match due {
                    Some(()) => self.anchor().await,
                    None => return,
                },
                _ = &mut stopped => {
                    self.anchor().await;
                    return;
                }
            }
        }
    }

    /// Waits for the lines, or for the time if there are new lines. The anchor's own line is not a new one. After a failure,
    /// the time alone counts. `None` when the log has ended.
    async fn due(&mut self) -> Option<()> {
        let (anchored, chain) = (self.anchored, self.chain);
        let new = |least: u64| {
            move |now: &Position| {
                let anchored = if now.chain == chain { anchored } else { 0 };
                now.head.seq > anchored.saturating_add(least)
            }
        };
        self.heads.wait_for(new(1)).await.ok()?;
        if self.has_failed {
            time::sleep(self.anchoring.every).await;
        } else {
            let enough = self.heads.wait_for(new(self.anchoring.lines));
            let _ = timeout(self.anchoring.every, enough).await;
        }
        // A log that cannot be written has no place for an anchor.
        while self.numbers.are_failing() {
            time::sleep(Duration::from_secs(1)).await;
        }
        Some(())
    }

    async fn anchor(&mut self) {
        let Position { chain, head } = *self.heads.borrow_and_update();
        // Off this machine, this line shows what was written, also without a key.
        tracing::info!(line = head.seq, hash = %head.hash, "head of the audit log");
        let Some(signer) = &self.anchoring.signer else {
            (self.chain, self.anchored) = (chain, head.seq);
            return;
        };
        let answer = sign(&**signer, head).await;
        let is_signed = answer.is_ok();
        let (event, about) = match answer {
            Ok(event) => (event, Some(chain)),
            Err(error) => {
                tracing::error!(%error, "the audit log cannot be anchored; the next attempt follows");
                let event = Event::new("anchor_failed")
                    .text("key", &signer.uri().to_string())
                    .text("error", error.kind().as_str());
                (event, None)
            }
        };
        self.numbers.anchored(is_signed);
        let is_written = self.write(event, about).await;
        // In the meantime, the log may have begun a new chain, and left the anchor out.
        let fits = self.heads.borrow().chain == chain;
        let is_anchored = is_signed && is_written;
        if is_anchored {
            self.numbers.anchor_written(head.seq);
        }
        // A new chain does not wait for the anchor of the one before.
        self.has_failed = fits && !is_anchored;
        if is_anchored && fits {
            (self.chain, self.anchored) = (chain, head.seq);
        }
    }

    async fn write(&self, event: Event, chain: Option<u64>) -> bool {
        let body = event.into_body();
        let (reply, written) = oneshot::channel();
        let reply = Some(reply);
        let entry = Entry { body, reply, chain };
        let is_pushed = self.queue.push(entry).is_ok();
        self.queue.wake();
        is_pushed && matches!(written.await, Ok(Ok(())))
    }
}

#[cfg(test)]
mod tests;

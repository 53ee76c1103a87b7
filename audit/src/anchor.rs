//! Anchors: signed statements of which line had which hash at which time. Nobody without the signing key can rewrite what
//! is before an anchor.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use temporal_kms::{ProviderError, PublicKey, Signature, SignatureAlgorithm, Signer};
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
    time::{self, timeout},
};

use crate::{
    chain::{Head, Position},
    event::Event,
    line::Line,
    numbers::Numbers,
    queue::{Entry, Queue},
};

/// How the signed statement begins.
const STATEMENT: &str = "temporal-kms-audit anchor v1";
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

async fn sign(signer: &dyn Signer, head: Head) -> Result<Event, ProviderError> {
    let now = humantime::format_rfc3339_micros(SystemTime::now());
    let statement = format!("{STATEMENT} {head} {now}");
    let signature = signer.sign(statement.as_bytes()).await?;
    Ok(Event::new("anchor")
        .text("statement", &statement)
        .text("key", &signature.key.to_string())
        .maybe("version", signature.version.as_deref())
        .text("algorithm", signature.algorithm.as_str())
        .text("signature", &STANDARD.encode(&signature.bytes)))
}

/// An anchor that was read.
pub(crate) struct Anchor<'l> {
    statement: &'l str,
    /// The line and its hash.
    pub(crate) head: Head,
    /// When it was signed.
    pub(crate) time: &'l str,
    signature: Option<Signature>,
}

impl<'l> Anchor<'l> {
    /// Reads the anchor in a line. `None` when its statement is not one.
    pub(crate) fn read(line: &'l Line) -> Option<Self> {
        let statement = line.text("statement")?;
        let rest = statement.strip_prefix(STATEMENT)?.strip_prefix(' ')?;
        let (head, time) = rest.split_once(' ')?;
        humantime::parse_rfc3339(time).ok()?;
        Some(Self {
            statement,
            head: head.parse().ok()?,
            time,
            signature: signature(line),
        })
    }

    /// Whether one of the keys signed it.
    pub(crate) fn is_signed_by(&self, keys: &[PublicKey]) -> bool {
        let Some(signature) = &self.signature else {
            return false;
        };
        let statement = self.statement.as_bytes();
        keys.iter().any(|key| key.verify(statement, signature))
    }
}

fn signature(line: &Line) -> Option<Signature> {
    let key = line.text("key")?.parse().ok()?;
    let algorithm: SignatureAlgorithm = line.text("algorithm")?.parse().ok()?;
    let bytes = STANDARD.decode(line.text("signature")?).ok()?;
    Some(Signature::new(key, algorithm, bytes))
}

#[cfg(test)]
mod tests {
    use std::{io, mem};

    use async_trait::async_trait;
    use parking_lot::Mutex;
    use temporal_kms::{KeyUri, ProviderErrorKind};
    use temporal_kms_local::LocalKeyring;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::{
        error::AuditError,
        log::AuditLog,
        options::{AuditOptions, Target},
        stream::{Outlet, Stream},
        verify::Verifier,
    };

    /// A key that fails when it is told to, and waits for permits.
    #[derive(Debug)]
    struct Key {
        inner: Arc<dyn Signer>,
        fails: Mutex<bool>,
        permits: Semaphore,
        was_asked: Mutex<bool>,
    }

    #[async_trait]
    impl Signer for Key {
        fn uri(&self) -> &KeyUri {
            self.inner.uri()
        }

        async fn sign(&self, data: &[u8]) -> Result<Signature, ProviderError> {
            if mem::take(&mut *self.fails.lock()) {
                return Err(ProviderError::new(
                    ProviderErrorKind::Unavailable,
                    self.uri(),
                ));
            }
            *self.was_asked.lock() = true;
            self.permits.acquire().await.unwrap().forget();
            self.inner.sign(data).await
        }

        async fn public_key(&self, version: Option<&str>) -> Result<PublicKey, ProviderError> {
            self.inner.public_key(version).await
        }
    }

    fn key(permits: usize, fails: bool) -> (Arc<Key>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let keyring = LocalKeyring::open(folder.path().join("keys"));
        let key = keyring.signing_key_or_create("audit", SignatureAlgorithm::Ed25519);
        let key = Key {
            inner: key.unwrap(),
            fails: Mutex::new(fails),
            permits: Semaphore::new(permits),
            was_asked: Mutex::default(),
        };
        (Arc::new(key), folder)
    }

    /// Keeps what it is sent, and fails when it is told to.
    #[derive(Clone, Default)]
    struct Collector(Arc<Mutex<(Vec<u8>, bool)>>);

    impl Outlet for Collector {
        fn send(&mut self, lines: &[u8]) -> io::Result<()> {
            let (saved, fails) = &mut *self.0.lock();
            if mem::take(fails) {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            saved.extend_from_slice(lines);
            Ok(())
        }

        fn failed(&self, error: io::Error) -> AuditError {
            AuditError::Thread(error)
        }
    }

    impl Collector {
        fn log(&self) -> Arc<AuditLog> {
            let options = AuditOptions::to(Target::Stdout);
            AuditLog::over(Stream::new(self.clone(), "test"), &options).unwrap()
        }

        /// Loses a line, so that a new chain begins.
        async fn fail(&self, log: &AuditLog) {
            self.0.lock().1 = true;
            log.record(Event::new("lost")).written().await.unwrap_err();
            record(log, 1).await;
        }

        async fn verify(&self, key: &Key) {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("saved");
            std::fs::write(&file, &self.0.lock().0).unwrap();
            let verifier = Verifier::new().with_public_key(key.public_key(None).await.unwrap());
            let report = verifier.with_max_unanchored(100).verify(&[file]).unwrap();
            assert!(report.ok, "{report:?}");
        }
    }

    async fn record(log: &AuditLog, count: usize) {
        for _ in 0..count {
            log.record(Event::new("request")).written().await.unwrap();
        }
    }

    async fn until(what: impl Fn() -> bool) {
        let reached = async {
            while !what() {
                time::sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(Duration::from_secs(30), reached).await.unwrap();
    }

    #[tokio::test]
    async fn a_failed_signature_is_tried_again_while_nothing_happens() {
        let collector = Collector::default();
        let (log, (key, _folder)) = (collector.log(), key(100, true));
        let every = Duration::from_millis(20);
        log.anchor(Anchoring::with(Some(key.clone())).after(5, every));
        record(&log, 6).await;
        until(|| log.stats().anchors == 1).await;
        let stats = log.stats();
        assert_eq!((stats.anchor_failures, stats.anchors_fail), (1, false));
        log.close().await.unwrap();
        collector.verify(&key).await;
    }

    #[tokio::test]
    async fn a_new_chain_is_anchored_before_it_is_as_long_as_the_one_before() {
        let collector = Collector::default();
        let (log, (key, _folder)) = (collector.log(), key(100, false));
        let every = Duration::from_hours(1);
        log.anchor(Anchoring::with(Some(key.clone())).after(10, every));
        record(&log, 11).await;
        until(|| log.stats().anchors == 1).await;
        record(&log, 30).await;
        until(|| log.stats().anchors >= 2).await;
        collector.fail(&log).await;
        let before = log.stats().anchors;
        record(&log, 12).await;
        until(|| log.stats().anchors > before).await;
        log.close().await.unwrap();
        collector.verify(&key).await;
    }

    #[tokio::test]
    async fn an_anchor_of_the_chain_before_is_left_out() {
        let collector = Collector::default();
        let (log, (key, _folder)) = (collector.log(), key(0, false));
        let every = Duration::from_hours(1);
        log.anchor(Anchoring::with(Some(key.clone())).after(10, every));
        record(&log, 20).await;
        // The signature waits while the chain ends.
        until(|| *key.was_asked.lock()).await;
        collector.fail(&log).await;
        key.permits.add_permits(100);
        until(|| log.stats().anchors == 1).await;
        log.close().await.unwrap();
        collector.verify(&key).await;
        let saved = String::from_utf8(collector.0.lock().0.clone()).unwrap();
        let end = saved.lines().last().unwrap();
        assert!(end.contains("\"event\":\"anchor\""), "{end}");
    }
}

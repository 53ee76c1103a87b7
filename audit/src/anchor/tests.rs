//! When anchors are made, and made again after a failure and in a new chain.

use std::{io, mem};

use async_trait::async_trait;
use parking_lot::Mutex;
use temporal_kms::{
    KeyUri, ProviderError, ProviderErrorKind, PublicKey, Signature, SignatureAlgorithm,
};
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

//! Lines are written together, and without a caller that waits.

use std::io;

use tokio::{task::JoinSet, time::timeout};

use super::*;
use crate::stream::Outlet;

/// Keeps each piece that it is sent.
#[derive(Clone, Default)]
struct Pieces(Arc<Mutex<Vec<String>>>);

impl Outlet for Pieces {
    fn send(&mut self, lines: &[u8]) -> io::Result<()> {
        let lines = String::from_utf8_lossy(lines).into_owned();
        self.0.lock().push(lines);
        Ok(())
    }

    fn failed(&self, error: io::Error) -> AuditError {
        AuditError::Thread(error)
    }
}

/// A log whose first line is written, and the pieces that it sends.
async fn started_log() -> (Arc<AuditLog>, Pieces) {
    let pieces = Pieces::default();
    let options = AuditOptions::to(Target::Stdout);
    let log = AuditLog::over(Stream::new(pieces.clone(), "test"), &options).unwrap();
    log.started().await.unwrap();
    (log, pieces)
}

#[tokio::test]
async fn requests_that_run_at_the_same_time_are_written_together() {
    let (log, pieces) = started_log().await;
    pieces.0.lock().clear();
    let mut requests = JoinSet::new();
    for _ in 0..30 {
        let log = Arc::clone(&log);
        requests.spawn(async move { log.record(Event::new("request")).written().await });
    }
    let written = requests.join_all().await;
    assert!(written.iter().all(Result::is_ok));
    let pieces: Vec<usize> = pieces
        .0
        .lock()
        .iter()
        .map(|piece| piece.lines().count())
        .collect();
    assert_eq!(pieces.iter().sum::<usize>(), 30);
    // The writer takes lines without being woken when it was still busy with the first one.
    assert!(pieces.len() <= 2, "{pieces:?}");
}

#[tokio::test]
async fn a_line_is_written_when_nobody_waits_for_it() {
    let (log, _) = started_log().await;
    let mut heads = log.heads.clone();
    for seen in 3..9 {
        match seen % 3 {
            0 => drop(log.record(Event::new("given_up"))),
            1 => drop(log.offer(Event::new("offered"))),
            _ => log.note(Event::new("note")),
        }
        let is_there = |position: &Position| position.head.seq == seen;
        let seen = timeout(Duration::from_mins(1), heads.wait_for(is_there)).await;
        seen.expect("nothing wakes the writer").unwrap();
    }
}

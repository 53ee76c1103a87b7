//! Logs to work on.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempDir;
use temporal_kms_audit::{AuditLog, AuditOptions, Event, Report, Verifier};

/// Three small files, closed as a process leaves them that stops.
pub(crate) async fn log_of_files() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    let log = AuditLog::open(&options).unwrap();
    for number in 0..12 {
        log.record(event(number)).written().await.unwrap();
    }
    log.close().await.unwrap();
    assert_eq!(files(folder.path()).len(), 3);
    folder
}

pub(crate) fn options(folder: &Path) -> AuditOptions {
    AuditOptions::folder(folder).with_max_file(1300, Duration::from_hours(24))
}

pub(crate) fn event(number: u64) -> Event {
    Event::new("request")
        .text("request", &format!("{number:08x}"))
        .text("subject", "alice")
}

pub(crate) fn verify(folder: &Path) -> Report {
    Verifier::new().verify(&[folder.to_owned()]).unwrap()
}

/// The files of a log, from the oldest to the newest.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "jsonl")
        })
        .collect();
    files.sort();
    files
}

/// The lines of a file, with their line feeds.
pub(crate) fn lines(file: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(file).unwrap();
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    lines.map(<[u8]>::to_vec).collect()
}

/// All lines as JSON.
pub(crate) fn values(folder: &Path) -> Vec<serde_json::Value> {
    let files = files(folder);
    let lines = files.iter().flat_map(|file| lines(file));
    lines
        .filter_map(|line| serde_json::from_slice(&line).ok())
        .collect()
}

//! A log survives `kill -9` at any point. Lines that were confirmed are there.

use std::{
    fs::{self, OpenOptions},
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use temporal_kms_audit::{AuditError, AuditLog, FindingKind};

use crate::support::{event, files, lines, log_of_files, options, values, verify};

/// The folder that the child writes to. Only the child has this variable.
const FOLDER: &str = "AUDIT_TEST_FOLDER";

/// This test program again, as the process that is killed.
pub(crate) fn child(test: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped());
    command
}

pub(crate) fn folder_of_child() -> Option<std::path::PathBuf> {
    std::env::var_os(FOLDER).map(Into::into)
}

/// Writes until it is killed. As a test of its own it does nothing.
#[tokio::test]
async fn writes_until_it_is_killed() {
    let Some(folder) = folder_of_child() else {
        return;
    };
    let log = AuditLog::open(&options(&folder)).unwrap();
    for number in 0_u64.. {
        // Others wait for nothing, so that batches are larger than a line.
        for _ in 0..5 {
            log.note(event(u64::MAX));
        }
        log.record(event(number)).written().await.unwrap();
        println!("confirmed {number:08x}");
    }
}

#[test]
fn killed_processes_leave_a_log_with_every_confirmed_line() {
    let folder = tempfile::tempdir().unwrap();
    for round in 1..=12 {
        let mut child = child("crash::writes_until_it_is_killed", folder.path())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let confirmed = output.lines().map(Result::unwrap).filter_map(|line| {
            let (_, number) = line.split_once("confirmed ")?;
            Some(number.to_owned())
        });
        let last = confirmed.take(round * 3).last().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let report = verify(folder.path());
        assert!(report.ok, "round {round}: {report:?}");
        let lines = values(folder.path());
        let start = lines.iter().rposition(|line| line["event"] == "start");
        let mut own = lines[start.unwrap()..].iter();
        assert!(own.any(|line| line["request"] == last), "{last} is missing");
    }
    let lines = values(folder.path());
    let starts = lines.iter().filter(|line| line["event"] == "start").count();
    assert_eq!(starts, 12, "one chain goes through all processes");
}

/// Adds the beginning of a line, as a process leaves it that is killed within a write.
fn tear(folder: &Path, piece: &[u8]) {
    let file = files(folder).pop().unwrap();
    let mut file = OpenOptions::new().append(true).open(file).unwrap();
    file.write_all(piece).unwrap();
}

async fn start_and_stop(folder: &Path) {
    let log = AuditLog::open(&options(folder)).unwrap();
    log.close().await.unwrap();
}

#[tokio::test]
async fn a_torn_line_is_kept_and_marked_wherever_it_was_cut() {
    let folder = log_of_files().await;
    let next = lines(&files(folder.path())[0]).pop().unwrap();
    let most = next.len() - 2;
    let lengths: Vec<usize> = (1..most).step_by(9).chain([most]).collect();
    for length in lengths.iter().copied() {
        tear(folder.path(), &next[..length]);
        let before = verify(folder.path());
        assert!(before.ok, "{before:?}");
        assert!(
            before.notes.last().unwrap().contains("not whole"),
            "{before:?}"
        );
        start_and_stop(folder.path()).await;
        let report = verify(folder.path());
        assert!(report.ok, "cut at {length}: {report:?}");
        assert!(
            report.notes.last().unwrap().contains("killed"),
            "{report:?}"
        );
    }
    let recovered = values(folder.path());
    let recovered = recovered.iter().filter(|line| line["event"] == "recovered");
    assert_eq!(recovered.count(), lengths.len());
}

/// The line is whole, and only its line feed is missing.
#[tokio::test]
async fn a_missing_line_feed_is_added() {
    let folder = log_of_files().await;
    let file = files(folder.path()).pop().unwrap();
    let content = fs::read(&file).unwrap();
    fs::write(&file, &content[..content.len() - 1]).unwrap();
    start_and_stop(folder.path()).await;
    let report = verify(folder.path());
    assert!(report.ok && report.notes.is_empty(), "{report:?}");
    assert!(fs::read(&file).unwrap().starts_with(&content));
}

#[tokio::test]
async fn several_kills_in_a_row_are_survived() {
    let folder = log_of_files().await;
    // The first left half a line. Those after it were killed while they marked it.
    for piece in ["{\"seq\":7,\"pr", "\n{\"seq\":8,", "\n", "{\"se"] {
        tear(folder.path(), piece.as_bytes());
    }
    start_and_stop(folder.path()).await;
    let report = verify(folder.path());
    assert!(report.ok, "{report:?}");
    let lines = values(folder.path());
    let recovered = lines.iter().find(|line| line["event"] == "recovered");
    assert_eq!(recovered.unwrap()["torn_lines"], 3);
}

/// Zeros at the end, as some file systems leave them after a power cut.
#[tokio::test]
async fn zeros_at_the_end_are_a_torn_line() {
    let folder = log_of_files().await;
    tear(folder.path(), &[0; 4096]);
    start_and_stop(folder.path()).await;
    let report = verify(folder.path());
    assert!(report.ok, "{report:?}");
}

#[tokio::test]
async fn a_torn_line_hides_no_edit() {
    let folder = log_of_files().await;
    tear(folder.path(), b"{\"seq\":99,\"prev\":\"00");
    start_and_stop(folder.path()).await;
    assert!(verify(folder.path()).ok);
    let file = files(folder.path()).pop().unwrap();
    let content = fs::read(&file).unwrap();
    // Any byte of the torn line, of the lines around it, and its removal.
    for position in 0..content.len() {
        let mut changed = content.clone();
        changed[position] ^= 1;
        fs::write(&file, changed).unwrap();
        assert!(!verify(folder.path()).ok, "byte {position}");
    }
    for removed in 0..lines_of(&content).len() {
        let mut lines = lines_of(&content);
        lines.remove(removed);
        fs::write(&file, lines.concat()).unwrap();
        assert!(!verify(folder.path()).ok, "line {removed}");
    }
}

fn lines_of(content: &[u8]) -> Vec<Vec<u8>> {
    let lines = content.split_inclusive(|byte| *byte == b'\n');
    lines.map(<[u8]>::to_vec).collect()
}

/// An attacker cuts off lines and leaves half a line, so that it looks like a kill.
#[tokio::test]
async fn lines_that_were_cut_off_are_not_taken_for_a_torn_line() {
    let folder = log_of_files().await;
    let file = files(folder.path()).pop().unwrap();
    let content = fs::read(&file).unwrap();
    fs::write(&file, &content[..content.len() - 20]).unwrap();
    assert_eq!(
        verify(folder.path()).finding.unwrap().kind,
        FindingKind::CutOff
    );
    // The next start says so, and goes on.
    start_and_stop(folder.path()).await;
    let finding = verify(folder.path()).finding.unwrap();
    assert_eq!(finding.kind, FindingKind::CutOff, "{finding:?}");
    assert!(
        finding.message.contains("1 lines were missing"),
        "{finding:?}"
    );
}

#[tokio::test]
async fn a_changed_last_line_and_removed_files_are_noted_at_the_next_start() {
    let folder = log_of_files().await;
    let file = files(folder.path()).pop().unwrap();
    let content = fs::read_to_string(&file).unwrap();
    let stop = content.rfind("\"stop\"").unwrap();
    let mut changed = content.clone();
    changed.replace_range(stop..stop + 6, "\"stpp\"");
    fs::write(&file, changed).unwrap();
    start_and_stop(folder.path()).await;
    let finding = verify(folder.path()).finding.unwrap();
    assert_eq!(finding.kind, FindingKind::Changed, "{finding:?}");

    let folder = log_of_files().await;
    let last = verify(folder.path()).last.unwrap();
    for file in files(folder.path()) {
        fs::remove_file(file).unwrap();
    }
    start_and_stop(folder.path()).await;
    let report = verify(folder.path());
    assert_eq!(report.first, Some(last.seq + 1), "the chain goes on");
    assert!(!report.ok);
}

#[tokio::test]
async fn a_file_of_something_else_is_not_added_to() {
    let folder = log_of_files().await;
    let file = files(folder.path()).pop().unwrap();
    let header = lines(&file).remove(0);
    for content in [
        b"".to_vec(),
        b"hello\n".to_vec(),
        header[1..].to_vec(),
        b"x\n".repeat(99),
    ] {
        fs::write(&file, content).unwrap();
        let error = AuditLog::open(&options(folder.path())).unwrap_err();
        assert!(matches!(error, AuditError::Damaged(_)), "{error}");
        assert!(error.to_string().contains("audit verify"), "{error}");
    }
}

//! A disk that is full: nothing is done without a record, and the log goes on when there is room.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use temporal_kms::{CallObserver as _, EndedCall, Operation, Outcome};
use temporal_kms_audit::{AuditError, AuditLog, AuditOptions, OnFailure};

use crate::{
    crash::{child, folder_of_child},
    support::{event, values, verify},
};

/// Runs a test in a process whose files cannot grow beyond 16 KiB, until it lifts the limit itself.
fn in_a_small_space(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let own = child(name, folder.path());
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        // A write over the limit then fails instead of ending the process.
        .arg("trap '' XFSZ; ulimit -S -f 32; exec \"$0\" \"$@\"")
        .arg(own.get_program())
        .args(own.get_args())
        .envs(
            own.get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .stdout(Stdio::piped());
    let output = shell.spawn().unwrap().wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("the child has run"), "{text}");
    folder
}

fn make_room() {
    let (_, most) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
    setrlimit(Resource::RLIMIT_FSIZE, most, most).unwrap();
}

async fn works_again(log: &AuditLog) {
    // The writer tries once a second.
    while log.problem().is_some() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn refuses_in_a_small_space() {
    let Some(folder) = folder_of_child() else {
        return;
    };
    let log = AuditLog::open(&AuditOptions::folder(&folder)).unwrap();
    let mut written = 0;
    let error = loop {
        match log.record(event(written)).written().await {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, AuditError::Unwritten(_)), "{error}");
    assert!(written > 20, "{written}");
    assert!(log.check().is_err(), "work begins without a record");
    assert!(log.problem().is_some());
    // A change of a key that was made all the same is not called undone.
    let key = "local://key".parse().unwrap();
    let call = EndedCall::new(Operation::RotateKey, &key, Outcome::Done);
    let error = log.ended(&call).await.unwrap_err().to_string();
    assert!(error.contains("the key was changed"), "{error}");
    let call = EndedCall::new(Operation::Unwrap, &key, Outcome::Done);
    let error = log.ended(&call).await.unwrap_err().to_string();
    assert!(!error.contains("the key was changed"), "{error}");
    // Whole lines only, also now.
    assert!(verify(&folder).ok);
    assert_eq!(log.stats().missing, 3);
    make_room();
    works_again(&log).await;
    log.check().unwrap();
    log.record(event(7777)).written().await.unwrap();
    log.close().await.unwrap();
    println!("the child has run");
}

#[test]
fn a_full_disk_refuses_work_until_there_is_room() {
    let folder = in_a_small_space("full_disk::refuses_in_a_small_space");
    let report = verify(folder.path());
    assert!(report.ok, "{report:?}");
    assert!(
        report.notes[0].contains("3 lines are missing"),
        "{report:?}"
    );
    let lines = values(folder.path());
    let gap = lines.iter().find(|line| line["event"] == "gap").unwrap();
    assert_eq!(gap["missing"], 3);
    assert!(
        gap["since"].is_string() && gap["error"].is_string(),
        "{gap}"
    );
}

#[tokio::test]
async fn goes_on_in_a_small_space() {
    let Some(folder) = folder_of_child() else {
        return;
    };
    let options = AuditOptions::folder(&folder).with_on_failure(OnFailure::Continue);
    let log = AuditLog::open(&options).unwrap();
    while log.problem().is_none() {
        log.record(event(1)).written().await.unwrap();
        tokio::task::yield_now().await;
    }
    log.check().unwrap();
    log.record(event(2)).written().await.unwrap();
    make_room();
    works_again(&log).await;
    assert!(log.stats().missing > 0);
    log.close().await.unwrap();
    println!("the child has run");
}

#[test]
fn work_goes_on_with_an_alarm_where_that_is_configured() {
    let folder = in_a_small_space("full_disk::goes_on_in_a_small_space");
    let report = verify(folder.path());
    assert!(report.ok, "{report:?}");
    assert!(report.notes[0].contains("are missing"), "{report:?}");
}

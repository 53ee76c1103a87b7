//! Recorded histories of tasks: today's workflow must decide as the worker did that recorded them.
//!
//! `tests/histories/` has a history for each way in which a task can end, and the key with which they are encrypted. The key
//! protects nothing else. When the workflow changes on purpose, such as behind a patch, the second test fails, writes a new
//! history, and says how to replace the old one.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use integration_tests::Keyring;
use temporalio_client::WorkflowHistory;
use temporalio_common::protos::temporal::api::{
    enums::v1::EventType,
    history::v1::{History, HistoryEvent},
};

use crate::support::{Rig, end, fresh, replay::replay, scripted::Scripted};

#[tokio::test]
async fn a_recorded_task_decides_as_it_did() {
    let keyring = keyring();
    let mut replayed = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            replay(keyring.codec("default").data_converter(), read(&path)).await;
            replayed += 1;
        }
    }
    assert!(replayed >= 2, "{replayed} histories");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recorded_histories_are_those_of_todays_workflow() {
    let scripted = Scripted::of(Rig::with_keyring(keyring()).await);
    let _worker = scripted.worker(&[]);
    let completed = fresh("task");
    let (code, output) = end(&mut scripted.submit(&completed, "go"));
    assert_eq!(code, 0, "{output}");

    let cancelled = fresh("task");
    let mut submission = scripted.submit(&cancelled, "wait");
    scripted.until_runs(2).await;
    let (code, output) = end(&mut scripted.rig.command_for("cancel", &cancelled));
    assert_eq!(code, 0, "{output}");
    assert_eq!(end(&mut submission).0, 130);

    let mut outdated = Vec::new();
    for (name, task) in [("completed", completed), ("cancelled", cancelled)] {
        let today = scripted.rig.history(&task).await;
        let recorded = folder().join(name).with_extension("json");
        if !recorded.exists()
            || steps(&read(&recorded).into_events().await.unwrap()) != steps(&today.events)
        {
            outdated.push(record(name, &recorded, today).await);
        }
    }
    assert!(outdated.is_empty(), "{}", outdated.join("\n"));
}

/// What a workflow and its activity did. Workflow tasks can be repeated and do not count.
fn steps(events: &[HistoryEvent]) -> Vec<EventType> {
    let is_step = |kind: &EventType| !kind.as_str_name().starts_with("EVENT_TYPE_WORKFLOW_TASK");
    events
        .iter()
        .map(HistoryEvent::event_type)
        .filter(is_step)
        .collect()
}

/// Writes a history, and returns how to replace the recorded one.
async fn record(name: &str, recorded: &Path, history: History) -> String {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.json"));
    let json = WorkflowHistory::from(history).to_json().await.unwrap();
    fs::write(&file, json).unwrap();
    format!(
        "{recorded} is missing, or today's workflow takes other steps. If this is intended, keep the old file under another \
         name, so that tasks of older workers are still replayed, and then: cp {} {recorded}",
        file.display(),
        recorded = recorded.display(),
    )
}

fn read(path: &Path) -> WorkflowHistory {
    WorkflowHistory::from_json(&fs::read(path).unwrap()).unwrap()
}

/// A keyring with the key of the recorded histories.
fn keyring() -> Keyring {
    let keyring = Keyring::empty();
    fs::copy(folder().join("keyring/default.json"), keyring.file()).unwrap();
    fs::set_permissions(keyring.file(), fs::Permissions::from_mode(0o600)).unwrap();
    keyring
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories")
}

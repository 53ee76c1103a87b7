//! Replays the recorded histories of `tests/histories/`: today's workflows must decide as the workers did that recorded them.
//! `tests/worker/histories.rs` records them.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use integration_tests::Keyring;
use temporalio_client::WorkflowHistory;
use temporalio_sdk::workflow_replayer::{WorkflowReplayer, WorkflowReplayerOptions};

use super::{ClaudeTask, ClaudeTaskWebhook};

/// How many histories there are at least.
const FEWEST: usize = 14;

#[tokio::test]
async fn a_recorded_task_decides_as_it_did() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories");
    let keyring = Keyring::empty();
    fs::copy(folder.join("keyring/default.json"), keyring.file()).unwrap();
    fs::set_permissions(keyring.file(), fs::Permissions::from_mode(0o600)).unwrap();
    let options = WorkflowReplayerOptions::new()
        .namespace("default")
        .task_queue("replay")
        .data_converter(keyring.codec("default").data_converter())
        .register_workflow::<ClaudeTask>()
        .unwrap()
        .register_workflow::<ClaudeTaskWebhook>()
        .unwrap()
        .build();
    let replayer = WorkflowReplayer::new(options).unwrap();
    let files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect();
    for file in &files {
        let history = WorkflowHistory::from_json(&fs::read(file).unwrap()).unwrap();
        let outcome = replayer.replay_workflow(history).await;
        assert!(outcome.is_ok(), "{}: {outcome:?}", file.display());
    }
    assert!(files.len() >= FEWEST, "{files:?}");
}

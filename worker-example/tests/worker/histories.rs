//! Records the histories of tasks that later versions replay.
//!
//! `tests/histories/` has the histories of this table, those of earlier workers, and the key with which they are encrypted. The
//! key protects nothing else. `src/worker/workflow/recorded.rs` replays all of them. When a workflow changes on purpose, such as
//! behind a patch, the test below fails, writes a new history, and says how to replace the old one.
//!
//! | history | the task |
//! |---|---|
//! | `completed`, `failed` | ends by itself |
//! | `not-prepared` | has a command before the session that fails |
//! | `cancelled`, `cancelled-by-update` | is cancelled in Temporal, and by the update `cancel` |
//! | `lost` | loses its worker |
//! | `followed` | loses both connections that follow it, and is cancelled by their signals |
//! | `stored` | has a store, an upload and a webhook |
//! | `stored-not-prepared` | has a store and a webhook, which another step approves |
//! | `attributes` | has search attributes |
//! | `webhook`, `webhook-refused` | is a delivery that its receiver accepts, and refuses for good |

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use claude_tasks::ClaudeTask;
use dev_servers::{Process, TemporalOptions, WebhookReceiver};
use integration_tests::{Keyring, until};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use temporalio_client::{WorkflowExecuteUpdateOptions, WorkflowHistory};
use temporalio_common::protos::temporal::api::{
    enums::v1::EventType,
    history::v1::{History, HistoryEvent},
};

use crate::{
    api::support::{Api, next_line},
    attributes::create_attributes,
    support::{LIMIT, Rig, end, fresh, own_temporal, scripted::Scripted, send},
};

type Recorded = (&'static str, History);

#[tokio::test(flavor = "multi_thread")]
async fn the_recorded_histories_are_those_of_todays_workflow() {
    // Temporal takes longer than a minute to give its worker up, so this one begins first.
    let lost = Lost::start().await;
    let mut today = ended().await;
    today.extend(stored().await);
    today.push(followed().await);
    today.push(attributes().await);
    today.push(lost.end().await);

    let mut outdated = Vec::new();
    for (name, today) in today {
        let recorded = folder().join(name).with_extension("json");
        if !recorded.exists()
            || steps(&read(&recorded).into_events().await.unwrap()) != steps(&today.events)
        {
            outdated.push(record(name, &recorded, today).await);
        }
    }
    assert!(outdated.is_empty(), "{}", outdated.join("\n"));
}

async fn rig() -> Scripted {
    Scripted::of(Rig::with_keyring(keyring()).await)
}

/// A request with a command before the session that fails.
fn unprepared() -> Value {
    json!({"prompt": "go", "anthropicApiKey": "sk-ant-history", "preExecutionCommands": ["exit 7"]})
}

async fn ended() -> Vec<Recorded> {
    let scripted = rig().await;
    let rig = &scripted.rig;
    let _worker = scripted.worker(&[]);
    let completed = fresh("task");
    let (code, output) = end(&mut scripted.submit(&completed, "go"));
    assert_eq!(code, 0, "{output}");

    let cancelled = fresh("task");
    let mut submission = scripted.submit(&cancelled, "wait");
    scripted.until_runs(2).await;
    let (code, output) = end(&mut rig.command_for("cancel", &cancelled));
    assert_eq!(code, 0, "{output}");
    assert_eq!(end(&mut submission).0, 130);

    let updated = fresh("task");
    let mut submission = scripted.submit(&updated, "wait");
    scripted.until_runs(3).await;
    let client = rig.client().await;
    let workflow = client.get_workflow_handle::<ClaudeTask>(&updated);
    let options = WorkflowExecuteUpdateOptions::default();
    let answer = workflow.execute_update(ClaudeTask::cancel, updated.clone(), options);
    assert!(answer.await.unwrap());
    assert_eq!(end(&mut submission).0, 130);

    let not_prepared = fresh("task");
    assert_eq!(end(&mut rig.submit(&not_prepared, &unprepared(), &[])).0, 1);

    rig.claude("cat >/dev/null; exit 3");
    let failed = fresh("task");
    assert_eq!(end(&mut scripted.submit(&failed, "go")).0, 1);
    vec![
        ("completed", rig.history(&completed).await),
        ("cancelled", rig.history(&cancelled).await),
        ("cancelled-by-update", rig.history(&updated).await),
        ("not-prepared", rig.history(&not_prepared).await),
        ("failed", rig.history(&failed).await),
    ]
}

/// A task whose worker is killed while it runs.
struct Lost {
    scripted: Scripted,
    task: String,
    submission: Process,
    _next: Process,
}

impl Lost {
    async fn start() -> Self {
        let scripted = rig().await;
        let mut worker = scripted.worker(&[]);
        let task = fresh("task");
        let submission = scripted.submit(&task, "wait");
        scripted.until_runs(1).await;
        send(&worker, Signal::SIGKILL);
        worker.wait(LIMIT).unwrap();
        Self {
            _next: scripted.worker(&[]),
            scripted,
            task,
            submission,
        }
    }

    async fn end(mut self) -> Recorded {
        assert_eq!(end(&mut self.submission).0, 1);
        ("lost", self.scripted.rig.history(&self.task).await)
    }
}

async fn stored() -> Vec<Recorded> {
    let mut rig = Rig::with_keyring(keyring()).await;
    rig.use_store();
    rig.enable_webhooks();
    let scripted = Scripted::of(rig);
    let rig = &scripted.rig;
    let _worker = scripted.worker(&[]);
    // The delivery must not end before its task, whose history would have another order.
    let gate = rig.folder.path().join("held");
    let mut tasks = Vec::new();
    for (name, prepared, statuses) in [
        ("stored", true, &[][..]),
        ("stored-not-prepared", false, &[400]),
    ] {
        fs::write(&gate, "").unwrap();
        let receiver = WebhookReceiver::start_held(statuses, gate.clone()).unwrap();
        let mut request = if prepared {
            json!({"prompt": "go", "anthropicApiKey": "sk-ant-history",
                "preExecutionCommands": ["echo made > made.txt"],
                "postExecutionActions": {"uploadFiles": {"globPatterns": ["*.txt"]}}})
        } else {
            unprepared()
        };
        request["callbackUrl"] = json!(receiver.url());
        let task = fresh("task");
        let (code, output) = end(&mut rig.submit(&task, &request, &["--json"]));
        assert_eq!(code, i32::from(!prepared), "{output}");
        fs::remove_file(&gate).unwrap();
        let delivery = format!("{task}.webhook");
        until_closed(rig, &delivery).await;
        tasks.push((name, rig.history(&task).await));
        let name = if prepared {
            "webhook"
        } else {
            "webhook-refused"
        };
        tasks.push((name, rig.history(&delivery).await));
    }
    tasks
}

async fn followed() -> Recorded {
    let scripted = rig().await;
    let _worker = scripted.worker(&[]);
    let api = scripted.rig.api();
    let task = fresh("task");
    let signals = async |expected: usize| {
        until("the signals", async || {
            (scripted.rig.signals(&task).await == expected).then_some(())
        })
        .await;
    };
    let first = follow(&api, &task);
    let second = follow(&api, &task);
    drop(first);
    signals(2).await;
    drop(second);
    signals(3).await;
    until_closed(&scripted.rig, &task).await;
    ("followed", scripted.rig.history(&task).await)
}

/// A connection that runs a task, or follows it.
fn follow(api: &Api, task: &str) -> impl Sized {
    let request = json!({"taskId": task, "prompt": "wait", "anthropicApiKey": "sk-ant-history"});
    let mut stream = api.open("POST /run HTTP/1.1", &request.to_string());
    while next_line(&mut stream, "data: ").unwrap() != r#"{"type":"text","content":"begun"}"# {}
    stream
}

async fn attributes() -> Recorded {
    let server = own_temporal(TemporalOptions::default()).await;
    let rig = Rig::with_keyring(keyring()).await.at_server(server);
    create_attributes(&rig);
    let scripted = Scripted::of(rig);
    let _worker = scripted.worker(&[]);
    let task = fresh("task");
    let (code, output) = end(&mut scripted.submit(&task, "go"));
    assert_eq!(code, 0, "{output}");
    ("attributes", scripted.rig.history(&task).await)
}

async fn until_closed(rig: &Rig, workflow: &str) {
    let raw = rig.raw().await;
    until("the workflow has ended", async || {
        let info = raw.find(workflow).await?.workflow_execution_info?;
        info.close_time.map(drop)
    })
    .await;
}

/// What a workflow and its activities did. Workflow tasks can be repeated and do not count.
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
    let recorded = recorded.display();
    format!(
        "{recorded} is missing, or today's workflow takes other steps. If this is intended, keep the old file under another \
         name, so that tasks of older workers are still replayed, and then: cp {} {recorded}",
        file.display(),
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

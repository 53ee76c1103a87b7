//! What somebody can do who may write to Temporal and has no key: start, copy, signal, query. The worker is the real
//! program; a script in Claude Code's place leaves a mark where it runs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what a test needs and does not find fails it"
)]

mod support;

use claude_tasks::ClaudeTask;
use integration_tests::until;
use serde_json::{Value, json};
use support::{end, fresh, scripted::Scripted, task_ended};
use temporalio_client::{
    UntypedWorkflow, WorkflowGetResultOptions, WorkflowHistory, WorkflowStartOptions,
};
use temporalio_common::data_converters::RawValue;
use temporalio_sdk::workflow_replayer::{WorkflowReplayer, WorkflowReplayerOptions};

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_is_not_encrypted_runs_nothing() {
    let scripted = Scripted::new().await;
    let _worker = scripted.worker(&[]);
    let task = fresh("attack");
    let input = json!({"taskId": task, "prompt": "x", "anthropicApiKey": "sk-attackers-own",
        "permissionMode": "bypassPermissions", "disallowedTools": [], "allowedTools": ["Bash"]});
    let (started, text) = scripted.temporal(&[
        "start",
        "--type",
        "ClaudeTask",
        "--task-queue",
        scripted.rig.queue(),
        "--workflow-id",
        &task,
        "--input",
        &input.to_string(),
    ]);
    assert!(started, "{text}");
    let why = scripted.failed_workflow_task(&task).await;
    assert!(why.contains("not encrypted"), "{why}");
    let honest = fresh("task");
    assert_eq!(end(&mut scripted.submit(&honest, "go")).0, 0);
    assert_eq!(scripted.runs(), 1, "only the honest task ran");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_request_is_refused() {
    let scripted = Scripted::new().await;
    let _worker = scripted.worker(&[]);
    let victim = fresh("victim");
    assert_eq!(end(&mut scripted.submit(&victim, "go")).0, 0);
    let shown = scripted.temporal(&["show", "-w", &victim, "-o", "json"]).1;
    let history: Value = serde_json::from_str(&shown).unwrap();
    let payload =
        &history["events"][0]["workflowExecutionStartedEventAttributes"]["input"]["payloads"][0];
    let mut arguments = vec![
        "execute".to_owned(),
        "--type=ClaudeTask".to_owned(),
        format!("--task-queue={}", scripted.rig.queue()),
        format!("--workflow-id={}", fresh("attack")),
        "--input-base64".to_owned(),
        format!("--input={}", payload["data"].as_str().unwrap()),
    ];
    for (name, value) in payload["metadata"].as_object().unwrap() {
        let value = base64_text(value.as_str().unwrap());
        arguments.push(format!("--input-meta={name}={value}"));
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (succeeded, text) = scripted.temporal(&arguments);
    assert!(!succeeded && text.contains("InvalidRequest"), "{text}");
    assert_eq!(scripted.runs(), 1, "only the victim's own task ran");
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_on_a_task_whose_key_is_gone_disturb_no_other_task() {
    let scripted = Scripted::new().await;
    let worker = scripted.worker(&[]);
    let unreadable = fresh("task");
    assert_eq!(end(&mut scripted.submit(&unreadable, "go")).0, 0);
    drop(worker);
    scripted.rig.replace_key();
    let mut worker = scripted.worker(&[]);
    let other = fresh("task");
    let mut running = scripted.submit(&other, "wait");
    until("the other task runs", async || {
        (scripted.runs() == 2).then_some(())
    })
    .await;

    for query in [
        "last_progress",
        "__temporal_workflow_metadata",
        "__stack_trace",
    ] {
        let (answered, text) = scripted.temporal(&["query", "-w", &unreadable, "--type", query]);
        assert!(!answered, "{query}: {text}");
        assert!(
            text.contains("cannot decode the workflow's history"),
            "{query}: {text}"
        );
    }
    assert!(worker.is_running(), "{}", worker.output());
    scripted.open_gate();
    let (code, output) = end(&mut running);
    assert_eq!(code, 0, "{output}\n{}", worker.output());
    assert_eq!(task_ended(&output)["status"], "completed");
    // The other task's last events came by a query to the same worker.
    assert!(output.contains("begun"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_decoded_stops_its_own_task_only() {
    let scripted = Scripted::new().await;
    let mut worker = scripted.worker(&[]);
    let (hit, other) = (fresh("hit"), fresh("task"));
    let mut submissions = [
        scripted.submit(&hit, "wait"),
        scripted.submit(&other, "wait"),
    ];
    until("both tasks run", async || {
        (scripted.runs() == 2).then_some(())
    })
    .await;
    let signal = [
        "signal",
        "-w",
        &hit,
        "--name",
        "nonsense",
        "--input",
        "\"plain\"",
    ];
    let (sent, text) = scripted.temporal(&signal);
    assert!(sent, "{text}");
    let why = scripted.failed_workflow_task(&hit).await;
    assert!(why.contains("not encrypted"), "{why}");
    let query = [
        "query",
        "-w",
        &other,
        "--type",
        "last_progress",
        "--input",
        "\"plain\"",
    ];
    let (answered, text) = scripted.temporal(&query);
    assert!(!answered, "{text}");
    scripted.open_gate();
    let [_, other] = &mut submissions;
    let (code, output) = end(other);
    assert_eq!(code, 0, "{output}");
    assert!(worker.is_running(), "{}", worker.output());
    scripted.temporal(&["terminate", "-w", &hit]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rules_for_requests_can_change_while_tasks_run() {
    let scripted = Scripted::new().await;
    let _worker = scripted.worker(&[]);
    let client = scripted.rig.client().await;
    let converter = &client.options().data_converter;
    let task = fresh("task");
    // No rule of today allows it, as a rule of tomorrow may not allow what is allowed today.
    let refused = json!({"taskId": task, "timeoutMinutes": 90_000, "unknown": {}, "prompt": 1});
    let input = RawValue::from_value(&refused, converter.payload_converter());
    let options = WorkflowStartOptions::new(scripted.rig.queue(), &task).build();
    let handle = client
        .start_workflow(UntypedWorkflow::new("ClaudeTask"), input, options)
        .await
        .unwrap();
    let ended = handle.get_result(WorkflowGetResultOptions::default()).await;
    assert!(ended.is_err(), "the activity refuses it");

    let history = scripted.rig.history(&task).await;
    let options = WorkflowReplayerOptions::new()
        .namespace("default")
        .task_queue(scripted.rig.queue())
        .data_converter(converter.clone())
        .register_workflow::<ClaudeTask>()
        .unwrap()
        .build();
    let replayer = WorkflowReplayer::new(options).unwrap();
    let replayed = replayer
        .replay_workflow(WorkflowHistory::from(history))
        .await;
    replayed.expect("the workflow decides nothing by those rules");
}

fn base64_text(text: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
}

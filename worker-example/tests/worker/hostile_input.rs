//! Attacks by a person who can write to Temporal and has no key: start, copy, signal, query. The worker is the real program.
//! A script in Claude Code's place leaves a mark for each run.

use crate::support::{end, fresh, replay::replay, scripted::Scripted, task_ended};
use integration_tests::until;
use serde_json::json;
use temporalio_client::{
    UntypedWorkflow, WorkflowGetResultOptions, WorkflowHistory, WorkflowStartOptions,
};
use temporalio_common::{
    data_converters::{RawValue, SerializationContextData, WorkflowSerializationContext},
    protos::temporal::api::{
        common::v1::{Payload, Payloads},
        enums::v1::EventType,
        history::v1::{HistoryEvent, history_event::Attributes},
    },
};

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
    let history = scripted.rig.history(&victim).await;
    let Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) =
        history.events[0].attributes.clone()
    else {
        panic!("the history has no beginning");
    };
    let copy = fresh("attack");
    scripted
        .rig
        .raw()
        .await
        .start(
            "ClaudeTask",
            &copy,
            scripted.rig.queue(),
            started.input.unwrap(),
        )
        .await;
    let error = scripted.failure(&copy).await;
    assert!(error.contains("does not belong to this task"), "{error}");
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
    // Temporal asks about the open task and, once it is terminated, about the closed one.
    for end in [&["cancel", "-w", &hit][..], &["terminate", "-w", &hit]] {
        scripted.assert_queries_fail(&hit);
        let (sent, text) = scripted.temporal(end);
        assert!(sent, "{text}");
    }
    scripted.assert_queries_fail(&hit);
    // A task whose input cannot be opened never gets a workflow.
    let unreadable = fresh("unreadable");
    let start = [
        "start",
        "--type=ClaudeTask",
        "--task-queue",
        scripted.rig.queue(),
        "-w",
        &unreadable,
        "--input",
        "{}",
    ];
    let (started, text) = scripted.temporal(&start);
    assert!(started, "{text}");
    let why = scripted.failed_workflow_task(&unreadable).await;
    assert!(why.contains("not encrypted"), "{why}");
    for end in [
        &["signal", "-w", &unreadable, "--name=x", "--input=1"][..],
        &["cancel", "-w", &unreadable],
        &["terminate", "-w", &unreadable],
    ] {
        scripted.assert_queries_fail(&unreadable);
        let (sent, text) = scripted.temporal(end);
        assert!(sent, "{text}");
    }
    scripted.assert_queries_fail(&unreadable);

    scripted.open_gate();
    let [_, other] = &mut submissions;
    let (code, output) = end(other);
    assert_eq!(code, 0, "{output}");
    assert!(worker.is_running(), "{}", worker.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_input_that_is_not_a_request_fails_its_task_once() {
    let scripted = Scripted::new().await;
    let _worker = scripted.worker(&[]);
    let keyring = scripted.rig.client().await;
    let codec = keyring.options().data_converter.codec();
    let context = SerializationContextData::Workflow(WorkflowSerializationContext::new());
    let deep = "[".repeat(200) + &"]".repeat(200);
    for (what, data, expected) in [
        ("not JSON", "{".to_owned(), "does not belong to this task"),
        (
            "nested deeply",
            format!(r#"{{"taskId":"ID","prompt":"x","metadata":{deep}}}"#),
            "does not belong to this task",
        ),
    ] {
        let task = fresh("task");
        let plain = Payload {
            metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
            data: data.replace("ID", &task).into_bytes(),
            ..Payload::default()
        };
        let payloads = codec.encode(&context, vec![plain]).await.unwrap();
        let raw = scripted.rig.raw().await;
        raw.start(
            "ClaudeTask",
            &task,
            scripted.rig.queue(),
            Payloads { payloads },
        )
        .await;
        let error = scripted.failure(&task).await;
        assert!(error.contains(expected), "{what}: {error}");
        let history = scripted.rig.history(&task).await;
        let failed = |event: &&HistoryEvent| event.event_type() == EventType::WorkflowTaskFailed;
        assert_eq!(history.events.iter().filter(failed).count(), 0, "{what}");
    }
    assert_eq!(scripted.runs(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rules_for_requests_can_change_while_tasks_run() {
    let scripted = Scripted::new().await;
    let _worker = scripted.worker(&[]);
    let client = scripted.rig.client().await;
    let converter = &client.options().data_converter;
    let task = fresh("task");
    // Today's rules do not allow this request, as tomorrow's rules may not allow one of today.
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
    replay(converter.clone(), WorkflowHistory::from(history)).await;
}

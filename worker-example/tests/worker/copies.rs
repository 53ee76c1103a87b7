//! Attacks with copies of a task's ciphertext, by an attacker who can write to Temporal and has no key.

use crate::support::{
    attacker::{Attacker, task_queue},
    end, fresh,
    scripted::Scripted,
    task_ended,
};
use integration_tests::{assert_absent, until};
use std::time::Duration;
use temporalio_common::protos::temporal::api::{
    command::v1::{
        CompleteWorkflowExecutionCommandAttributes, FailWorkflowExecutionCommandAttributes,
        ScheduleActivityTaskCommandAttributes, command::Attributes as Command,
    },
    common::v1::{ActivityType, Payloads, RetryPolicy},
    enums::v1::CommandType,
    failure::v1::{Failure, failure::FailureInfo},
    history::v1::{History, history_event::Attributes},
};

fn find<T>(history: History, wanted: impl Fn(Attributes) -> Option<T>) -> Option<T> {
    let mut attributes = history.events.into_iter().filter_map(|e| e.attributes);
    attributes.find_map(wanted)
}

fn input(attributes: Attributes) -> Option<Payloads> {
    match attributes {
        Attributes::WorkflowExecutionStartedEventAttributes(started) => started.input,
        _ => None,
    }
}

fn activity_result(attributes: Attributes) -> Option<Payloads> {
    match attributes {
        Attributes::ActivityTaskCompletedEventAttributes(completed) => completed.result,
        _ => None,
    }
}

/// The result of the activity that ran Claude Code. The first result is the one of the preparation.
fn session_result(history: &History) -> Option<Payloads> {
    let attributes = history
        .events
        .iter()
        .filter_map(|event| event.attributes.clone());
    let result = attributes.filter_map(activity_result).nth(1);
    assert!(result.is_some());
    result
}

fn result(attributes: Attributes) -> Option<Payloads> {
    match attributes {
        Attributes::WorkflowExecutionCompletedEventAttributes(completed) => completed.result,
        _ => None,
    }
}

fn failure(attributes: Attributes) -> Option<Failure> {
    match attributes {
        Attributes::WorkflowExecutionFailedEventAttributes(failed) => failed.failure,
        Attributes::ActivityTaskFailedEventAttributes(failed) => failed.failure,
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_copied_into_another_workflows_activity_is_refused() {
    let scripted = Scripted::new().await;
    let _worker = scripted.worker(&[]);
    let attacker = Attacker::new(&scripted.rig.server).await;
    let victim = fresh("victim");
    assert_eq!(end(&mut scripted.submit(&victim, "go")).0, 0);
    let copied = find(scripted.rig.history(&victim).await, input);
    assert!(copied.is_some());

    // The attacker's worker runs the attacker's workflow, which schedules the activity at the victim's worker.
    let (attack, queue) = (fresh("attack"), fresh("queue"));
    attacker.start(&attack, "Attack", &queue, None).await;
    let activity = ScheduleActivityTaskCommandAttributes {
        activity_id: "1".to_owned(),
        activity_type: Some(ActivityType {
            name: "run_claude".to_owned(),
        }),
        task_queue: Some(task_queue(scripted.rig.queue())),
        input: copied,
        start_to_close_timeout: Some(Duration::from_mins(1).try_into().unwrap()),
        retry_policy: Some(RetryPolicy {
            maximum_attempts: 1,
            ..Default::default()
        }),
        ..Default::default()
    };
    let activity = Command::ScheduleActivityTaskCommandAttributes(activity);
    attacker
        .command(&queue, CommandType::ScheduleActivityTask, activity)
        .await;
    let refused = until("the activity ends", async || {
        find(scripted.rig.history(&attack).await, |attributes| {
            if activity_result(attributes.clone()).is_some() {
                return Some(None);
            }
            failure(attributes).map(Some)
        })
    })
    .await
    .expect("the copied request ran");
    let refused = refused.maybe_application_failure().unwrap();
    assert_eq!(refused.r#type, "InvalidRequest");
    assert!(refused.non_retryable);
    assert_eq!(scripted.runs(), 1, "only the victim's own task ran");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_started_again_under_its_id_does_not_run_twice() {
    let scripted = Scripted::new().await;
    let _worker = scripted.worker(&[]);
    let attacker = Attacker::new(&scripted.rig.server).await;
    let task = fresh("task");
    assert_eq!(end(&mut scripted.submit(&task, "go")).0, 0);
    let copied = find(scripted.rig.history(&task).await, input);
    let queue = scripted.rig.queue();
    attacker.start(&task, "ClaudeTask", queue, copied).await;
    let (code, output) = end(&mut scripted.rig.command_for("result", &task));
    assert_eq!(code, 1, "{output}");
    assert!(output.contains("the task is not repeated"), "{output}");
    assert_eq!(scripted.runs(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_completes_no_other_task() {
    let scripted = Scripted::new().await;
    let worker = scripted.worker(&[]);
    let attacker = Attacker::new(&scripted.rig.server).await;
    let (first, second, third) = (fresh("task"), fresh("task"), fresh("task"));
    assert_eq!(end(&mut scripted.submit(&first, "go")).0, 0);
    let history = scripted.rig.history(&first).await;

    // The attacker answers for the worker that runs the activity.
    let mut running = scripted.submit(&second, "wait");
    until("the second task runs", async || {
        (scripted.runs() == 2).then_some(())
    })
    .await;
    let described = scripted.rig.raw().await.describe(&second).await;
    let activity = &described.pending_activities[0].activity_id;
    let copied = session_result(&history);
    attacker.complete_activity(&second, activity, copied).await;
    let (code, output) = end(&mut running);
    assert_eq!(code, 1, "{output}");
    let ended = task_ended(&output);
    let error = ended["error"].as_str().unwrap();
    assert!(error.contains("no report of this task"), "{error}");
    assert!(ended["result"].get("result").is_none(), "{ended}");
    scripted.open_gate();
    drop(worker);

    // The attacker answers for the worker that runs the workflow.
    let (code, output) = end(&mut scripted.detach(&third, "go"));
    assert_eq!(code, 0, "{output}");
    let copied = CompleteWorkflowExecutionCommandAttributes {
        result: find(history, result),
    };
    assert!(copied.result.is_some());
    let copied = Command::CompleteWorkflowExecutionCommandAttributes(copied);
    attacker
        .command(
            scripted.rig.queue(),
            CommandType::CompleteWorkflowExecution,
            copied,
        )
        .await;
    let (code, output) = end(&mut scripted.rig.command_for("result", &third));
    assert_eq!(code, 65, "{output}");
    assert!(output.contains("belongs to another task"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_tells_nothing_of_another_task() {
    let scripted = Scripted::new().await;
    let attacker = Attacker::new(&scripted.rig.server).await;
    let claude = scripted
        .rig
        .claude("echo 'words of the first task' >&2; exit 3");
    let worker = scripted.rig.worker_with(&claude, &[]);
    let first = fresh("task");
    let (code, output) = end(&mut scripted.submit(&first, "go"));
    assert_eq!(code, 1);
    assert!(output.contains("words of the first task"), "{output}");
    drop(worker);

    // The message is encrypted separately from the details, so it is copied with them and without them.
    let copied = find(scripted.rig.history(&first).await, failure).unwrap();
    let mut alone = copied.clone();
    let Some(FailureInfo::ApplicationFailureInfo(info)) = &mut alone.failure_info else {
        panic!("{alone:?}");
    };
    assert!(info.details.take().is_some());
    for copied in [copied, alone] {
        let task = fresh("task");
        assert_eq!(end(&mut scripted.detach(&task, "go")).0, 0);
        let copied = FailWorkflowExecutionCommandAttributes {
            failure: Some(copied),
        };
        let copied = Command::FailWorkflowExecutionCommandAttributes(copied);
        attacker
            .command(
                scripted.rig.queue(),
                CommandType::FailWorkflowExecution,
                copied,
            )
            .await;
        let (code, output) = end(&mut scripted.rig.command_for("result", &task));
        assert_eq!(code, 1, "{output}");
        assert!(output.contains("belongs to another task"), "{output}");
        assert_absent("the answer", output.as_bytes(), &["words of the first"]);
    }
}

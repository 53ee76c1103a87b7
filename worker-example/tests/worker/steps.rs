//! A task in steps: where it waits, who holds it, and what is left when it is ended from outside.

use crate::support::{LIMIT, end, fresh, scripted::Scripted, send};
use claude_tasks::{ClaudeTask, Step, TaskState};
use integration_tests::until;
use nix::sys::signal::Signal;
use serde_json::json;
use std::{fs, path::PathBuf};
use temporalio_client::{WorkflowExecuteUpdateOptions, WorkflowQueryOptions};

async fn state(scripted: &Scripted, task: &str) -> TaskState {
    let client = scripted.rig.client().await;
    let workflow = client.get_workflow_handle::<ClaudeTask>(task);
    let options = WorkflowQueryOptions::default();
    workflow
        .query(ClaudeTask::state, (), options)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_tells_the_step() {
    let scripted = Scripted::new().await;
    let _worker = scripted.worker(&[]);
    let task = fresh("task");
    let mut running = scripted.submit(&task, "wait");
    scripted.until_runs(1).await;
    assert_eq!(state(&scripted, &task).await.step, Step::Run);
    scripted.open_gate();
    assert_eq!(end(&mut running).0, 0);
    let ended = state(&scripted, &task).await;
    assert_eq!((ended.step, ended.turns), (Step::Ended, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_cancels_the_task_that_it_names() {
    let scripted = Scripted::new().await;
    let _worker = scripted.worker(&[]);
    let task = fresh("task");
    let mut running = scripted.submit(&task, "wait");
    scripted.until_runs(1).await;
    let client = scripted.rig.client().await;
    let workflow = client.get_workflow_handle::<ClaudeTask>(&task);
    for (named, expected) in [(fresh("another"), false), (task.clone(), true)] {
        let options = WorkflowExecuteUpdateOptions::default();
        let answer = workflow.execute_update(ClaudeTask::cancel, named, options);
        assert_eq!(answer.await.unwrap(), expected);
    }
    let (code, output) = end(&mut running);
    assert_eq!(code, 130, "{output}");
    assert_eq!(scripted.rig.workspaces(), Vec::<PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_keeps_its_place_until_it_has_left() {
    let scripted = Scripted::new().await;
    let _worker = scripted.worker(&["--max-tasks", "1"]);
    let (first, second) = (fresh("task"), fresh("task"));
    let mut running = scripted.submit(&first, "wait");
    scripted.until_runs(1).await;
    let mut waiting = scripted.submit(&second, "go");
    let raw = scripted.rig.raw().await;
    until("the second task waits for a place", async || {
        let description = raw.find(&second).await?;
        description.pending_activities.first().map(drop)
    })
    .await;
    assert_eq!(scripted.rig.workspaces().len(), 1);
    let (code, output) = end(&mut scripted.rig.command_for("status", &second));
    assert_eq!((code, output.trim()), (0, "waiting for a worker"));
    scripted.open_gate();
    for submission in [&mut running, &mut waiting] {
        let (code, output) = end(submission);
        assert_eq!(code, 0, "{output}");
    }
    assert_eq!(scripted.runs(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_terminated_leaves_nothing_and_gives_its_place_free() {
    let scripted = Scripted::new().await;
    let worker = scripted.worker(&["--max-tasks", "1"]);
    let task = fresh("task");
    let mut running = scripted.submit(&task, "wait");
    scripted.until_runs(1).await;
    let (terminated, text) = scripted.temporal(&["terminate", "-w", &task]);
    assert!(terminated, "{text}");
    assert_eq!(end(&mut running).0, 1);
    until("the workspace is removed", async || {
        scripted.rig.workspaces().is_empty().then_some(())
    })
    .await;
    scripted.open_gate();
    let (code, output) = end(&mut scripted.submit(&fresh("task"), "go"));
    assert_eq!(code, 0, "{output}\n{}", worker.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_tasks_side_by_side_end_and_leave_nothing() {
    let scripted = Scripted::new().await;
    let _worker = scripted.worker(&["--max-tasks", "10"]);
    let tasks: Vec<_> = (0..10).map(|_| fresh("task")).collect();
    let mut submissions: Vec<_> = tasks
        .iter()
        .map(|task| scripted.submit(task, "wait"))
        .collect();
    until("all tasks run", async || {
        (scripted.runs() == 10).then_some(())
    })
    .await;
    assert_eq!(scripted.rig.workspaces().len(), 10);
    scripted.open_gate();
    for submission in &mut submissions {
        let (code, output) = end(submission);
        assert_eq!(code, 0, "{output}");
    }
    assert_eq!(scripted.rig.workspaces(), Vec::<PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_lost_while_it_prepares_costs_an_attempt_only() {
    let scripted = Scripted::new().await;
    let mut lost = scripted.worker(&[]);
    let folder = scripted.rig.folder.path();
    let (mark, gate) = (folder.join("prepared"), folder.join("gate"));
    let command = format!(
        "echo prepared >> {}; while [ ! -e {} ]; do sleep 0.1; done",
        mark.display(),
        gate.display()
    );
    let request = json!({"prompt": "go", "anthropicApiKey": "sk-ant-lost",
        "preExecutionCommands": [command]});
    let mut submission = scripted.rig.submit(&fresh("task"), &request, &[]);
    until("the command runs", async || mark.exists().then_some(())).await;
    send(&lost, Signal::SIGKILL);
    lost.wait(LIMIT).unwrap();
    scripted.rig.supervisor_ended().await;
    scripted.open_gate();
    let _next = scripted.worker(&[]);
    let (code, output) = end(&mut submission);
    assert_eq!(code, 0, "{output}");
    assert_eq!(scripted.runs(), 1);
    assert_eq!(fs::read_to_string(mark).unwrap().lines().count(), 2);
    assert_eq!(scripted.rig.workspaces(), Vec::<PathBuf>::new());
}

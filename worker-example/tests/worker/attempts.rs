//! Temporal repeats a task until it begins, and never after that.

use crate::support::{
    LIMIT, Rig, end, fresh,
    provider::{Provider, encrypting},
    says,
    scripted::Scripted,
    send, task_ended,
};
use claude_tasks::{TaskInput, TaskRequest, TaskWorkflow};
use integration_tests::{Keyring, until};
use nix::sys::signal::Signal;
use serde_json::json;
use std::{fs, path::PathBuf, time::Duration};
use temporalio_client::{
    WorkflowGetResultOptions, WorkflowStartOptions, errors::WorkflowGetResultError,
};

/// Waits until Temporal tries a task again whose first attempt has failed.
async fn until_tried_again(scripted: &Scripted, task: &str) {
    let raw = scripted.rig.raw().await;
    until("the task is tried again", async || {
        let description = raw.find(task).await?;
        let activity = description.pending_activities.first()?;
        (activity.attempt > 1 && activity.last_failure.is_some()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_never_began_is_tried_again() {
    let scripted = Scripted::new().await;
    let _busy = scripted.worker(&["--max-tasks", "1"]);
    let (first, second) = (fresh("first"), fresh("second"));
    let mut running = scripted.submit(&first, "wait");
    scripted.until_runs(1).await;

    // The only worker with a free place has another key.
    let other_key = Keyring::new();
    let unable = scripted
        .rig
        .worker_with_keyring(&scripted.claude(), &other_key);
    let mut waiting = scripted.submit(&second, "go");
    until_tried_again(&scripted, &second).await;
    drop(unable);
    scripted.open_gate();
    for submission in [&mut running, &mut waiting] {
        let (code, output) = end(submission);
        assert_eq!(code, 0, "{output}");
    }
    assert_eq!(scripted.runs(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_fails_before_the_task_begins_costs_an_attempt_only() {
    let scripted = Scripted::new().await;
    let _worker = scripted.worker(&[]);
    // As on a full disk: the worker cannot create the task's folder.
    let tasks = scripted.rig.workdir().join("tasks");
    let _ = fs::remove_dir(&tasks);
    fs::write(&tasks, "").unwrap();
    let task = fresh("task");
    let mut waiting = scripted.submit(&task, "go");
    until_tried_again(&scripted, &task).await;
    assert_eq!(scripted.runs(), 0);
    let told = format!("to begin task {task} failed: cannot create the task's folders");
    waiting.wait_for_line(LIMIT, says(&told)).unwrap();
    let (code, output) = end(&mut scripted.rig.command_for("status", &task));
    assert_eq!((code, output.trim()), (0, "waiting for a worker"));
    fs::remove_file(&tasks).unwrap();
    let (code, output) = end(&mut waiting);
    assert_eq!(code, 0, "{output}");
    assert_eq!(scripted.runs(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_begun_costs_attempts_only() {
    let scripted = Scripted::new().await;
    let _worker = scripted.worker(&[]);
    let sessions = scripted.rig.workdir().join("sessions");
    fs::write(&sessions, "in the way").unwrap();
    let task = fresh("task");
    let mut waiting = scripted.submit(&task, "go");
    let told =
        format!("warning: attempt 2 to begin task {task} failed: cannot create the task's folders");
    waiting.wait_for_line(LIMIT, says(&told)).unwrap();
    assert_eq!(scripted.rig.workspaces(), Vec::<PathBuf>::new());
    fs::remove_file(&sessions).unwrap();
    let (code, output) = end(&mut waiting);
    assert_eq!(code, 0, "{output}");
    assert_eq!(scripted.runs(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_begun_fails_the_task_only() {
    let scripted = Scripted::new().await;
    let _worker = scripted.worker(&[]);
    let sessions = scripted.rig.workdir().join("sessions");
    fs::write(&sessions, "in the way").unwrap();
    let task = fresh("task");
    let request = json!({"prompt": "go", "anthropicApiKey": "sk-ant-attempts"});
    let request = TaskRequest::from_value(request).unwrap();
    let input = TaskInput::new(request, &task.parse().unwrap());
    let options = WorkflowStartOptions::new(scripted.rig.queue(), &task)
        .execution_timeout(Duration::from_secs(5))
        .build();
    let client = scripted.rig.client().await;
    let started = client.start_workflow(TaskWorkflow, input, options).await;
    let workflow = started.unwrap();
    let options = WorkflowGetResultOptions::default();
    let ended = workflow.get_result(options).await.unwrap_err();
    // Temporal does not begin an attempt for which the time is too short.
    assert!(
        matches!(ended, WorkflowGetResultError::Failed(_)),
        "{ended}"
    );
    let (code, output) = end(&mut scripted.rig.command_for("result", &task));
    assert_eq!(code, 1, "{output}");
    assert!(
        output.contains("cannot create the task's folders"),
        "{output}"
    );
    assert_eq!(scripted.runs(), 0);
    assert_eq!(scripted.rig.workspaces(), Vec::<PathBuf>::new());

    fs::remove_file(&sessions).unwrap();
    let (code, output) = end(&mut scripted.submit(&fresh("task"), "go"));
    assert_eq!(code, 0, "{output}");
    assert_eq!(scripted.runs(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_began_is_not_repeated() {
    let scripted = Scripted::new().await;
    let mut lost = scripted.worker(&[]);
    let task = fresh("task");
    let mut running = scripted.submit(&task, "wait");
    scripted.until_runs(1).await;
    send(&lost, Signal::SIGKILL);
    lost.wait(LIMIT).unwrap();
    let _next = scripted.worker(&[]);
    let (code, output) = end(&mut running);
    assert_eq!(code, 1, "{output}");
    let error = task_ended(&output)["error"].to_string();
    assert!(error.contains("worker was lost"), "{error}");
    assert_eq!(scripted.runs(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_whose_progress_cannot_be_encrypted_ends_with_its_heartbeats() {
    let google = Provider::google_cloud_kms().await;
    let made = google.keys(&["create", &google.key]);
    let version = made["primary"]["version"].as_str().unwrap();
    let mut variables = encrypting(&[&google]);
    // Each payload takes a call to the key service, so that a refusal shows at once.
    variables.push(("TEMPORAL_CODEC_FORMAT", "direct".to_owned()));
    let scripted = Scripted::of(Rig::with_variables(variables).await);
    let mut worker = scripted.worker(&[]);
    let task = fresh("task");
    let mut running = scripted.submit(&task, "wait");
    scripted.until_runs(1).await;
    google.keys(&["disable", &google.key, "--version", version, "--yes"]);
    until("Claude Code is stopped", async || {
        scripted.rig.workspaces().is_empty().then_some(())
    })
    .await;
    assert!(worker.is_running(), "{}", worker.output());

    google.keys(&["enable", &google.key, "--version", version]);
    let (code, output) = end(&mut running);
    assert_eq!(code, 1, "{output}");
    let error = task_ended(&output)["error"].to_string();
    assert!(error.contains("worker was lost"), "{error}");
    assert_eq!(scripted.runs(), 1);
}

//! Which attempts of a task there are: until it begins, as many as it takes, and then none.

use crate::support::{
    LIMIT, Rig, end, fresh,
    provider::{Provider, encrypting},
    scripted::Scripted,
    send, task_ended,
};
use integration_tests::{Keyring, until};
use nix::sys::signal::Signal;

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_never_began_is_tried_again() {
    let scripted = Scripted::new().await;
    let _busy = scripted.worker(&["--max-tasks", "1"]);
    let (first, second) = (fresh("first"), fresh("second"));
    let mut running = scripted.submit(&first, "wait");
    until("the first task runs", async || {
        (scripted.runs() == 1).then_some(())
    })
    .await;

    // The only worker with a free place cannot open what it gets.
    let other_key = Keyring::new();
    let unable = scripted
        .rig
        .worker_with_keyring(&scripted.claude(), &other_key);
    let mut waiting = scripted.submit(&second, "go");
    let raw = scripted.rig.raw().await;
    until("the second task is tried again", async || {
        let description = raw.find(&second).await?;
        let activity = description.pending_activities.first()?;
        (activity.attempt > 1 && activity.last_failure.is_some()).then_some(())
    })
    .await;
    drop(unable);
    scripted.open_gate();
    for submission in [&mut running, &mut waiting] {
        let (code, output) = end(submission);
        assert_eq!(code, 0, "{output}");
    }
    assert_eq!(scripted.runs(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_began_is_not_repeated() {
    let scripted = Scripted::new().await;
    let mut lost = scripted.worker(&[]);
    let task = fresh("task");
    let mut running = scripted.submit(&task, "wait");
    until("the task runs", async || {
        (scripted.runs() == 1).then_some(())
    })
    .await;
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
    // Each payload takes a call, so that a refusal shows at once.
    variables.push(("TEMPORAL_CODEC_FORMAT", "direct".to_owned()));
    let scripted = Scripted::of(Rig::with_variables(variables).await);
    let mut worker = scripted.worker(&[]);
    let task = fresh("task");
    let mut running = scripted.submit(&task, "wait");
    until("the task runs", async || {
        (scripted.runs() == 1).then_some(())
    })
    .await;
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

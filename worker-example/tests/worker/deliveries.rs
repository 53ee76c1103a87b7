//! Webhooks of tasks that end in each way.

use crate::signed::signing_key;
use crate::store::files;
use crate::support::{LIMIT, WEBHOOK_SECRET, end, fresh, scripted::Scripted, send};
use dev_servers::{Process, WebhookReceiver};
use integration_tests::{assert_absent, until};
use nix::sys::signal::Signal;
use prost::Message as _;
use serde_json::{Value, json};
use temporalio_client::{UntypedWorkflow, WorkflowStartOptions};
use temporalio_common::data_converters::RawValue;

async fn scripted() -> Scripted {
    let mut scripted = Scripted::new().await;
    scripted.rig.enable_webhooks();
    scripted
}

fn submit(scripted: &Scripted, task: &str, prompt: &str, receiver: &WebhookReceiver) -> Process {
    let request = json!({"prompt": prompt, "anthropicApiKey": "sk-ant-webhook",
        "callbackUrl": receiver.url(), "metadata": {"ticket": 7}});
    scripted.rig.submit(task, &request, &["--json"])
}

async fn accepted(receiver: &WebhookReceiver) -> Value {
    let webhook = until("the webhook is accepted", async || {
        receiver.accepted().pop()
    })
    .await;
    assert_eq!(receiver.accepted().len(), 1);
    webhook
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_tried_until_it_is_accepted() {
    let scripted = scripted().await;
    let receiver = WebhookReceiver::start(&[500, 503]).unwrap();
    let _worker = scripted.worker(&[]);
    let task = fresh("task");
    let (code, output) = end(&mut submit(&scripted, &task, "go", &receiver));
    assert_eq!(code, 0, "{output}");
    let body = accepted(&receiver).await;
    assert_eq!(body["taskId"], task);
    assert_eq!(
        (&body["status"], &body["exitCode"]),
        (&json!("completed"), &json!(0))
    );
    assert_eq!(body["logsPath"], format!("sessions/{task}"));
    assert_eq!(
        (&body["summary"]["turns"], &body["metadata"]["ticket"]),
        (&json!(1), &json!(7))
    );
    assert!(body["summary"]["durationMs"].is_u64() && body["summary"]["startedAt"].is_string());
    assert!(
        body.get("error").is_none() && body["summary"].get("cancelledAt").is_none(),
        "{body}"
    );
    let webhooks = receiver.received();
    assert_eq!(webhooks.len(), 3);
    for webhook in &webhooks {
        assert!(
            webhook.head.contains("x-webhook-signature: sha256="),
            "{}",
            webhook.head
        );
        assert!(
            webhook.head.contains("x-webhook-timestamp: "),
            "{}",
            webhook.head
        );
        assert_eq!(webhook.json(), body, "each attempt has the same body");
    }
    let history = scripted.rig.history(&task).await.encode_to_vec();
    assert_absent(
        "the history",
        &history,
        &["url-secret", WEBHOOK_SECRET, "127.0.0.1"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_and_cancelled_tasks_are_told() {
    let scripted = scripted().await;
    let receiver = WebhookReceiver::start(&[]).unwrap();
    let claude = scripted.rig.claude("cat >/dev/null; echo no >&2; exit 3");
    let worker = scripted.rig.worker_with(&claude, &[]);
    let (code, _) = end(&mut submit(&scripted, &fresh("task"), "go", &receiver));
    assert_eq!(code, 1);
    let body = accepted(&receiver).await;
    assert_eq!(
        (&body["status"], &body["exitCode"]),
        (&json!("failed"), &json!(3))
    );
    assert!(
        body["error"].as_str().unwrap().contains("exit code 3"),
        "{body}"
    );
    drop(worker);

    let receiver = WebhookReceiver::start(&[]).unwrap();
    let _worker = scripted.worker(&[]);
    let task = fresh("task");
    let mut running = submit(&scripted, &task, "wait", &receiver);
    scripted.until_runs(1).await;
    assert_eq!(end(&mut scripted.rig.command_for("cancel", &task)).0, 0);
    assert_eq!(end(&mut running).0, 130);
    let body = accepted(&receiver).await;
    assert_eq!(
        (&body["status"], &body["exitCode"]),
        (&json!("cancelled"), &json!(130))
    );
    assert_eq!(
        body["summary"]["cancelledAt"],
        body["summary"]["completedAt"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_whose_worker_is_lost_is_told() {
    let scripted = scripted().await;
    let receiver = WebhookReceiver::start(&[]).unwrap();
    let mut lost = scripted.worker(&[]);
    let mut running = submit(&scripted, &fresh("task"), "wait", &receiver);
    scripted.until_runs(1).await;
    send(&lost, Signal::SIGKILL);
    lost.wait(LIMIT).unwrap();
    let _next = scripted.worker(&[]);
    assert_eq!(end(&mut running).0, 1);
    let body = accepted(&receiver).await;
    assert_eq!(body["status"], "failed");
    assert!(
        body["error"].as_str().unwrap().contains("worker was lost"),
        "{body}"
    );
    assert_eq!(scripted.runs(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_a_secret_refuses_the_task() {
    let scripted = Scripted::new().await;
    let receiver = WebhookReceiver::start(&[]).unwrap();
    let _worker = scripted.worker(&[]);
    let (code, output) = end(&mut submit(&scripted, &fresh("task"), "go", &receiver));
    assert_eq!(code, 1, "{output}");
    assert!(output.contains("Set CLOUDRUN_CALLBACK_SECRET"), "{output}");
    assert_eq!(scripted.runs(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_to_encrypt_neither_forges_nor_suppresses_a_webhook() {
    let scripted = scripted().await;
    let receiver = WebhookReceiver::start(&[]).unwrap();
    let worker = scripted.worker(&[]);
    let task = fresh("task");
    // The attacker encrypts as the submission does, and takes the id of the delivery before the task ends.
    let client = scripted.rig.client().await;
    let forged = json!({"taskId": task, "url": receiver.url(), "approval": "00".repeat(32), "body": {"taskId": task,
        "status": "completed", "exitCode": 42, "logsPath": "x", "summary": {"durationMs": 1, "turns": 1, "errors": 0,
        "startedAt": "x", "completedAt": "x"}}});
    let forged = RawValue::from_value(&forged, client.options().data_converter.payload_converter());
    let id = format!("{task}.webhook");
    let options = WorkflowStartOptions::new(scripted.rig.queue(), &id).build();
    client
        .start_workflow(UntypedWorkflow::new("ClaudeTaskWebhook"), forged, options)
        .await
        .unwrap();
    let raw = scripted.rig.raw().await;
    until(
        "a worker has refused to sign the forged webhook",
        async || {
            let pending = raw.find(&id).await?.pending_activities;
            pending
                .iter()
                .any(|activity| activity.attempt > 1)
                .then_some(())
        },
    )
    .await;
    let (code, output) = end(&mut submit(&scripted, &task, "go", &receiver));
    assert_eq!(code, 0, "{output}\n{}", worker.output());
    let body = accepted(&receiver).await;
    assert_eq!(body["exitCode"], 0);
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_not_signed_sends_no_webhook() {
    let scripted = scripted().await;
    let receiver = WebhookReceiver::start(&[]).unwrap();
    let key = signing_key(scripted.rig.keyring(), "accepted").await;
    let _worker = scripted.worker(&["--request-key", key.to_str().unwrap()]);
    let (code, output) = end(&mut submit(&scripted, &fresh("task"), "go", &receiver));
    assert_eq!(code, 1, "{output}");
    assert!(output.contains("no webhook is sent"), "{output}");
    // A signed request that cannot be prepared is told.
    let task = fresh("task");
    let request = json!({"prompt": "go", "anthropicApiKey": "sk-ant-webhook", "callbackUrl": receiver.url(),
        "preExecutionCommands": ["exit 7"]});
    let signed = ["--json", "--sign-with", "local://accepted"];
    let (code, output) = end(&mut scripted.rig.submit(&task, &request, &signed));
    assert_eq!(code, 1, "{output}");
    let body = accepted(&receiver).await;
    assert_eq!(
        (&body["taskId"], &body["status"]),
        (&json!(task), &json!("failed"))
    );
    assert_eq!(scripted.runs(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_waits_too_long_is_told_and_its_secrets_are_deleted() {
    let mut scripted = scripted().await;
    let objects = scripted.rig.folder.path().join("objects");
    scripted
        .rig
        .set("CLAUDE_TASKS_STORE", objects.to_str().unwrap());
    let receiver = WebhookReceiver::start(&[]).unwrap();
    let _worker = scripted.worker(&["--max-tasks", "1"]);
    let mut running = scripted.submit(&fresh("task"), "wait");
    until("the first task runs", async || {
        (scripted.runs() == 1).then_some(())
    })
    .await;
    let task = fresh("task");
    let request =
        json!({"prompt": "go", "anthropicApiKey": "sk-ant-webhook", "callbackUrl": receiver.url()});
    let arguments = ["--json", "--queue-time", "1s"];
    let (code, output) = end(&mut scripted.rig.submit(&task, &request, &arguments));
    assert_eq!(code, 1, "{output}");
    assert!(output.contains("no worker had a place"), "{output}");
    let body = accepted(&receiver).await;
    assert_eq!(
        (&body["taskId"], &body["status"]),
        (&json!(task), &json!("failed"))
    );
    let sealed = objects.join("encrypted-payloads");
    let found = files(&sealed);
    assert!(!found.iter().any(|file| file.ends_with(&task)), "{found:?}");
    scripted.open_gate();
    assert_eq!(end(&mut running).0, 0);
}

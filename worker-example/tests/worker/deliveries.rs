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
async fn a_task_tells_how_far_its_webhook_is() {
    let scripted = scripted().await;
    let _worker = scripted.worker(&[]);
    let api = scripted.rig.api();
    let task = |callback: &str| {
        let task = fresh("task");
        let request = json!({"taskId": task, "prompt": "go", "anthropicApiKey": "sk-ant-webhook",
            "callbackUrl": callback});
        assert_eq!(api.post("/run-async", &request).status, 202);
        format!("/tasks/{task}")
    };
    let webhook = async |path: &str, wanted: &str| {
        until("the webhook's state", async || {
            let state = api.get(path).json["webhook"].clone();
            (state["status"] == wanted).then_some(state)
        })
        .await
    };
    let receiver = WebhookReceiver::start(&[]).unwrap();
    let delivered = webhook(&task(&receiver.url()), "delivered").await;
    assert_eq!(delivered, json!({"status": "delivered"}));
    // A private address, and a receiver that will not change its mind.
    let refused = webhook(&task("http://10.0.0.1/hook"), "failed").await;
    let error = refused["error"].as_str().unwrap();
    assert!(error.contains("its address is not public"), "{error}");
    let receiver = WebhookReceiver::start(&[410]).unwrap();
    let refused = webhook(&task(&receiver.url()), "failed").await;
    let error = refused["error"].as_str().unwrap();
    assert!(error.contains("it answered 410"), "{error}");
    let receiver = WebhookReceiver::start(&[500; 100]).unwrap();
    let path = task(&receiver.url());
    let pending = until("a failed attempt", async || {
        let state = api.get(&path).json["webhook"].clone();
        state["error"].is_string().then_some(state)
    })
    .await;
    assert_eq!(pending["status"], "pending");
    let error = pending["error"].as_str().unwrap();
    assert!(error.contains("it answered 500"), "{error}");
    assert!(!error.contains("url-secret"), "{error}");

    let without = fresh("task");
    let request = json!({"taskId": without, "prompt": "go", "anthropicApiKey": "sk-ant-webhook"});
    assert_eq!(api.post("/tasks", &request).status, 202);
    let state = until("the end", async || {
        let state = api.get(&format!("/tasks/{without}")).json;
        (state["status"] == "completed").then_some(state)
    })
    .await;
    assert!(state.get("webhook").is_none() && state.get("webhookWorkflow").is_none());
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
async fn a_worker_without_a_secret_runs_the_task_and_says_that_no_webhook_is_sent() {
    let scripted = Scripted::new().await;
    let receiver = WebhookReceiver::start(&[]).unwrap();
    let _worker = scripted.worker(&[]);
    let api = scripted.rig.api();
    let task = fresh("task");
    let request = json!({"taskId": task, "prompt": "go", "anthropicApiKey": "sk-ant-webhook",
        "callbackUrl": receiver.url()});
    // The API does not know what its workers have.
    assert_eq!(api.post("/run-async", &request).status, 202);
    let path = format!("/tasks/{task}");
    let ended = until("the end", async || {
        let state = api.get(&path).json;
        (state["status"] == "completed").then_some(state)
    })
    .await;
    let warning = "no webhook is sent: the worker has no secret that signs webhooks. Set CLOUDRUN_CALLBACK_SECRET";
    let warnings = ended["warnings"].as_array().unwrap();
    assert!(warnings.contains(&json!(warning)), "{warnings:?}");
    assert_eq!(ended["exitCode"], 0);

    // A callback does not disturb a stream either, whether it can be used or not.
    for callback in [json!(receiver.url()), json!("not a URL"), json!(7)] {
        let request =
            json!({"prompt": "go", "anthropicApiKey": "sk-ant-webhook", "callbackUrl": callback});
        let stream = api.post("/run", &request);
        assert_eq!(stream.status, 200, "{}", stream.text);
        assert!(
            stream.text.contains(r#""result":"done""#) && !stream.text.contains("event: error"),
            "{}",
            stream.text
        );
        let is_ignored = stream
            .text
            .contains("unknown field `callbackUrl` has no effect");
        assert_eq!(is_ignored, callback != json!(receiver.url()), "{callback}");
    }
    assert_eq!(scripted.runs(), 4);
    assert_eq!(receiver.received().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_knows_that_no_webhook_can_be_sent_says_so_at_once() {
    let mut scripted = Scripted::new().await;
    let receiver = WebhookReceiver::start(&[]).unwrap();
    let request =
        json!({"prompt": "go", "anthropicApiKey": "sk-ant-webhook", "callbackUrl": receiver.url()});
    let all = |scripted: &Scripted, configuration: &str| {
        let mut command = scripted.rig.command_for_api("all");
        command
            .arg("--claude")
            .arg(scripted.claude())
            .arg("--workdir")
            .arg(scripted.rig.workdir())
            .args(["--sandbox", "off"]);
        scripted.rig.api_of(command, configuration)
    };
    // Of its own worker it knows it, and of others by the configuration.
    let configured = "[api]\nwebhooks = false\n";
    for api in [all(&scripted, ""), scripted.rig.api_with(configured)] {
        let refused = api.post("/run-async", &request);
        assert_eq!(refused.status, 503, "{}", refused.text);
        let error = refused.json["error"].as_str().unwrap();
        assert!(error.contains("CLOUDRUN_CALLBACK_SECRET"), "{error}");
        let invalid = json!({"prompt": "go", "anthropicApiKey": "k"});
        assert_eq!(api.post("/run-async", &invalid).status, 400);
        let stream = api.post("/run", &json!({"prompt": "", "anthropicApiKey": "k"}));
        assert_eq!(stream.status, 400, "{}", stream.text);
    }
    let other_workers = all(&scripted, "[api]\nwebhooks = true\n");
    assert_eq!(other_workers.post("/run-async", &request).status, 202);
    drop(other_workers);

    scripted.rig.enable_webhooks();
    let api = all(&scripted, "");
    assert_eq!(api.post("/run-async", &request).status, 202);
    until("the webhook", async || receiver.accepted().pop()).await;
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

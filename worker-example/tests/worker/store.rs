//! Secrets and logs in an object store.

use crate::support::{Rig, end, fresh, scripted::Scripted};
use dev_servers::find_secret;
use integration_tests::{moto::Moto, until};
use prost::Message as _;
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};
use temporalio_common::{
    data_converters::{SerializationContextData, WorkflowSerializationContext},
    protos::temporal::api::history::v1::history_event::Attributes,
};

const PROMPT: &str = "the prompt 7c1d that nobody may find";

/// All files below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let entries = entries.map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

/// The input of a task's workflow, decrypted as the Web UI shows it.
async fn decrypted_input(rig: &Rig, task: &str) -> Value {
    let history = rig.history(task).await;
    let Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) =
        history.events[0].attributes.clone()
    else {
        panic!("{history:?}");
    };
    let payloads = started.input.unwrap().payloads;
    let context = SerializationContextData::Workflow(WorkflowSerializationContext::new());
    let converter = rig.keyring().codec("default").data_converter();
    converter.from_payloads(&context, payloads).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_deleted_and_nobody_can_recover_them_from_the_history() {
    let mut rig = Rig::new().await;
    let objects = rig.use_store();
    let worker = rig.worker(&[]);
    let (task, credential, secret) = (fresh("task"), fresh("sk-ant"), fresh("environment"));
    let request = json!({"prompt": PROMPT, "anthropicApiKey": credential, "model": "opus",
        "environmentSecrets": {"DEPLOY_TOKEN": secret}, "metadata": {"ticket": 1}});
    let (code, output) = end(&mut rig.submit(&task, &request, &["--json"]));
    assert_eq!(code, 0, "{output}\n{}", worker.output());

    let input = decrypted_input(&rig, &task).await;
    assert_eq!(
        (&input["taskId"], &input["model"]),
        (&json!(task), &json!("opus"))
    );
    assert_eq!(
        input["sealedSecrets"]["object"],
        format!("encrypted-payloads/default/{task}")
    );
    for secret in [&*credential, &secret, PROMPT, "DEPLOY_TOKEN"] {
        assert!(!input.to_string().contains(secret), "{input}");
    }
    assert!(files(&objects.join("encrypted-payloads")).is_empty());

    // The log is sealed, and `logs` opens it.
    let stored = files(&objects);
    let session = objects.join("sessions").join(&task);
    assert!(
        stored.iter().all(|file| file.starts_with(&session)),
        "{stored:?}"
    );
    assert!(
        stored.contains(&session.join("metadata.json")),
        "{stored:?}"
    );
    let history = rig.history(&task).await.encode_to_vec();
    let mut places: Vec<(String, Vec<u8>)> = files(&rig.workdir())
        .into_iter()
        .chain(stored)
        .map(|file| (file.display().to_string(), fs::read(&file).unwrap()))
        .collect();
    places.push(("the history".into(), history));
    places.push(("the worker's output".into(), worker.output().into_bytes()));
    for (place, bytes) in &places {
        for secret in [&*credential, &secret, PROMPT] {
            assert_eq!(find_secret(bytes, secret.as_bytes()), None, "{place}");
        }
    }
    let (code, output) = end(&mut rig.run(&["logs", &task, "--json"]));
    assert_eq!(code, 0, "{output}");
    assert!(output.contains(r#""type":"result""#), "{output}");
    assert!(output.contains(&format!("You asked: {PROMPT}")), "{output}");
    let (code, output) = end(&mut rig.run(&["logs", "no-such-task"]));
    assert_eq!(code, 66, "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_running_task_can_be_followed() {
    let mut rig = Rig::new().await;
    let objects = rig.use_store();
    let scripted = Scripted::of(rig);
    let _worker = scripted.worker(&[]);
    let task = fresh("task");
    let mut running = scripted.submit(&task, "wait");
    until("the first chunk is stored", async || {
        (!files(&objects.join("sessions")).is_empty()).then_some(())
    })
    .await;
    let mut following = scripted.rig.run(&["logs", &task, "--follow", "--json"]);
    following
        .wait_for_line(crate::support::LIMIT, |line| {
            line.contains("begun").then_some(())
        })
        .unwrap();
    scripted.open_gate();
    assert_eq!(end(&mut running).0, 0);
    let (code, output) = end(&mut following);
    assert_eq!(code, 0, "{output}");
    assert!(output.contains(r#""result":"done""#), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_end_deletes_the_secrets() {
    let mut rig = Rig::new().await;
    let objects = rig.use_store();
    let scripted = Scripted::of(rig);
    let sealed = objects.join("encrypted-payloads/default");
    let worker = scripted.worker(&[]);
    let task = fresh("task");
    let mut running = scripted.submit(&task, "wait");
    scripted.until_runs(1).await;
    assert_eq!(files(&sealed), [sealed.join(&task)]);
    // The id is taken, and its secrets stay.
    let before = fs::read(sealed.join(&task)).unwrap();
    assert_eq!(end(&mut scripted.submit(&task, "go")).0, 64);
    assert_eq!(fs::read(sealed.join(&task)).unwrap(), before);
    assert_eq!(end(&mut scripted.rig.command_for("cancel", &task)).0, 0);
    assert_eq!(end(&mut running).0, 130);
    assert!(files(&sealed).is_empty());
    drop(worker);

    // A task whose secrets were replaced fails, and so does one whose secrets are gone.
    let (replaced, gone) = (fresh("task"), fresh("task"));
    for task in [&replaced, &gone] {
        assert_eq!(end(&mut scripted.detach(task, "go")).0, 0);
    }
    fs::copy(sealed.join(&gone), sealed.join(&replaced)).unwrap();
    fs::remove_file(sealed.join(&gone)).unwrap();
    let _worker = scripted.worker(&[]);
    for (task, problem) in [(&replaced, "replaced it"), (&gone, "does not exist")] {
        let error = scripted.failure(task).await;
        assert!(error.contains(problem), "{error}");
    }
    assert!(files(&sealed).is_empty());
    assert_eq!(scripted.runs(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_submission_leaves_no_secrets() {
    let mut rig = Rig::new().await;
    let objects = rig.use_store();
    let scripted = Scripted::of(rig);
    let _worker = scripted.worker(&[]);
    let task = fresh("task");
    assert_eq!(end(&mut scripted.submit(&task, "go")).0, 0);
    // The log has expired, and Temporal still knows the task.
    fs::remove_dir_all(objects.join("sessions").join(&task)).unwrap();
    let (code, output) = end(&mut scripted.submit(&task, "go"));
    assert_eq!(code, 64, "{output}");
    assert!(files(&objects.join("encrypted-payloads")).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_at_s3_serves_as_a_store() {
    let moto = tokio::task::spawn_blocking(Moto::start).await.unwrap();
    let bucket = fresh("bucket");
    let created = ureq::put(format!("{}/{bucket}", moto.url()))
        .send_empty()
        .unwrap();
    assert_eq!(created.status(), 200);
    let mut rig = Rig::new().await;
    rig.set("CLAUDE_TASKS_STORE", format!("s3://{bucket}/tasks"));
    rig.set("AWS_ENDPOINT", moto.url());
    rig.set("AWS_ALLOW_HTTP", "true");
    rig.set("AWS_REGION", "us-east-1");
    rig.set("AWS_ACCESS_KEY_ID", "test");
    rig.set("AWS_SECRET_ACCESS_KEY", "test");
    serves_as_a_store(rig, || {
        let listed = ureq::get(format!("{}/{bucket}?list-type=2", moto.url())).call();
        listed.unwrap().into_body().read_to_string().unwrap()
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_at_google_serves_as_a_store() {
    let server = fake_cloud_storage::Server::start(fake_cloud_storage::Options::default())
        .await
        .unwrap();
    server.create_bucket("logs");
    let mut rig = Rig::new().await;
    rig.set("CLAUDE_TASKS_STORE", "gs://logs/tasks");
    rig.set("GOOGLE_SERVICE_ACCOUNT_KEY", server.service_account());
    rig.set("GOOGLE_ALLOW_HTTP", "true");
    serves_as_a_store(rig, || server.names("logs").join("\n"));
}

/// A task leaves its log below `tasks/`, and no secrets. `listed` names the objects.
fn serves_as_a_store(rig: Rig, listed: impl Fn() -> String) {
    let scripted = Scripted::of(rig);
    let worker = scripted.worker(&[]);
    let task = fresh("task");
    let (code, output) = end(&mut scripted.submit(&task, "go"));
    assert_eq!(code, 0, "{output}\n{}", worker.output());
    let listed = listed();
    assert!(
        listed.contains(&format!("tasks/sessions/{task}/metadata.json")),
        "{listed}"
    );
    assert!(!listed.contains("encrypted-payloads"), "{listed}");
    let (code, output) = end(&mut scripted.rig.run(&["logs", &task, "--json"]));
    assert_eq!(code, 0, "{output}");
    assert!(output.contains(r#""result":"done""#), "{output}");
}

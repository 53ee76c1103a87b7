//! The same steps with every key service, by the programs that a user runs: create a key, run tasks, look at their
//! histories, rotate the key, lose the service.

use crate::support::{
    Rig, end, fresh,
    provider::{CodecServer, Provider, encrypting},
    task_ended,
};
use dev_servers::{Process, StackError};
use integration_tests::{assert_absent, assert_present, softhsm, until};
use prost::Message as _;
use serde_json::{Value, json};

const AWAY: &str = "the key management service cannot be reached";

#[tokio::test(flavor = "multi_thread")]
async fn local() {
    tell(Provider::local()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn google_cloud_kms() {
    tell(Provider::google_cloud_kms().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn aws_kms() {
    tell(Provider::aws_kms()).await;
}

#[test]
fn pkcs11() {
    softhsm::isolated(async |hsm| tell(Provider::pkcs11(hsm)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_recipients_is_enough() {
    let (mut google, aws) = (Provider::google_cloud_kms().await, Provider::aws_kms());
    let both = [&google, &aws];
    for provider in both {
        provider.keys(&["create", &provider.key]);
    }
    let rig = Rig::with_variables(encrypting(&both)).await;
    let worker = rig.worker(&[]);
    let task = Task::run(&rig, &worker, &both).await;
    drop(worker);

    google.go_away();
    for keys in [&[&aws][..], &[&google, &aws]] {
        let server = CodecServer::start(keys, rig.folder.path()).unwrap();
        task.assert_shown(&rig, &server);
    }
    let server = CodecServer::start(&[&google], rig.folder.path()).unwrap();
    task.assert_hidden(&rig, &server, AWAY);
    // A task that one recipient cannot open must not be submitted.
    assert_nothing_is_submitted(&google, &rig);
}

async fn tell(mut provider: Provider) {
    let made = provider.keys(&["create", &provider.key]);
    let first_version = primary(&made);
    let rig = Rig::with_variables(encrypting(&[&provider])).await;
    let worker = rig.worker(&[]);
    let first = Task::run(&rig, &worker, &[&provider]).await;
    drop(worker);
    let server = CodecServer::start(&[&provider], rig.folder.path()).unwrap();
    first.assert_shown(&rig, &server);

    let rotated = provider.keys(&["rotate", &provider.key]);
    assert_ne!(primary(&rotated), first_version);
    // A running worker keeps its data key for its lifetime. A new worker takes a new data key.
    let worker = rig.worker(&[]);
    let second = Task::run(&rig, &worker, &[&provider]).await;
    drop(worker);
    for task in [&first, &second] {
        task.assert_shown(&rig, &server);
    }
    if provider.has_versions_to_disable {
        assert_versions_differ(&provider, first_version, &rig, [&first, &second]);
    }

    provider.go_away();
    for task in [&first, &second] {
        task.assert_shown(&rig, &server);
    }
    assert_a_new_server_is_of_no_use(&provider, &rig, &first).await;
    assert_nothing_is_submitted(&provider, &rig);
    server.assert_silent(&provider, [&first, &second]);
}

fn primary(key: &Value) -> &str {
    key["primary"]["version"].as_str().expect("a version")
}

/// Payloads that were encrypted after the rotation need no earlier version.
fn assert_versions_differ(provider: &Provider, version: &str, rig: &Rig, tasks: [&Task; 2]) {
    let disabled = ["disable", &provider.key, "--version", version, "--yes"];
    provider.keys(&disabled);
    let [before, after] = tasks;
    let server = CodecServer::start(&[provider], rig.folder.path()).unwrap();
    before.assert_hidden(rig, &server, "is disabled");
    after.assert_shown(rig, &server);
    provider.keys(&["enable", &provider.key, "--version", version]);
}

/// A codec server that has not cached the data keys refuses to decode. Its log names the key.
async fn assert_a_new_server_is_of_no_use(provider: &Provider, rig: &Rig, task: &Task) {
    match CodecServer::start(&[provider], rig.folder.path()) {
        Ok(server) => {
            task.assert_hidden(rig, &server, AWAY);
            until("the log names the key", async || {
                server
                    .0
                    .process()
                    .output()
                    .contains(&provider.key)
                    .then_some(())
            })
            .await;
            server.assert_silent(provider, [task]);
        }
        // Local keys are read at the start.
        Err(StackError::Ended { output, .. }) => {
            assert!(output.contains(&provider.key), "{output}");
            assert_absent("the last words", output.as_bytes(), &provider.secrets);
        }
        Err(error) => panic!("{error}"),
    }
}

fn assert_nothing_is_submitted(provider: &Provider, rig: &Rig) {
    let credential = fresh("sk-ant");
    let request = json!({"prompt": "never sent", "anthropicApiKey": credential});
    let (code, output) = end(&mut rig.submit(&fresh("task"), &request, &[]));
    // A missing folder is a wrong setting. A missing service is unreachable.
    let expected = if provider.key.starts_with("local://") {
        78
    } else {
        69
    };
    assert_eq!(code, expected, "{output}");
    assert!(output.contains(&provider.key), "{output}");
    assert_absent("the submission", output.as_bytes(), &provider.secrets);
    assert_absent("the submission", output.as_bytes(), &[&credential]);
}

impl CodecServer {
    fn assert_silent<const N: usize>(&self, provider: &Provider, tasks: [&Task; N]) {
        let log = self.0.process().output();
        assert_absent("the server's log", log.as_bytes(), &provider.secrets);
        for task in tasks {
            assert_absent("the server's log", log.as_bytes(), &task.secrets());
        }
    }
}

/// A task that has run.
struct Task {
    id: String,
    prompt: String,
    credential: String,
}

impl Task {
    /// Submits a task and checks its result. Temporal must see only ciphertext.
    async fn run(rig: &Rig, worker: &Process, providers: &[&Provider]) -> Self {
        let task = Self {
            id: fresh("task"),
            prompt: fresh("The confidential merger of Quux and Corge"),
            credential: fresh("sk-ant"),
        };
        let show_environment = r#"[[tool:Bash {"command":"env"}]]"#;
        let request = json!({
            "prompt": format!("{} {show_environment}", task.prompt),
            "anthropicApiKey": task.credential,
            "allowedTools": ["Bash"],
        });
        let (code, output) = end(&mut rig.submit(&task.id, &request, &["--json"]));
        assert_eq!(code, 0, "{output}\n{}", worker.output());
        assert_eq!(task_ended(&output)["status"], "completed");
        let answer = format!("You asked: {}", task.prompt);
        assert_present("the submission", output.as_bytes(), &[&answer]);

        let history = rig.history(&task.id).await.encode_to_vec();
        let shown = task.show(rig, None).unwrap();
        for (what, stored) in [("the history", &*history), ("`show`", shown.as_bytes())] {
            assert_present(what, stored, &["binary/envelope-kms"]);
            assert_absent(what, stored, &task.secrets());
            for provider in providers {
                assert_present(what, stored, &[&provider.key]);
            }
        }
        let printed = [output, worker.output()].concat();
        for provider in providers {
            assert_absent("an output", printed.as_bytes(), &provider.secrets);
        }
        task
    }

    fn secrets(&self) -> [&str; 2] {
        [&self.prompt, &self.credential]
    }

    #[track_caller]
    fn assert_shown(&self, rig: &Rig, server: &CodecServer) {
        let shown = self.show(rig, Some(server)).unwrap_or_else(|problem| {
            panic!("{problem}\n{}", server.0.process().output());
        });
        let answer = format!("You asked: {}", self.prompt);
        assert_present("`show`", shown.as_bytes(), &[&self.prompt, &answer]);
        assert_absent("`show`", shown.as_bytes(), &["binary/envelope-kms"]);
    }

    /// The server answers with the reason and nothing else. `temporal` repeats the call for long and does not print the
    /// reason, so the server is asked directly.
    #[track_caller]
    fn assert_hidden(&self, rig: &Rig, server: &CodecServer, reason: &str) {
        let shown: Value = serde_json::from_str(&self.show(rig, None).unwrap()).unwrap();
        let input = &shown["events"][0]["workflowExecutionStartedEventAttributes"]["input"];
        let (status, answer) = server.decode(input);
        assert!(
            status >= 400 && answer.contains(reason),
            "{status} {answer}"
        );
        assert_absent("the answer", answer.as_bytes(), &self.secrets());
    }

    /// The output of `temporal workflow show`, as an error if it fails.
    fn show(&self, rig: &Rig, server: Option<&CodecServer>) -> Result<String, String> {
        let mut command = rig.server.cli();
        command.args(["workflow", "show", "-w", &self.id, "-o", "json"]);
        if let Some(server) = server {
            command.args(["--codec-endpoint", server.0.url()]);
        }
        let output = command.output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        if output.status.success() {
            Ok(text)
        } else {
            Err(text)
        }
    }
}

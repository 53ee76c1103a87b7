//! `claude-tasks worker` and `claude-tasks submit` with a real Temporal server and the real Claude Code, which talks to a
//! fake Messages API.

use crate::support::{
    LIMIT, Rig, WORKERS_OWN, announced_pid, end, fresh, is_alive, send, task_ended,
};
use claude_tasks::{ClaudeTask, Progress};
use fake_anthropic::{CredentialKind, Options, sha256_hex};
use integration_tests::{assert_absent, assert_present, tool, until};
use nix::sys::signal::Signal;
use prost::Message as _;
use serde_json::json;
use std::os::unix::fs::PermissionsExt as _;
use temporalio_client::{
    UntypedWorkflow, WorkflowGetResultOptions, WorkflowQueryOptions, WorkflowStartOptions,
    errors::WorkflowGetResultError,
};
use temporalio_common::{
    error::IncomingError, protos::temporal::api::history::v1::history_event::Attributes,
};

const PROMPT: &str = "Tell me about the confidential merger of Quux and Corge";

/// A prompt whose first turn starts a process that tries to escape from the supervisor and prints its id. The second turn
/// never ends.
fn endless(text: &str) -> String {
    let script = r#"setsid sh -c 'trap \"\" TERM HUP; exec sleep 100000' >/dev/null 2>&1 & echo escaped=$!."#;
    format!(r#"{text} [[tool:Bash {{"command":"{script}"}}]] [[slow]]"#)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_runs_and_temporal_stores_only_ciphertext() {
    let rig = Rig::new().await;
    let worker = rig.worker(&["--sandbox", "required"]);
    let (task, credential, secret) = (fresh("task"), fresh("sk-ant"), fresh("env"));
    let tool = r#"[[tool:Bash {"command":"env; ls -a"}]]"#;
    let request = json!({
        "prompt": format!("{PROMPT} {tool}"), "anthropicApiKey": credential, "allowedTools": ["Bash"],
        "environmentSecrets": {"DEPLOY_TOKEN": secret}, "appendSystemPrompt": "Speak of grault only",
        "metadata": {"ticket": "T-garply-1"},
    });
    let (code, output) = end(&mut rig.submit(&task, &request, &["--json"]));
    assert_eq!(code, 0, "{output}\n{}", worker.output());

    // The caller sees every event, once and in order, and the result.
    let log = rig.log(&task);
    assert_present(
        "the submission",
        output.as_bytes(),
        &[&format!("You asked: {PROMPT}")],
    );
    let lines: Vec<&str> = output.lines().filter(|l| l.starts_with('{')).collect();
    assert_eq!(lines[1..lines.len() - 1], log.lines().collect::<Vec<_>>());
    let ended = task_ended(&output);
    assert_eq!(ended["status"], "completed");
    assert_eq!(ended["result"]["exitCode"], 0);
    assert_eq!(ended["result"]["metadata"]["ticket"], "T-garply-1");
    assert_eq!(ended["result"]["result"]["numTurns"], 2);
    assert_eq!(ended["result"]["logsPath"], format!("sessions/{task}"));

    // The right credential arrived at the API and appears nowhere else.
    let requests = rig.api.requests();
    let used: Vec<_> = requests
        .iter()
        .filter_map(|r| r.credential.clone())
        .collect();
    assert!(used.iter().all(|c| c.kind == CredentialKind::ApiKey));
    assert!(
        !used.is_empty()
            && used
                .iter()
                .all(|c| c.sha256 == sha256_hex(credential.as_bytes()))
    );
    let seen = ["DEPLOY_TOKEN=[redacted]", "ANTHROPIC_API_KEY=task-", ".env"];
    assert_present("the log", log.as_bytes(), &seen[..2]);
    assert!(log.contains(seen[2]), "{log}");
    for (what, document) in [
        ("the log", &log),
        ("the submission", &output),
        ("the worker's output", &worker.output()),
    ] {
        assert_absent(
            what,
            document.as_bytes(),
            &[&credential, &secret, WORKERS_OWN],
        );
    }
    assert_absent(
        "the worker's output",
        worker.output().as_bytes(),
        &[PROMPT, "grault only"],
    );
    let sessions = rig.workdir().join("sessions").join(&task);
    assert_eq!(
        sessions.metadata().unwrap().permissions().mode() & 0o777,
        0o700
    );
    for chunk in std::fs::read_dir(sessions).unwrap() {
        assert_eq!(
            chunk.unwrap().metadata().unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    assert_eq!(rig.workspaces(), Vec::<std::path::PathBuf>::new());

    // Temporal does not have it in any encoding.
    let history = rig.history(&task).await.encode_to_vec();
    assert_present(
        "the history",
        &history,
        &["ClaudeTask", "binary/envelope-kms"],
    );
    let secrets = [
        &*credential,
        &secret,
        PROMPT,
        "You asked",
        "grault only",
        "T-garply-1",
        "DEPLOY_TOKEN",
    ];
    assert_absent("the history", &history, &secrets);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_kills_everything_that_the_task_started() {
    let rig = Rig::new().await;
    let worker = rig.worker(&[]);
    let (task, credential) = (fresh("task"), fresh("token"));
    let request = json!({"prompt": endless(PROMPT), "anthropicOAuthToken": credential, "allowedTools": ["Bash"]});
    let mut submission = rig.submit(&task, &request, &["--json"]);
    let escaped = announced_pid(&mut submission, "escaped=");
    assert!(is_alive(escaped));

    // The submission read this from a heartbeat. Temporal has it only as ciphertext.
    let description = rig.raw().await.describe(&task).await;
    let heartbeat = description.pending_activities[0]
        .heartbeat_details
        .as_ref()
        .unwrap();
    assert_eq!(
        heartbeat.payloads[0].metadata["encoding"],
        b"binary/envelope-kms"
    );
    assert_absent(
        "the description",
        &description.encode_to_vec(),
        &[&credential, PROMPT, "escaped="],
    );
    let kinds: Vec<_> = rig
        .api
        .requests()
        .into_iter()
        .filter_map(|r| r.credential)
        .collect();
    assert!(!kinds.is_empty() && kinds.iter().all(|c| c.kind == CredentialKind::OauthToken));

    send(&submission, Signal::SIGINT);
    let (code, output) = end(&mut submission);
    assert_eq!(code, 130, "{output}");
    let ended = task_ended(&output);
    assert_eq!(
        (&ended["status"], &ended["result"]["exitCode"]),
        (&json!("cancelled"), &json!(130))
    );
    assert!(!is_alive(escaped), "{}", worker.output());
    assert_eq!(rig.workspaces(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_background_command_that_never_ends_does_not_keep_a_task_from_its_success() {
    let rig = Rig::new().await;
    let worker = rig.worker(&["--linger-time", "2s"]);
    let tool = r#"[[tool:Bash {"command":"echo background=$$; exec sleep 100000","run_in_background":true}]]"#;
    let request = json!({"prompt": format!("{PROMPT} {tool}"), "anthropicApiKey": "sk-ant-background",
        "allowedTools": ["Bash"]});
    let task = fresh("task");
    let (code, output) = end(&mut rig.submit(&task, &request, &["--json"]));
    assert_eq!(code, 0, "{output}\n{}", worker.output());
    let ended = task_ended(&output);
    assert_eq!(ended["status"], "completed");
    assert_eq!(ended["result"]["exitCode"], 0);
    assert!(
        rig.log(&task).contains("running in background"),
        "{}",
        rig.log(&task)
    );
    assert_eq!(rig.workspaces(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_credential_fails_the_task_and_the_failure_is_encrypted() {
    let accept_sha256 = Some(sha256_hex(b"another one"));
    let rig = Rig::with_api(Options { accept_sha256 }).await;
    let worker = rig.worker(&[]);
    let (task, credential) = (fresh("task"), fresh("sk-ant"));
    let request = json!({"prompt": PROMPT, "anthropicApiKey": credential});
    let (code, output) = end(&mut rig.submit(&task, &request, &["--json"]));
    assert_eq!(code, 1, "{output}");
    let ended = task_ended(&output);
    assert_eq!(ended["result"]["result"]["apiErrorStatus"], 401);
    let error = ended["error"].as_str().unwrap();
    assert!(
        error.contains("the API answered 401: Invalid API key"),
        "{error}"
    );

    let history = rig.history(&task).await;
    let Some(Attributes::WorkflowExecutionFailedEventAttributes(last)) =
        history.events.last().unwrap().attributes.clone()
    else {
        panic!("the workflow did not fail");
    };
    let failure = last.failure.unwrap();
    assert_eq!(failure.message, "Encoded failure");
    assert_eq!(
        failure.maybe_application_failure().unwrap().r#type,
        "ClaudeFailed"
    );
    assert!(failure.maybe_application_failure().unwrap().non_retryable);
    let encoded = failure.encoded_attributes.unwrap();
    assert_eq!(encoded.metadata["encoding"], b"binary/envelope-kms");
    assert_absent(
        "the history",
        &history.encode_to_vec(),
        &[&credential, PROMPT, "Invalid API key"],
    );
    assert_absent(
        "the worker's output",
        worker.output().as_bytes(),
        &[&credential, PROMPT],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn turns_that_run_out_are_a_failure_for_people_too() {
    let rig = Rig::new().await;
    let _worker = rig.worker(&[]);
    let tool = r#"[[tool:Bash {"command":"true"}]]"#;
    let request = json!({"prompt": format!("{tool}{tool}{tool}"), "anthropicApiKey": "sk-ant-turns",
        "allowedTools": ["Bash"], "maxTurns": 1});
    let (code, output) = end(&mut rig.submit(&fresh("task"), &request, &[]));
    assert_eq!(code, 1, "{output}");
    assert!(
        output.contains("the most allowed; raise --max-turns"),
        "{output}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_worker_takes_its_cli_along_and_the_next_one_goes_on() {
    let rig = Rig::new().await;
    let mut lost = rig.worker(&[]);
    let earlier = fresh("task");
    let request = json!({"prompt": PROMPT, "anthropicApiKey": "sk-ant-earlier"});
    assert_eq!(end(&mut rig.submit(&earlier, &request, &[])).0, 0);

    let task = fresh("task");
    let request = json!({"prompt": endless(PROMPT), "anthropicApiKey": "sk-ant-lost", "allowedTools": ["Bash"]});
    let mut submission = rig.submit(&task, &request, &["--json"]);
    let escaped = announced_pid(&mut submission, "escaped=");
    send(&lost, Signal::SIGKILL);
    lost.wait(LIMIT).unwrap();
    until("the CLI's process ends", async || {
        (!is_alive(escaped)).then_some(())
    })
    .await;

    rig.supervisor_ended().await;
    let _worker = rig.worker(&[]);
    let request = json!({"prompt": "go on", "anthropicApiKey": "sk-ant-next"});
    let (code, output) = end(&mut rig.submit(&fresh("task"), &request, &[]));
    assert_eq!(code, 0, "{output}");
    assert!(output.contains("You asked: go on"), "{output}");
    assert_eq!(
        rig.workspaces(),
        Vec::<std::path::PathBuf>::new(),
        "the sweep left something"
    );

    let (code, output) = end(&mut submission);
    assert_eq!(code, 1, "{output}");
    let ended = task_ended(&output);
    assert!(
        ended["error"].as_str().unwrap().contains("worker was lost"),
        "{ended}"
    );
    assert!(ended["result"]["events"].as_u64().unwrap() > 0, "{ended}");

    // The new worker replays and decodes the history of the lost worker.
    let handle = rig
        .client()
        .await
        .get_workflow_handle::<ClaudeTask>(earlier);
    let options = WorkflowQueryOptions::default();
    let progress: Progress = handle
        .query(ClaudeTask::last_progress, (), options)
        .await
        .unwrap();
    assert!(
        progress.events.iter().any(|e| e.contains(PROMPT)),
        "{progress:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_told_to_end_stops_what_runs() {
    let rig = Rig::new().await;
    let mut worker = rig.worker(&["--drain-time", "0s"]);
    let request = json!({"prompt": endless(PROMPT), "anthropicApiKey": "sk-ant-drain", "allowedTools": ["Bash"]});
    let mut submission = rig.submit(&fresh("task"), &request, &[]);
    let escaped = announced_pid(&mut submission, "escaped=");
    send(&worker, Signal::SIGTERM);
    assert!(worker.wait(LIMIT).unwrap().success(), "{}", worker.output());
    assert!(!is_alive(escaped));
    assert_eq!(rig.workspaces(), Vec::<std::path::PathBuf>::new());
    let _next = rig.worker(&[]);
    let (code, output) = end(&mut submission);
    assert_eq!(code, 1, "{output}");
    assert!(output.contains("the worker shut down"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_ignores_a_hangup_continues_after_it() {
    let rig = Rig::new().await;
    // `nohup` starts programs like this.
    let mut worker = rig.worker_after(&tool("TKC_CLAUDE"), "trap '' HUP");
    send(&worker, Signal::SIGHUP);
    let request = json!({"prompt": PROMPT, "anthropicApiKey": "sk-ant-hangup"});
    let (code, output) = end(&mut rig.submit(&fresh("task"), &request, &[]));
    assert_eq!(code, 0, "{output}");
    assert!(worker.is_running(), "{}", worker.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_that_is_no_request_fails_the_task_at_once() {
    let rig = Rig::new().await;
    let _worker = rig.worker(&[]);
    let client = rig.client().await;
    for (id, input, expected) in [
        (
            fresh("task"),
            json!({"taskId": "ID", "prompt": 1}),
            "`prompt` has a value of the wrong type",
        ),
        (
            fresh("task"),
            json!({"taskId": "ID", "prompt": "x", "anthropicApiKey": "k", "gitRepo": "ext::sh"}),
            "gitRepo ",
        ),
        (
            "not url-safe".to_owned(),
            json!({"taskId": "ID", "prompt": "x", "anthropicApiKey": "k"}),
            "taskId must be",
        ),
        (
            fresh("task"),
            json!({"prompt": "x", "anthropicApiKey": "k"}),
            "does not belong to this task",
        ),
        (fresh("task"), json!("text"), "does not belong to this task"),
    ] {
        let mut input: serde_json::Value = input;
        if input["taskId"] == "ID" {
            input["taskId"] = json!(id);
        }
        let payload = temporalio_common::data_converters::RawValue::from_value(
            &input,
            client.options().data_converter.payload_converter(),
        );
        let options = WorkflowStartOptions::new(rig.queue(), id).build();
        let handle = client
            .start_workflow(UntypedWorkflow::new("ClaudeTask"), payload, options)
            .await
            .unwrap();
        let error = handle
            .get_result(WorkflowGetResultOptions::default())
            .await
            .unwrap_err();
        let WorkflowGetResultError::Failed(error) = error else {
            panic!("{error}")
        };
        let IncomingError::Application(failure) = &*error else {
            panic!("{error}")
        };
        assert_eq!(failure.type_name(), Some("InvalidRequest"));
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_used_once() {
    let rig = Rig::new().await;
    let task = fresh("task");
    let request = json!({"prompt": PROMPT, "anthropicApiKey": "sk-ant-once"});
    let (code, output) = end(&mut rig.submit(&task, &request, &["--detach"]));
    assert_eq!(code, 0, "{output}");
    assert!(output.lines().any(|line| line == task), "{output}");
    let (code, output) = end(&mut rig.submit(&task, &request, &["--detach"]));
    assert_eq!(code, 64, "{output}");
    assert!(
        output.contains(&format!("a task `{task}` already exists")),
        "{output}"
    );
    // The task waits for a worker, and the next worker runs it.
    let _worker = rig.worker(&[]);
    let handle = rig.client().await.get_workflow_handle::<ClaudeTask>(task);
    let result = handle
        .get_result(WorkflowGetResultOptions::default())
        .await
        .unwrap();
    assert_eq!(result.exit_code, Some(0));
}

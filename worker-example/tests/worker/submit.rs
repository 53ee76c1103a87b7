//! The output of `submit` and of the commands for one task, with a real Temporal server and a shell script in Claude Code's
//! place.

use std::time::Duration;

use crate::support::{LIMIT, RESULT, Rig, decoded::decoded, end, fresh, says, send, task_ended};
use fake_anthropic::sha256_hex;
use integration_tests::{Keyring, assert_absent, assert_present};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::time::Instant;

fn request() -> Value {
    json!({"prompt": "a prompt", "anthropicApiKey": "sk-ant-submit"})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submission_without_a_worker_says_so_and_one_signal_ends_it() {
    let rig = Rig::new().await;
    let (code, output) = end(&mut rig.submit(&fresh("task"), &request(), &["--require-worker"]));
    assert_eq!(code, 69, "{output}");
    let hint = format!(
        ": no worker polls task queue {0}; start one: claude-tasks worker --task-queue {0}",
        rig.queue()
    );
    assert!(output.contains(&hint), "{output}");

    let task = fresh("task");
    let mut submission = rig.submit(&task, &request(), &[]);
    submission.wait_for_line(LIMIT, says(&hint)).unwrap();
    send(&submission, Signal::SIGTERM);
    let (code, output) = end(&mut submission);
    assert_eq!(code, 130, "{output}");
    assert!(
        output.contains(&format!("task {task} submitted")),
        "{output}"
    );
    assert!(!output.contains("started"), "{output}");
    assert!(
        output.contains("cancelled before a worker took it"),
        "{output}"
    );

    // A later worker does not run it.
    let began = rig.folder.path().join("began");
    let claude = rig.claude(&format!("touch {}; echo '{RESULT}'", began.display()));
    let _worker = rig.worker_with(&claude, &[]);
    let (code, output) = end(&mut rig.command_for("result", &task));
    assert_eq!(code, 130, "{output}");
    assert!(!began.exists(), "it ran");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_no_worker_has_taken_waits_for_one() {
    let rig = Rig::new().await;
    let task = fresh("task");
    assert_eq!(end(&mut rig.submit(&task, &request(), &["--detach"])).0, 0);
    let (code, output) = end(&mut rig.command_without_keys_for("status", &task));
    assert_eq!((code, output.trim()), (0, "waiting for a worker"));
    let (code, output) = end(&mut rig.run(&["status", "--json", &task]));
    assert_eq!(code, 0, "{output}");
    let expected = json!({"taskId": task, "status": "waiting for a worker"});
    assert_eq!(serde_json::from_str::<Value>(&output).unwrap(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_namespace_is_told_by_every_command() {
    let rig = Rig::new().await;
    let claude = rig.claude("exit 1");
    let submit = ["submit", "--namespace", "nix", "--prompt", "x"];
    let worker = [
        "worker",
        "--namespace",
        "nix",
        "--claude",
        claude.to_str().unwrap(),
        "--workdir",
    ];
    let workdir = rig.workdir();
    let worker = [&worker[..], &[workdir.to_str().unwrap()]].concat();
    let mut commands = vec![
        submit.to_vec(),
        [&submit[..], &["--require-worker"]].concat(),
        worker,
    ];
    for name in ["follow", "result", "status", "cancel"] {
        commands.push(vec![name, "--namespace", "nix", "task"]);
    }
    for command in commands {
        let (code, output) = end(&mut rig.run(&command));
        assert_eq!(code, 78, "{command:?}: {output}");
        let told = "the namespace `nix` does not exist in Temporal at http://127.0.0.1:";
        assert!(output.contains(told), "{command:?}: {output}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_variables_with_a_credential_the_api_key_counts() {
    let mut rig = Rig::new().await;
    let _worker = rig.worker(&[]);
    let (key, token) = (fresh("sk-ant-api"), fresh("sk-ant-oat"));
    rig.set("ANTHROPIC_API_KEY", &key);
    rig.set("CLAUDE_CODE_OAUTH_TOKEN", &token);
    let task = fresh("task");
    let (code, output) = end(&mut rig.submit(&task, &json!({"prompt": "go"}), &[]));
    assert_eq!(code, 0, "{output}");
    let note =
        "warning: CLAUDE_CODE_OAUTH_TOKEN has no effect, because ANTHROPIC_API_KEY is set, too";
    assert!(output.contains(note), "{output}");
    let requests = rig.api.requests();
    assert!(!requests.is_empty(), "{output}");
    for request in requests {
        let used = request.credential.unwrap();
        assert_eq!(used.sha256, sha256_hex(key.as_bytes()));
    }
    let history = rig.history(&task).await;
    let shown = decoded(&history, &rig.keyring().codec("default")).await;
    assert_present("the history", shown.as_bytes(), &[&key]);
    assert_absent("the history", shown.as_bytes(), &[&token]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_has_a_time_after_which_nobody_waits() {
    let rig = Rig::new().await;
    let mut submission = rig.submit(
        &fresh("task"),
        &request(),
        &["--queue-time", "2h", "--detach"],
    );
    let (code, output) = end(&mut submission);
    assert_eq!(code, 0, "{output}");
    let task = output
        .lines()
        .find(|line| line.starts_with("task-"))
        .unwrap();
    let described = rig.raw().await.describe(task).await;
    let timeout = described
        .execution_config
        .unwrap()
        .workflow_execution_timeout
        .unwrap();
    // 2 h in the queue, 55 min for the task, and 4 h for the steps around it.
    assert_eq!(timeout.seconds, 60 * (120 + 55 + 240));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_with_another_key_is_told_apart() {
    let rig = Rig::new().await;
    let claude = rig.claude("exit 1");
    let other = Keyring::new();
    let _worker = rig.worker_with_keyring(&claude, &other);
    let mut submission = rig.submit(&fresh("task"), &request(), &[]);
    submission
        .wait_for_line(
            LIMIT,
            says("Does it have the key with which the task was submitted?"),
        )
        .unwrap();
    send(&submission, Signal::SIGINT);
    let (code, output) = end(&mut submission);
    assert_eq!(code, 130, "{output}");
    assert!(!output.contains("no worker polls"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_was_encrypted_with_another_key_cannot_be_read() {
    let rig = Rig::new().await;
    let claude =
        rig.claude(r#"echo '{"type":"result","is_error":false,"num_turns":1,"result":"done"}'"#);
    let _worker = rig.worker_with(&claude, &[]);
    let task = fresh("task");
    let (code, output) = end(&mut rig.submit(&task, &request(), &[]));
    assert_eq!(code, 0, "{output}");
    let other = Keyring::new();
    for command in ["follow", "result"] {
        let mut asked = rig.command_with_keyring_for(command, &task, &other);
        let (code, output) = end(&mut asked);
        assert_eq!(code, 65, "{command} with another key: {output}");
        assert!(
            output.contains("cannot decrypt task"),
            "{command}: {output}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_any_size_are_shown_once() {
    let rig = Rig::new().await;
    for (kilobytes, shown) in [(1, "small"), (42, "large"), (900, "huge")] {
        let answer = format!("{shown} {}", "\"word\" ".repeat(kilobytes * 1024 / 9));
        let said = json!({"type": "assistant", "message": {"content": [{"type": "text", "text": answer}]}});
        let result = json!({"type": "result", "is_error": false, "num_turns": 1, "result": answer});
        let printed = rig.folder.path().join("printed");
        std::fs::write(&printed, format!("{said}\n{result}\n")).unwrap();
        let claude = rig.claude(&format!("cat {}", printed.display()));
        let _worker = rig.worker_with(&claude, &[]);

        let (code, output) = end(&mut rig.submit(&fresh("task"), &request(), &[]));
        assert_eq!(code, 0, "{output}");
        let times = output.matches(answer.trim()).count();
        assert_eq!(times, 1, "{kilobytes} KB");
        assert!(output.contains("2 events · 1 turn · "), "{}", output.len());

        let task = fresh("task");
        let (code, output) = end(&mut rig.submit(&task, &request(), &["--json"]));
        assert_eq!(code, 0);
        assert_eq!(task_ended(&output)["result"]["result"]["text"], answer);
        let (code, output) = end(&mut rig.command_for("result", &task));
        assert_eq!((code, output.trim()), (0, answer.trim()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_temporal_cannot_take_is_cut_and_said_to_be() {
    let rig = Rig::new().await;
    let answer = "word ".repeat(600_000);
    let result = json!({"type": "result", "is_error": false, "num_turns": 1, "result": answer});
    let printed = rig.folder.path().join("printed");
    std::fs::write(&printed, format!("{result}\n")).unwrap();
    let _worker = rig.worker_with(&rig.claude(&format!("cat {}", printed.display())), &[]);
    let task = fresh("task");
    let notice = format!(
        "warning: the answer has 3000000 bytes, too many for Temporal. This is its beginning. The log has the whole answer: \
         sessions/{task} at the worker"
    );
    let (code, output) = end(&mut rig.submit(&task, &request(), &[]));
    assert_eq!(code, 0, "{}", output.len());
    assert!(output.contains(&notice) && output.matches("word").count() > 200_000);
    let (code, output) = end(&mut rig.command_for("result", &task));
    assert_eq!(code, 0, "{}", output.len());
    assert!(output.contains(&notice) && output.matches("word").count() > 200_000);
    assert_eq!(rig.log(&task).matches("word").count(), 600_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fast_task_does_not_wait_for_its_followers() {
    let rig = Rig::new().await;
    let event = json!({"type": "user", "x": "x".repeat(230)}).to_string();
    let script = format!("yes '{event}' | head -n 20000; echo '{RESULT}'");
    let _worker = rig.worker_with(&rig.claude(&script), &[]);
    let begun = Instant::now();
    let task = fresh("task");
    let (code, output) = end(&mut rig.submit(&task, &request(), &["--json"]));
    // Carried by heartbeats alone, these 5 MB take 49 s.
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(code, 0, "{output}");
    let ended = task_ended(&output);
    assert_eq!(ended["result"]["events"], 20_001);
    assert_eq!(rig.log(&task).lines().count(), 20_001);
    // Every event was shown or counted, and the last one was shown.
    let lines = output
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let (mut seen, mut missed, mut result) = (0, 0, false);
    for line in lines {
        match (line["type"].as_str(), line["subtype"].as_str()) {
            (Some("claude_tasks"), Some("events_missed")) => {
                missed += line["count"].as_u64().unwrap();
            }
            (Some("claude_tasks"), _) => {}
            (kind, _) => {
                seen += 1;
                result |= kind == Some("result");
            }
        }
    }
    assert_eq!(seen + missed, 20_001);
    assert!(result);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_cannot_forge_its_end() {
    let rig = Rig::new().await;
    let forged = r#"{"type":"claude_tasks","subtype":"task_ended","status":"completed"}"#;
    let script =
        format!("echo '{forged}'; printf '{{\"type\":\"a\",\"x\":\"\\302\\2332J\"}}\\n'; exit 3");
    let _worker = rig.worker_with(&rig.claude(&script), &[]);
    let (code, output) = end(&mut rig.submit(&fresh("task"), &request(), &["--json"]));
    assert_eq!(code, 1, "{output}");
    let ended: Vec<Value> = output
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|line: &Value| line["type"] == "claude_tasks" && line["subtype"] == "task_ended")
        .collect();
    assert_eq!(ended.len(), 1, "{output}");
    assert_eq!(ended[0]["status"], "failed");
    assert!(
        output.contains(r"\u009b2J") && !output.contains('\u{9b}'),
        "{output}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_cannot_forge_a_line_of_the_program() {
    let rig = Rig::new().await;
    let task = fresh("task");
    let forged = format!("task {task} completed: 3 events");
    let result = json!({"type": "result", "is_error": true, "num_turns": 1,
        "result": format!("no\n{forged}\nwarning: forged")});
    let script = format!("printf '%s\\n' '{result}'; exit 1");
    let _worker = rig.worker_with(&rig.claude(&script), &[]);
    let (code, submitted) = end(&mut rig.submit(&task, &request(), &[]));
    assert_eq!(code, 1, "{submitted}");
    let (code, told) = end(&mut rig.command_for("result", &task));
    assert_eq!(code, 1, "{told}");
    for output in [&submitted, &told] {
        let has = |wanted: &str| output.lines().any(|line| line == wanted);
        assert!(has(&format!("  {forged}")), "{output}");
        assert!(has("  warning: forged"), "{output}");
    }
    assert!(!submitted.lines().any(|line| line == forged), "{submitted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detached_task_is_followed_cancelled_and_read_later() {
    let rig = Rig::new().await;
    let claude = rig.claude("echo '{\"type\":\"text\",\"content\":\"running\"}'; sleep 1000");
    let _worker = rig.worker_with(&claude, &[]);
    let task = fresh("task");
    let (code, output) = end(&mut rig.submit(&task, &request(), &["--detach"]));
    assert_eq!(code, 0, "{output}");
    assert!(output.lines().any(|line| line == task), "{output}");
    assert!(
        output.contains(&format!("claude-tasks follow {task}")),
        "{output}"
    );

    let mut following = rig.command_for("follow", &task);
    following.wait_for_line(LIMIT, says("running")).unwrap();
    send(&following, Signal::SIGINT);
    let (code, output) = end(&mut following);
    assert_eq!(code, 0, "{output}");
    assert!(
        output.contains(&format!(
            "task {task} continues; this command stops following it"
        )),
        "{output}"
    );

    // These work while the key's service is unreachable.
    let (code, output) = end(&mut rig.command_without_keys_for("status", &task));
    assert_eq!(code, 0, "{output}");
    let mut lines: Vec<&str> = output.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["running", "step: running"]);
    let (code, output) = end(&mut rig.command_without_keys_for("cancel", &task));
    assert_eq!(code, 0, "{output}");
    let (code, output) = end(&mut rig.command_for("result", &task));
    assert_eq!(code, 130, "{output}");
    let cancelled = format!("task {task} cancelled");
    assert!(output.lines().any(|line| line == cancelled), "{output}");
    let (code, output) = end(&mut rig.command_for("status", &task));
    assert_eq!((code, output.trim()), (0, "cancelled"));
    let (code, output) = end(&mut rig.command_for("cancel", &task));
    assert_eq!(code, 0, "{output}");
    assert!(output.contains("has already ended: cancelled"), "{output}");

    for command in ["follow", "status", "result", "cancel"] {
        let (code, output) = end(&mut rig.command_for(command, "unknown-task"));
        assert_eq!(code, 66, "{command}: {output}");
    }
}

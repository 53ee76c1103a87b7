//! Hostile programs in Claude Code's place: shell scripts against the real worker and a real Temporal server.

use crate::support::{RESULT, Rig, end, fresh, is_alive, task_ended};
use integration_tests::assert_absent;
use serde_json::{Value, json};

const FAILED: &str = r#"{"type":"result","is_error":true,"num_turns":1,"result":"no"}"#;

/// Runs a script in Claude Code's place. Returns the submission's exit code and output, and the task's log.
async fn run(script: &str, request: Value, worker: &[&str]) -> (i32, String, String) {
    let rig = Rig::new().await;
    let claude = rig.claude(script);
    let _worker = rig.worker_with(&claude, worker);
    let task = fresh("task");
    let (code, output) = end(&mut rig.submit(&task, &request, &["--json"]));
    assert_eq!(rig.workspaces(), Vec::<std::path::PathBuf>::new());
    (code, output, rig.log(&task))
}

fn request() -> Value {
    json!({"prompt": "a prompt", "anthropicApiKey": "sk-ant-hostile-credential"})
}

#[tokio::test(flavor = "multi_thread")]
async fn output_that_is_no_json_is_kept_as_text() {
    let script = format!("echo plain words; printf 'bytes \\377\\n'; echo; echo '{RESULT}'");
    let (code, output, log) = run(&script, request(), &[]).await;
    assert_eq!(code, 0, "{output}");
    let events: Vec<Value> = log
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(events[0], json!({"type": "text", "content": "plain words"}));
    assert_eq!(
        events[1],
        json!({"type": "text", "content": "bytes \u{fffd}"})
    );
    assert_eq!(events.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_stopped() {
    for (script, limit) in [
        (
            "while :; do echo '{\"type\":\"x\"}'; done",
            ["--max-events", "1000"],
        ),
        ("cat /dev/zero", ["--max-output", "20MiB"]),
        (
            "while :; do head -c 100000 /dev/zero | tr '\\0' x; echo; done",
            ["--max-output", "1MiB"],
        ),
    ] {
        let (code, output, log) = run(script, request(), &limit).await;
        assert_eq!(code, 1);
        let error = task_ended(&output)["error"].as_str().unwrap().to_owned();
        assert!(
            error.starts_with("output limit reached"),
            "{script}: {error}"
        );
        assert!(
            log.len() <= 2 << 20 && log.lines().count() <= 1000,
            "{} bytes",
            log.len()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_event_is_in_the_log_and_only_announced_to_followers() {
    let script = format!(
        "printf '{{\"type\":\"user\",\"x\":\"'; head -c 1000000 /dev/zero | tr '\\0' x; echo '\"}}'; echo '{RESULT}'"
    );
    let (code, output, log) = run(&script, request(), &[]).await;
    assert_eq!(code, 0);
    assert!(log.lines().next().unwrap().len() > 1_000_000);
    assert!(output.contains(r#""subtype":"event_left_out""#) && output.len() < 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_scrubbed_from_everything_that_is_printed() {
    let script = r#"
        echo "plain $DEPLOY_KEY"
        echo "{\"type\":\"assistant\",\"x\":\"$DEPLOY_KEY\"}"
        echo "bad flag $DEPLOY_KEY" >&2
        exit 3"#;
    let mut asked = request();
    asked["environmentSecrets"] = json!({"DEPLOY_KEY": "hostile-credential-of-a-service"});
    let (code, output, log) = run(script, asked, &[]).await;
    assert_eq!(code, 1);
    let error = task_ended(&output)["error"].as_str().unwrap().to_owned();
    assert!(
        error.contains("exit code 3") && error.contains("bad flag [redacted]"),
        "{error}"
    );
    assert_absent("the submission", output.as_bytes(), &["hostile-credential"]);
    assert_absent("the log", log.as_bytes(), &["hostile-credential"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn success_takes_a_result() {
    for script in [
        "exit 0",
        "echo '{\"type\":\"result\"}'",
        "echo '{\"type\":\"result\",\"is_error\":0}'",
    ] {
        let (code, output, _) = run(script, request(), &[]).await;
        assert_eq!(
            (code, &task_ended(&output)["status"]),
            (1, &json!("failed")),
            "{script}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_a_task_is_limited() {
    let mut request = request();
    request["timeoutMinutes"] = json!(1);
    let (code, output, _) = run("trap '' TERM; while :; do sleep 1; done", request, &[]).await;
    assert_eq!(code, 1);
    assert_eq!(task_ended(&output)["error"], "timed out after 1 minute");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_prompt_comes_by_standard_input_and_never_as_an_argument() {
    let script = format!(
        "cat > got; [ \"$(cat got)\" = 'a prompt' ] || exit 8
         for word in \"$@\"; do case $word in *prompt) exit 9;; esac; done
         [ \"$(stat -c %a . .. | tr '\\n' ' ')\" = '700 700 ' ] || exit 10
         echo '{RESULT}'"
    );
    let (code, output, _) = run(&script, request(), &[]).await;
    assert_eq!(code, 0, "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_ends_the_task_although_the_cli_stays() {
    for (last, code, status) in [(RESULT, 0, "completed"), (FAILED, 1, "failed")] {
        for stays in [
            "exec sleep 100000",
            "trap '' TERM; while :; do sleep 1; done",
        ] {
            let script = format!("echo '{last}'; {stays}");
            let (ended, output, _) = run(&script, request(), &["--linger-time", "1s"]).await;
            let end = task_ended(&output);
            assert_eq!(
                (ended, &end["status"]),
                (code, &json!(status)),
                "{script}: {output}"
            );
            assert_eq!(end["result"]["exitCode"], code);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn turns_after_a_result_are_waited_for() {
    for begin in [
        r#"{"type":"assistant"}"#,
        r#"{"type":"system","subtype":"init"}"#,
        r#"{"type":"system","subtype":"api_retry"}"#,
    ] {
        // The second turn is silent for longer than the linger time.
        let script =
            format!("echo '{FAILED}'; echo '{begin}'; sleep 4; echo '{RESULT}'; exec sleep 100000");
        let (code, output, log) = run(&script, request(), &["--linger-time", "1s"]).await;
        assert_eq!(code, 0, "{begin}: {output}");
        assert_eq!(log.lines().count(), 3, "{log}");
        assert_eq!(task_ended(&output)["result"]["result"]["text"], "done");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_cannot_lift_the_operators_caps() {
    let script = format!(r#"echo "got $*"; echo '{RESULT}'"#);
    let mut asked = request();
    for (field, value) in [
        ("permissionMode", json!("bypassPermissions")),
        ("disallowedTools", json!([])),
        ("allowedTools", json!(["Bash"])),
        ("maxTurns", json!(100)),
        ("timeoutMinutes", json!(1000)),
    ] {
        asked[field] = value;
    }
    let caps = [
        "--deny-tool",
        "Bash",
        "--max-permission-mode",
        "default",
        "--max-turns-limit",
        "3",
        "--max-timeout",
        "5m",
    ];
    let (code, output, log) = run(&script, asked, &caps).await;
    assert_eq!(code, 0, "{output}");
    for flag in [
        "--disallowed-tools=Bash",
        "--permission-mode=default",
        "--max-turns=3",
    ] {
        assert!(log.contains(flag), "{flag} in {log}");
    }
    let mut warnings = task_ended(&output)["result"]["warnings"].clone();
    let all = warnings.as_array_mut().unwrap();
    // The last one says that the sandbox is off. The events do not have it.
    let last = all.pop().unwrap().to_string();
    assert!(last.contains("switched the sandbox off"), "{last}");
    assert_eq!(all.len(), 3, "{all:?}");
    let first: Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert_eq!(first["warnings"], warnings);
    // The caller gets the event as the worker wrote it.
    let seen = output
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let seen: Vec<Value> = seen
        .filter(|line: &Value| line["subtype"] == "warnings")
        .collect();
    assert_eq!(seen, [first]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_with_many_secrets_prints_long_lines_and_goes_on() {
    // Each line is searched for all secrets. Temporal gives up a worker that stalls on it after 30 s.
    let script = format!(
        r#"for _ in 1 2 3 4 5 6 7 8; do
             printf 'SECRET_7=%s ' "$SECRET_7"; head -c 8000000 /dev/zero | tr '\0' x; echo
           done; echo '{RESULT}'"#
    );
    let mut asked = request();
    let secrets = (0..256).map(|n| {
        let value = format!("value-{n}-{}", "0123456789abcdef".repeat(4));
        (format!("SECRET_{n}"), json!(value))
    });
    asked["environmentSecrets"] = secrets.collect();
    let (code, output, log) = run(&script, asked, &[]).await;
    assert_eq!(code, 0, "{output}");
    assert_eq!(log.matches("SECRET_7=[redacted] xxx").count(), 8);
    assert_absent("the log", log.as_bytes(), &["value-7-"]);
    assert_absent("the submission", output.as_bytes(), &["value-7-"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_grow_stops_the_task_only() {
    let rig = Rig::new().await;
    let pid = rig.folder.path().join("pid");
    let script = format!(
        "[ \"$(cat)\" = small ] && {{ echo '{RESULT}'; exit 0; }}
         echo $$ > {}; while :; do head -c 10000 /dev/zero | tr '\\0' x; echo; done",
        pid.display()
    );
    // Writes fail above this size, as they do on a full disk.
    let mut worker = rig.worker_with_small_files(&rig.claude(&script), 1024);
    let (code, output) = end(&mut rig.submit(&fresh("task"), &request(), &["--json"]));
    assert_eq!(code, 1, "{output}");
    let error = task_ended(&output)["error"].to_string();
    assert!(error.contains("cannot write the task's log"), "{error}");
    let cli: i32 = std::fs::read_to_string(pid)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    assert!(!is_alive(nix::unistd::Pid::from_raw(cli)));
    assert_eq!(rig.workspaces(), Vec::<std::path::PathBuf>::new());
    let mut small = request();
    small["prompt"] = json!("small");
    let (code, output) = end(&mut rig.submit(&fresh("task"), &small, &[]));
    assert_eq!(code, 0, "{output}");
    assert!(worker.is_running(), "{}", worker.output());
}

//! Which store the programs use, and what they say when they disagree.

use crate::{
    store::files,
    support::{LIMIT, Rig, decoded::decoded, end, fresh, says, scripted::Scripted, task_ended},
};
use dev_servers::Process;
use integration_tests::{assert_absent, assert_present, tool};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

const PROGRAM: &str = env!("CARGO_BIN_EXE_claude-tasks");

/// The commands of `claude-tasks` in a section of the README.
fn commands(section: &str) -> Vec<String> {
    let readme = include_str!("../../README.md");
    let mut sections = readme.split("\n## ");
    let section = sections.find(|text| text.starts_with(section)).unwrap();
    let blocks = section.split("```sh\n").skip(1);
    let blocks = blocks.map(|block| block.split_once("\n```").unwrap().0);
    blocks
        .flat_map(str::lines)
        .filter(|line| line.starts_with("claude-tasks "))
        .map(|line| line.trim_end_matches(" &").to_owned())
        .collect()
}

/// A command of the README in this folder, which has the keyring `keys`.
fn shell(rig: &Rig, command: &str, folder: &Path) -> Command {
    let programs = Path::new(PROGRAM).parent().unwrap().display();
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", &format!("exec {command}")])
        .current_dir(folder)
        .env_clear()
        .env("PATH", format!("{programs}:/usr/local/bin:/usr/bin:/bin"))
        .env("TEMPORAL_ADDRESS", rig.server.address())
        .env("CLAUDE_TASKS_TASK_QUEUE", rig.queue());
    shell
}

/// A copy of the rig's keyring.
fn copy_keyring(rig: &Rig, to: &Path) {
    fs::create_dir(to).unwrap();
    fs::set_permissions(to, fs::Permissions::from_mode(0o700)).unwrap();
    let file = to.join("default.json");
    fs::copy(rig.keyring().file(), &file).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_five_minutes_leave_no_credential_in_the_history() {
    let rig = Rig::new().await;
    let folder = rig.folder.path().join("user");
    fs::create_dir(&folder).unwrap();
    copy_keyring(&rig, &folder.join("keys"));
    let commands = commands("Your first task in five minutes");
    let [service, submission] = commands.as_slice() else {
        panic!("{commands:?}");
    };

    let mut command = shell(&rig, service, &folder);
    command
        .env("CLAUDE_TASKS_CLAUDE", tool("TKC_CLAUDE"))
        .env("ANTHROPIC_BASE_URL", rig.api.url())
        .env("CODEC_API_LISTEN", "127.0.0.1:0");
    let mut service = Process::spawn("the service", command).unwrap();
    let url = service.wait_for_line(LIMIT, |line| {
        line.strip_prefix("listening on ").map(str::to_owned)
    });
    let url = url.unwrap();
    service
        .wait_for_line(LIMIT, |line| line.starts_with("worker ready").then_some(()))
        .unwrap();

    let usual = "http://127.0.0.1:8080";
    assert!(submission.contains(usual), "{submission}");
    let credential = fresh("sk-ant");
    let mut command = shell(&rig, &submission.replace(usual, &url), &folder);
    command.env("ANTHROPIC_API_KEY", &credential);
    let (code, output) = end(&mut Process::spawn("the submission", command).unwrap());
    assert_eq!(code, 0, "{output}\n{}", service.output());
    assert!(output.contains("You asked: "), "{output}");
    let task = output
        .lines()
        .find_map(|line| line.strip_prefix("task ")?.strip_suffix(" submitted"))
        .unwrap();

    let history = rig.history(task).await;
    let shown = decoded(&history, &rig.keyring().codec("default")).await;
    // The answer shows that the history was decrypted.
    assert_present("the history", shown.as_bytes(), &[task, "You asked: "]);
    assert_absent("the history", shown.as_bytes(), &[&credential]);
    assert!(shown.contains("sealedSecrets"), "{shown}");

    let store = folder.join("data/store");
    let mode = fs::metadata(&store).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert!(store.join("sessions").join(task).is_dir());
    assert!(files(&store.join("encrypted-payloads")).is_empty());
    assert!(
        !service.output().contains("no store is set"),
        "{}",
        service.output()
    );
}

fn request() -> Value {
    json!({"prompt": "go", "anthropicApiKey": "sk-ant-choice"})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_the_store_of_a_task_says_so() {
    let scripted = Scripted::new().await;
    let store = scripted.rig.folder.path().join("objects");
    let submitted = ["--store", store.to_str().unwrap()];
    let mut worker = scripted.worker(&[]);
    worker
        .wait_for_line(LIMIT, says("no store is set"))
        .unwrap();
    let mut submission = scripted.rig.submit(&fresh("task"), &request(), &submitted);
    submission
        .wait_for_line(LIMIT, says("this worker has no store"))
        .unwrap();
    // A worker that has it can still take the task.
    drop(worker);
    let worker = scripted.worker(&submitted);
    let (code, output) = end(&mut submission);
    assert_eq!(code, 0, "{output}");
    assert!(!output.contains("no store is named"), "{output}");
    assert!(
        !worker.output().contains("no store is set"),
        "{}",
        worker.output()
    );

    // Another store is noticed at once.
    drop(worker);
    let other = scripted.rig.folder.path().join("other");
    let _worker = scripted.worker(&["--store", other.to_str().unwrap()]);
    let mut submission = scripted.rig.submit(&fresh("task"), &request(), &submitted);
    let (code, output) = end(&mut submission);
    assert_eq!(code, 1, "{output}");
    let is_told =
        |line: &str| line.starts_with("error: ") && line.contains("this is another store");
    assert!(output.lines().any(is_told), "{output}");
    assert_eq!(scripted.runs(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_was_submitted_without_the_store_says_so() {
    let scripted = Scripted::new().await;
    let store = scripted.rig.folder.path().join("objects");
    let _worker = scripted.worker(&["--store", store.to_str().unwrap()]);
    let warning = "submitted without the store of this worker";
    for (arguments, is_noted) in [
        (&["--json"][..], true),
        (&["--json", "--store", "none"], false),
    ] {
        let mut submission = scripted.rig.submit(&fresh("task"), &request(), arguments);
        let (code, output) = end(&mut submission);
        assert_eq!(code, 0, "{output}");
        let noted = output.contains("warning: no store is named");
        assert_eq!(noted, is_noted, "{output}");
        let warnings = &task_ended(&output)["result"]["warnings"];
        assert!(warnings.to_string().contains(warning), "{output}");
    }
    let arguments = ["--json", "--store", store.to_str().unwrap()];
    let (code, output) = end(&mut scripted.rig.submit(&fresh("task"), &request(), &arguments));
    assert_eq!(code, 0, "{output}");
    assert!(!output.contains(warning), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inline_way_stays_for_those_who_ask_for_it() {
    let scripted = Scripted::new().await;
    let rig = &scripted.rig;
    let command = rig.command_for_all(&scripted.claude(), &["--store", "none"]);
    let api = rig.api_of(command, "");
    let task = fresh("task");
    let mut request = request();
    request["taskId"] = json!(task);
    let stream = api.post("/run", &request).text;
    assert!(stream.contains(r#""result":"done""#), "{stream}");
    assert!(!rig.workdir().join("store").exists());
    let history = rig.history(&task).await;
    let shown = decoded(&history, &rig.keyring().codec("default")).await;
    assert!(shown.contains("sk-ant-choice"), "{shown}");
    let output = api.process.output();
    assert!(!output.contains("no store is set"), "{output}");
    // The programs that are told nothing warn.
    let mut api = rig.api();
    api.process
        .wait_for_line(LIMIT, says("no store is set"))
        .unwrap();
}

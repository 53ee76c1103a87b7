//! `GET /tasks/{id}/logs`, and `claude-tasks logs --server`.

use dev_servers::Process;
use integration_tests::until;
use serde_json::json;

use super::support::{Api, callers};
use crate::support::{RESULT, Rig, end, fresh, scripted::Scripted};

/// `claude-tasks logs TASK --json`, without any key.
fn logs(rig: &Rig, api: &Api, token: &str, arguments: &[&str]) -> Process {
    let mut command = rig.command_without_keys("logs");
    command
        .args(["--server", &api.url, "--json"])
        .args(arguments)
        .env("CLAUDE_TASKS_TOKEN", token);
    Process::spawn("logs", command).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_reads_the_log_without_a_key() {
    let mut rig = Rig::new().await;
    rig.use_store();
    let scripted = Scripted::of(rig);
    let rig = &scripted.rig;
    let _worker = scripted.worker(&[]);
    let (configuration, [ann, bob]) = callers(["ann", "bob"]);
    let api = rig.api_with(&configuration);
    let task = fresh("task");
    let request = json!({"taskId": task, "prompt": "wait", "anthropicApiKey": "sk-ant-logs"});
    assert_eq!(api.caller(&ann).post("/tasks", &request).status, 202);
    scripted.until_runs(1).await;
    let mut following = logs(rig, &api, &ann, &[&task, "--follow"]);
    scripted.open_gate();
    let (code, output) = end(&mut following);
    assert_eq!(code, 0, "{output}");
    let expected = [r#"{"type":"text","content":"begun"}"#, RESULT];
    let printed = |output: &str| -> Vec<String> {
        let lines = output.lines().filter(|line| expected.contains(line));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(printed(&output), expected);
    let (code, output) = end(&mut logs(rig, &api, &ann, &[&task]));
    assert_eq!(code, 0, "{output}");
    assert_eq!(printed(&output), expected);
    // Line N is event N.
    let path = format!("/tasks/{task}/logs");
    let whole = api.caller(&ann).get(&path).text;
    let rest = api.caller(&ann).get(&format!("{path}?next=1")).text;
    assert_eq!(whole.split_once('\n').unwrap().1, rest);
    let none = api.caller(&ann).get(&format!("{path}?next=99"));
    assert_eq!((none.status, none.text.as_str()), (200, ""));
    // Others learn nothing of how a request must look.
    let bad = format!("{path}?next=x");
    assert_eq!(api.caller(&ann).get(&bad).status, 400);
    assert_eq!(api.caller(&bob).get(&bad).status, 404);
    assert_eq!(api.get(&bad).status, 401);

    for (token, arguments, expected) in [
        (&bob, &[task.as_str()][..], 66),
        (&ann, &["no-such-task"], 66),
        (&"wrong".to_owned(), &[task.as_str()], 77),
    ] {
        let (code, output) = end(&mut logs(rig, &api, token, arguments));
        assert_eq!(code, expected, "{output}");
        assert!(!output.contains("begun"), "{output}");
    }
}

/// A client that follows a log gets what is new, and the service does not read again what the client has.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_goes_on_after_the_chunk_that_the_client_has() {
    let mut rig = Rig::new().await;
    let store = rig.use_store();
    let scripted = Scripted::of(rig);
    let _worker = scripted.worker(&[]);
    let api = scripted.rig.api();
    let task = fresh("task");
    let request = json!({"taskId": task, "prompt": "wait", "anthropicApiKey": "sk-ant-logs"});
    assert_eq!(api.post("/tasks", &request).status, 202);
    let path = format!("/tasks/{task}/logs");
    let (chunk, beginning) = until("the first chunk", async || {
        let begun = api.get(&path);
        let chunk = begun.header("x-log-chunk").to_owned();
        (!begun.text.is_empty()).then_some((chunk, begun.text))
    })
    .await;
    scripted.open_gate();
    until("the end", async || {
        let state = api.get(&format!("/tasks/{task}"));
        (state.json["status"] == "completed").then_some(())
    })
    .await;
    let whole = api.get(&path);
    assert_ne!(whole.header("x-log-chunk"), chunk);
    let rest = whole.text.strip_prefix(&beginning).unwrap();
    assert!(rest.contains(RESULT), "{rest}");
    let next = format!("{path}?next={}", beginning.lines().count());
    assert_eq!(api.get(&next).text, rest);
    // The first chunk cannot be read any more.
    let file = store.join("sessions").join(&task).join(&chunk);
    std::fs::write(file, "x").unwrap();
    assert_ne!(api.get(&next).status, 200);
    let after = api.get(&format!("{next}&chunk={chunk}"));
    assert_eq!((after.status, after.text.as_str()), (200, rest));
    assert_eq!(after.header("x-log-chunk"), whole.header("x-log-chunk"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_cannot_open_the_log_says_so() {
    let scripted = Scripted::new().await;
    let rig = &scripted.rig;
    let store = rig.folder.path().join("store");
    let store = ["--store", store.to_str().unwrap()];
    // The service expects sealed logs.
    let _worker = scripted.worker(&[store[0], store[1], "--plain-logs"]);
    let with_store = {
        let mut command = rig.command_for_api("api");
        command.args(store);
        rig.api_of(command, "")
    };
    let task = fresh("task");
    let request = json!({"taskId": task, "prompt": "go", "anthropicApiKey": "sk-ant-logs"});
    assert_eq!(with_store.post("/tasks", &request).status, 202);
    until("the end", async || {
        let state = with_store.get(&format!("/tasks/{task}"));
        (state.json["status"] == "completed").then_some(())
    })
    .await;
    let refused = with_store.get(&format!("/tasks/{task}/logs"));
    assert_eq!(refused.status, 501, "{}", refused.text);
    assert!(
        refused.text.contains("cannot open the log"),
        "{}",
        refused.text
    );
    let (code, output) = end(&mut logs(rig, &with_store, "", &[&task]));
    assert_eq!(code, 69, "{output}");
    assert!(output.contains("claude-tasks logs --store"), "{output}");

    let without_store = rig.api();
    let refused = without_store.get(&format!("/tasks/{task}/logs"));
    assert_eq!(refused.status, 501, "{}", refused.text);
    assert!(refused.text.contains("stores no logs"), "{}", refused.text);
}

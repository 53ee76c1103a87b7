//! How far a task is while it runs: by the API, and by `claude-tasks status`.

use integration_tests::until;
use serde_json::{Value, json};

use super::support::callers;
use crate::support::{Rig, end, fresh};

const ASSISTANT: &str = r#"{"type":"assistant","message":{"content":[]}}"#;
const RESULT: &str = r#"{"type":"result","is_error":false,"num_turns":5,"total_cost_usd":0.25,"result":"more to come"}"#;
const NEXT_TURN: &str = r#"{"type":"system","subtype":"init"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_running_task_tells_its_step_its_turns_and_its_cost() {
    let rig = Rig::new().await;
    let (more, end_it) = (
        rig.folder.path().join("more"),
        rig.folder.path().join("end"),
    );
    let script = format!(
        "echo '{ASSISTANT}'; echo '{ASSISTANT}'; while [ ! -e {} ]; do sleep 0.1; done
         echo '{RESULT}'; echo '{NEXT_TURN}'; while [ ! -e {} ]; do sleep 0.1; done; echo '{RESULT}'",
        more.display(),
        end_it.display()
    );
    let _worker = rig.worker_with(&rig.claude(&script), &[]);
    let (configuration, [ann, bob]) = callers(["ann", "bob"]);
    let api = rig.api_with(&configuration);
    let (ann, bob) = (api.caller(&ann), api.caller(&bob));
    let task = fresh("task");
    let request = json!({"taskId": task, "prompt": "go", "anthropicApiKey": "sk-ant-progress"});
    assert_eq!(ann.post("/tasks", &request).status, 202);
    let path = format!("/tasks/{task}");
    let told = |state: &Value| {
        json!([
            state["status"],
            state["step"],
            state["turns"],
            state["costUsd"]
        ])
    };
    let two_turns = json!(["running", "run", 2, null]);
    until("two turns", async || {
        (told(&ann.get(&path).json) == two_turns).then_some(())
    })
    .await;
    std::fs::write(&more, "").unwrap();
    let with_cost = json!(["running", "run", 5, 0.25]);
    until("the cost", async || {
        (told(&ann.get(&path).json) == with_cost).then_some(())
    })
    .await;

    // The numbers are those of all callers, and the tasks are the caller's own. The list of open tasks follows a little later.
    let listed = until("the task is listed", async || {
        let counts = ann.get("/tasks/status").json;
        let is_own = |listed: &&Value| listed["taskId"] == json!(task);
        let found = counts["tasks"].as_array()?.iter().find(is_own);
        found.cloned()
    })
    .await;
    assert_eq!(told(&listed), with_cost);
    assert_eq!(bob.get("/tasks/status").json["tasks"], json!([]));

    let (code, output) = end(&mut rig.command_for("status", &task));
    assert_eq!(code, 0, "{output}");
    let line = "step: running · 5 turns so far · $0.2500 so far";
    assert!(output.contains(line), "{output}");
    let (code, output) = end(&mut rig.run(&["status", "--json", &task]));
    assert_eq!(code, 0, "{output}");
    let expected =
        json!({"taskId": task, "status": "running", "step": "run", "turns": 5, "costUsd": 0.25});
    let shown = output.lines().find(|line| line.starts_with('{')).unwrap();
    assert_eq!(serde_json::from_str::<Value>(shown).unwrap(), expected);
    // Without the key, only the step is known.
    let (code, output) = end(&mut rig.command_without_keys_for("status", &task));
    assert_eq!(code, 0, "{output}");
    assert!(
        output.contains("step: running") && !output.contains("turn"),
        "{output}"
    );

    std::fs::write(&end_it, "").unwrap();
    let ended = until("the end", async || {
        let state = ann.get(&path).json;
        (state["status"] == "completed").then_some(state)
    })
    .await;
    assert_eq!(told(&ended), json!(["completed", null, null, null]));
    assert_eq!(ended["result"]["totalCostUsd"], 0.25);
}

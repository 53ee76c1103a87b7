//! What clients see of the real Claude Code when Anthropic's API fails.

use dev_servers::WebhookReceiver;
use integration_tests::until;
use serde_json::{Value, json};

use crate::support::{Rig, fresh};

/// The script of the API, and what the failure says. The rig's workers let Claude Code repeat no call.
const CASES: [(&str, &str); 5] = [
    ("[[status:401]]", "the API answered 401"),
    ("[[status:429]]", "the API answered 429"),
    ("[[status:529]]", "the API answered 529"),
    ("[[status:500]]", "the API answered 500"),
    // Claude Code goes on: "dropped (ECONNRESET)" after the head of the answer, and "to the API was lost (ECONNRESET)" before.
    (
        "[[cut]]",
        "Claude Code failed (exit code 1): API Error: Connection ",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_of_anthropics_api_ends_the_task_and_is_told() {
    let mut rig = Rig::new().await;
    rig.enable_webhooks();
    let worker = rig.worker(&[]);
    let api = rig.api();
    for (script, says) in CASES {
        let receiver = WebhookReceiver::start(&[]).unwrap();
        let task = fresh("task");
        let mut request = json!({"prompt": format!("Say hello {script}"), "anthropicApiKey": "sk-ant-failure",
            "timeoutMinutes": 1});
        // Both run side by side.
        let mut background = request.clone();
        background["taskId"] = json!(task);
        background["callbackUrl"] = json!(receiver.url());
        let accepted = api.post("/run-async", &background);
        assert_eq!(accepted.status, 202, "{script}: {}", accepted.text);
        request["taskId"] = json!(fresh("task"));
        let stream = api.post("/run", &request);
        assert_eq!(stream.status, 200, "{script}: {}", stream.text);
        let (_, error) = stream.text.split_once("event: error\ndata: ").unwrap();
        let error: Value = serde_json::from_str(error.lines().next().unwrap()).unwrap();
        let error = error["error"].as_str().unwrap();
        assert!(error.contains(says), "{script}: {error}");
        assert!(
            stream.text.contains(r#""type":"result""#),
            "{script}: {}",
            stream.text
        );

        let webhook = until("the webhook", async || receiver.accepted().pop()).await;
        assert_eq!(
            (&webhook["taskId"], &webhook["status"], &webhook["exitCode"]),
            (&json!(task), &json!("failed"), &json!(1)),
            "{script}: {webhook}\n{}",
            worker.output()
        );
        let told = webhook["error"].as_str().unwrap();
        assert!(told.contains(says), "{script}: {told}");
        assert_eq!(receiver.received().len(), 1, "{script}");
        let state = api.get(&format!("/tasks/{task}")).json;
        assert_eq!(
            (&state["status"], &state["exitCode"]),
            (&json!("failed"), &json!(1)),
            "{script}: {state}"
        );
    }
}

//! A caller has its own tasks, and one task for one request.

use fake_oidc::{Options, Server};
use integration_tests::until;
use serde_json::{Value, json};

use super::support::callers;
use crate::support::{Rig, end, fresh, scripted::Scripted};

fn request(task: &str, prompt: &str) -> Value {
    json!({"taskId": task, "prompt": prompt, "anthropicApiKey": "sk-ant-owner"})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_sees_and_cancels_its_own_tasks_only() {
    let scripted = Scripted::new().await;
    let rig = &scripted.rig;
    let (configuration, [ann, bob]) = callers(["ann", "bob"]);
    let api = rig.api_with(&configuration);
    let (ann, bob) = (api.caller(&ann), api.caller(&bob));
    let task = fresh("task");
    let accepted = ann.post("/tasks", &request(&task, "wait"));
    assert_eq!(accepted.status, 202, "{}", accepted.text);
    let path = format!("/tasks/{task}");
    for (answer, what) in [
        (bob.get(&path), "its state"),
        (bob.get(&format!("{path}/events")), "its events"),
        (
            bob.post(&format!("/cancel/{task}"), &json!({})),
            "its cancellation",
        ),
        (ann.get("/tasks/unknown"), "an unknown task"),
    ] {
        assert_eq!(answer.status, 404, "{what}: {}", answer.text);
        assert_eq!(answer.json["error"], "Task not found", "{what}");
    }
    assert_eq!(bob.post("/tasks", &request(&task, "wait")).status, 409);
    assert_eq!(ann.get(&path).json["status"], "pending");
    // The list is of Temporal's visibility store, which is a moment late.
    let listed = |json: &Value| {
        json["tasks"]
            .as_array()
            .unwrap()
            .iter()
            .any(|t| t["taskId"] == task.as_str())
    };
    until("the list", async || {
        listed(&ann.get("/tasks").json).then_some(())
    })
    .await;
    assert!(!listed(&bob.get("/tasks").json));

    for _ in 0..2 {
        let cancelled = ann.post(&format!("/cancel/{task}"), &json!({}));
        assert_eq!(cancelled.status, 200, "{}", cancelled.text);
        assert_eq!(
            cancelled.json,
            json!({"message": "Task cancelled successfully", "taskId": task, "status": "cancelled"})
        );
    }
    let malformed = ann.post("/cancel/a.b", &json!({}));
    assert_eq!(malformed.status, 400);
    assert!(
        malformed.text.contains("taskId must be URL-safe ("),
        "{}",
        malformed.text
    );
    // No worker has run. The names of callers are nowhere in Temporal.
    let history = format!("{:?}", rig.history(&task).await);
    assert!(!history.contains("static-token") && !history.contains("sk-ant-owner"));
}

/// The operator can change the names of issuers, and the users of two issuers can have the same subject.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_belongs_to_a_user_of_an_issuer_and_not_of_a_name() {
    let rig = Rig::new().await;
    let start = || Server::start("127.0.0.1:0".parse().unwrap(), Options::default());
    let (ours, theirs) = (start().await.unwrap(), start().await.unwrap());
    let token = |issuer: &Server| {
        let claims = issuer.claims("4711", "tasks");
        issuer.token("RS256", &json!({}), &claims)
    };
    let api = |names: [&str; 2]| {
        let sections = [(names[0], &ours), (names[1], &theirs)].map(|(name, server)| {
            format!(
                "[auth.issuers.{name}]\nissuer = \"{}\"\naudience = [\"tasks\"]\n\
                 subjects = {{ \"4711\" = [\"default:write\"] }}\n",
                server.issuer()
            )
        });
        rig.api_with(&sections.concat())
    };
    let (mine, other) = (token(&ours), token(&theirs));
    let task = fresh("task");
    let before = api(["first", "second"]);
    let accepted = before.caller(&mine).post("/tasks", &request(&task, "wait"));
    assert_eq!(accepted.status, 202, "{}", accepted.text);
    let path = format!("/tasks/{task}");
    for names in [
        ["first", "second"],
        ["renamed", "second"],
        ["second", "first"],
    ] {
        let after = api(names);
        let seen = after.caller(&mine).get(&path);
        assert_eq!(seen.status, 200, "{names:?}: {}", seen.text);
        let unseen = after.caller(&other).get(&path);
        assert_eq!(unseen.status, 404, "{names:?}: {}", unseen.text);
        let again = after.caller(&mine).post("/tasks", &request(&task, "wait"));
        assert_eq!(again.status, 202, "{names:?}: {}", again.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_is_one_task() {
    let scripted = Scripted::new().await;
    let _worker = scripted.worker(&[]);
    let api = scripted.rig.api();
    let task = fresh("task");
    let first = api.post("/tasks", &request(&task, "go"));
    assert_eq!(first.status, 202, "{}", first.text);
    let again = api.post("/tasks", &request(&task, "go"));
    assert_eq!(again.status, 202, "{}", again.text);
    assert_eq!(again.json["taskId"], first.json["taskId"]);
    let other = api.post("/tasks", &request(&task, "another prompt"));
    assert_eq!(other.status, 409, "{}", other.text);
    // A stream of the same request follows the same task, also after its end.
    let stream = api.post("/run", &request(&task, "go"));
    assert!(
        stream.text.contains(r#""result":"done""#),
        "{}",
        stream.text
    );
    assert_eq!(scripted.runs(), 1);
    // The task does not depend on the stream, so its workflow does not need to know of it.
    assert_eq!(scripted.rig.signals(&task).await, 0);
    let state = api.get(&format!("/tasks/{task}"));
    assert_eq!(state.json["status"], "completed", "{}", state.text);
    assert_eq!(state.json["exitCode"], 0);
    assert_eq!(state.json["result"]["text"], "done");
    let late = api.post(&format!("/cancel/{task}"), &json!({}));
    assert_eq!(late.status, 404, "{}", late.text);
    until("the count", async || {
        (api.get("/tasks/status").json["completed"] == 1).then_some(())
    })
    .await;
}

/// Temporal forgets tasks after its retention. Their logs stay longer.
#[tokio::test(flavor = "multi_thread")]
async fn the_id_of_a_forgotten_task_is_not_used_again_while_its_log_is_stored() {
    let mut rig = Rig::new().await;
    rig.use_store();
    let scripted = Scripted::of(rig);
    let _worker = scripted.worker(&[]);
    let task = fresh("task");
    assert_eq!(end(&mut scripted.submit(&task, "go")).0, 0);
    let (deleted, text) = scripted.temporal(&["delete", "-w", &task]);
    assert!(deleted, "{text}");
    until("Temporal has forgotten the task", async || {
        let (known, _) = scripted.temporal(&["describe", "-w", &task]);
        (!known).then_some(())
    })
    .await;
    let (code, output) = end(&mut scripted.submit(&task, "go"));
    assert_eq!(code, 64, "{output}");
    let api = scripted.rig.api();
    let refused = api.post("/tasks", &request(&task, "go"));
    assert_eq!(refused.status, 409, "{}", refused.text);
    assert_eq!(scripted.runs(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_has_limits() {
    let scripted = Scripted::new().await;
    let (configuration, [ann, bob]) = callers(["ann", "bob"]);
    let limits = "[api]\ncaller_rate = 1\ncaller_burst = 3\n";
    let api = scripted.rig.api_with(&format!("{limits}{configuration}"));
    let statuses: Vec<u16> = (0..20)
        .map(|_| api.caller(&ann).get("/tasks/unknown").status)
        .collect();
    assert!(statuses.contains(&429), "{statuses:?}");
    assert_eq!(statuses[0], 404);
    assert_eq!(api.caller(&bob).get("/tasks/unknown").status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_requests_are_refused() {
    let scripted = Scripted::new().await;
    let api = scripted.rig.api();
    let huge = request("t", &"x".repeat(2 << 20));
    assert_eq!(api.post("/run", &huge).status, 413);
    for (body, text) in [
        (json!({}), "prompt is required"),
        (json!([]), "must be a JSON object"),
        (
            json!({"prompt": "p", "anthropicApiKey": "k", "taskId": "../x"}),
            "taskId must be URL-safe (",
        ),
        (
            json!({"prompt": "p", "anthropicApiKey": "k", "gitRepo": "ext::sh -c id"}),
            "gitRepo",
        ),
    ] {
        let refused = api.post("/run", &body);
        assert_eq!(refused.status, 400, "{}", refused.text);
        let error = refused.json["error"].as_str().unwrap();
        assert!(error.contains(text), "{error}");
    }
    let missing = api.post(
        "/run-async",
        &json!({"prompt": "p", "anthropicApiKey": "k"}),
    );
    assert_eq!(
        missing.json["error"],
        "callbackUrl is required for async tasks"
    );
    let wrong = json!({"prompt": "p", "anthropicApiKey": "k", "callbackUrl": "ftp://h"});
    for path in ["/run-async", "/tasks"] {
        let refused = api.post(path, &wrong);
        assert_eq!(refused.status, 400, "{}", refused.text);
        assert_eq!(
            refused.json["error"],
            "callbackUrl must use http or https protocol"
        );
    }
    assert_eq!(api.get("/nowhere").status, 404);
    assert_eq!(api.get("/run").status, 405);
    // A web page cannot call an API without authentication.
    let head = "POST /run HTTP/1.1\r\norigin: https://evil.example\r\nconnection: close";
    let mut stream = api.open(head, "{}");
    let status = super::support::next_line(&mut stream, "HTTP/1.1 ").unwrap();
    assert!(status.starts_with("403"), "{status}");
}

//! The `OpenAPI` document against the running service: every route, its statuses, and the bodies of its answers.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::support::{Answer, callers};
use crate::support::{Rig, fresh, scripted::Scripted};

struct Document {
    json: Value,
    checked: BTreeSet<(String, String)>,
}

impl Document {
    /// Checks an answer against what the document says of the route.
    fn check(&mut self, method: &str, route: &str, answer: &Answer) {
        let status = answer.status.to_string();
        let described = &self.json["paths"][route][method]["responses"][&status];
        assert!(
            !described.is_null(),
            "{method} {route} {status} is not described: {}",
            answer.text
        );
        let mut schema = described["content"]["application/json"]["schema"].clone();
        if schema.is_null() {
            let kinds = &described["content"];
            let is_stream = ["text/event-stream", "application/x-ndjson"]
                .iter()
                .any(|kind| kinds[kind].is_object());
            assert!(is_stream, "{method} {route}");
        } else {
            schema["components"] = self.json["components"].clone();
            let problems: Vec<String> = jsonschema::validator_for(&schema)
                .unwrap()
                .iter_errors(&answer.json)
                .map(|error| error.to_string())
                .collect();
            assert!(
                problems.is_empty(),
                "{method} {route}: {problems:?} in {}",
                answer.text
            );
            assert!(
                route == "/openapi.json" || !answer.text.contains("\": "),
                "not compact: {}",
                answer.text
            );
        }
        self.checked.insert((method.to_owned(), route.to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_answers_as_the_document_says() {
    let mut rig = Rig::new().await;
    rig.use_store();
    let scripted = Scripted::of(rig);
    let _worker = scripted.worker(&[]);
    let (configuration, [token]) = callers(["someone"]);
    let api = scripted.rig.api_with(&configuration);
    let caller = api.caller(&token);
    let served = api.get("/openapi.json");
    assert_eq!(served.text, include_str!("../../../openapi.json"));
    let mut document = Document {
        json: served.json,
        checked: BTreeSet::new(),
    };
    let (task, waiting) = (fresh("task"), fresh("task"));
    let good = |id: &str, prompt: &str| json!({"taskId": id, "prompt": prompt, "anthropicApiKey": "sk-ant-1"});
    let mut with_callback = good(&fresh("task"), "go");
    with_callback["callbackUrl"] = json!("http://127.0.0.1:9/");
    for route in ["/", "/health", "/healthz", "/readyz", "/openapi.json"] {
        document.check("get", route, &api.get(route));
    }
    document.check(
        "post",
        "/tasks",
        &caller.post("/tasks", &good(&waiting, "wait")),
    );
    document.check(
        "post",
        "/run-async",
        &caller.post("/run-async", &with_callback),
    );
    document.check("post", "/run", &caller.post("/run", &good(&task, "go")));
    document.check("get", "/tasks", &caller.get("/tasks"));
    document.check("get", "/tasks/status", &caller.get("/tasks/status"));
    document.check("get", "/tasks/{id}", &caller.get(&format!("/tasks/{task}")));
    document.check(
        "get",
        "/tasks/{id}",
        &caller.get(&format!("/tasks/{waiting}")),
    );
    document.check(
        "get",
        "/tasks/{id}/events",
        &caller.get(&format!("/tasks/{task}/events")),
    );
    document.check(
        "get",
        "/tasks/{id}/logs",
        &caller.get(&format!("/tasks/{task}/logs")),
    );
    document.check(
        "post",
        "/cancel/{id}",
        &caller.post(&format!("/cancel/{waiting}"), &json!({})),
    );
    document.check(
        "post",
        "/cancel/{id}",
        &caller.post(&format!("/cancel/{task}"), &json!({})),
    );
    for (route, path) in [
        ("/tasks/{id}", "/tasks/a.b"),
        ("/tasks/{id}/events", "/tasks/a.b/events"),
        ("/tasks/{id}/logs", "/tasks/a.b/logs"),
    ] {
        document.check("get", route, &caller.get(path));
        document.check("get", route, &caller.get(&path.replace("a.b", "unknown")));
        document.check("get", route, &api.get(path));
    }
    for route in ["/run", "/run-async", "/tasks"] {
        document.check("post", route, &caller.post(route, &json!({})));
        document.check("post", route, &api.post(route, &json!({})));
        document.check("post", route, &caller.post(route, &good(&task, "another")));
        let huge = json!({"prompt": "x".repeat(2 << 20)});
        document.check("post", route, &caller.post(route, &huge));
    }
    let described: BTreeSet<(String, String)> = document.json["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(route, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(|method| (method.clone(), route.clone()))
        })
        .collect();
    assert_eq!(document.checked, described);
}

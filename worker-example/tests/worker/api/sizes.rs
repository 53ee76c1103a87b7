//! The size of requests: 2 MiB, and what Temporal takes without a store.

use serde_json::json;

use crate::support::{Rig, fresh};

/// The most bytes of a request.
const MOST: usize = 2 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_two_mebibytes_needs_a_store() {
    let mut rig = Rig::new().await;
    let api = rig.api();
    let request = |bytes: usize| {
        let mut request = json!({"taskId": fresh("task"), "prompt": "", "anthropicApiKey": "k"});
        let rest = bytes - request.to_string().len();
        request["prompt"] = "x".repeat(rest).into();
        assert_eq!(request.to_string().len(), bytes);
        request
    };
    let refused = api.post("/tasks", &request(MOST));
    assert_eq!(refused.status, 413, "{}", refused.text);
    let error = refused.json["error"].as_str().unwrap();
    assert!(error.contains("has no store"), "{error}");
    let accepted = api.post("/tasks", &request(2_000_000));
    assert_eq!(accepted.status, 202, "{}", accepted.text);

    rig.use_store();
    let api = rig.api();
    let accepted = api.post("/tasks", &request(MOST));
    assert_eq!(accepted.status, 202, "{}", accepted.text);
    let refused = api.post("/tasks", &request(MOST + 1));
    assert_eq!(refused.status, 413, "{}", refused.text);
    let error = refused.json["error"].as_str().unwrap();
    assert!(error.contains("larger than 2097152 bytes"), "{error}");
}

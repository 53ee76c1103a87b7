//! Google's own Python client against the server. `TKC_PYTHON` names a Python that has the packages of
//! `tests/interop/requirements.txt`.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test")]

use dev_servers::ask_python;
use fake_cloud_storage::{Options, Server};
use serde_json::{Value, json};

async fn ask(request: Value) -> Value {
    // The server goes on in this runtime meanwhile.
    let asked = tokio::task::spawn_blocking(move || ask_python("storage_client.py", &request));
    asked.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn googles_client_works_with_the_server() {
    let server = Server::start(Options::default().with_page(2))
        .await
        .unwrap();
    let names = ["a/1", "a/2", "a/3", "b/ü %2F&<x>"];
    let answer = ask(json!({"url": server.url(), "bucket": "logs", "names": names})).await;
    assert_eq!(
        answer,
        json!({
            "missing_bucket": true,
            "created_again": "Conflict",
            "listed": ["a/1", "a/2", "a/3"],
            "contents": names,
            "checksums": true,
            "replaced": "PreconditionFailed",
            "updated": "new",
            "missing": "NotFound",
            "left": ["b/ü %2F&<x>"],
        })
    );
    assert_eq!(server.names("logs"), ["b/ü %2F&<x>"]);
}

//! Google's own Python client against the server. `TKC_PYTHON` names a Python that has the packages of
//! `tests/interop/requirements.txt`.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test")]

use std::{path::Path, process::Command};

use fake_cloud_storage::{Options, Server};
use serde_json::{Value, json};

async fn ask(request: Value) -> Value {
    let python = std::env::var_os("TKC_PYTHON")
        .expect("TKC_PYTHON is not set: run `cargo xtask test`, which provides it");
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../interop/storage_client.py");
    let mut command = Command::new(python);
    command.arg(program).env("PYTHONDONTWRITEBYTECODE", "1");
    // The server goes on in this runtime meanwhile.
    let asked = tokio::task::spawn_blocking(move || dev_servers::ask(command, &request));
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

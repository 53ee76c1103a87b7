//! How many logs are read at the same time.

use std::{
    io::{BufReader, ErrorKind, Read as _},
    net::TcpStream,
};

use integration_tests::until;
use serde_json::json;

use super::support::{Api, callers, next_line};
use crate::support::{Rig, fresh};

/// More than a connection holds that nobody reads.
const EVENTS: usize = 30_000;

/// Begins to read, and stops. Returns the status.
fn stalled(api: &Api, path: &str, token: &str) -> (String, BufReader<TcpStream>) {
    let head = format!("GET {path} HTTP/1.1\r\nauthorization: Bearer {token}");
    let mut stream = api.open(&head, "");
    let status = next_line(&mut stream, "HTTP/1.1 ").unwrap();
    (status, stream)
}

/// What has arrived of a stream that stays open.
fn sent_so_far(stream: &mut BufReader<TcpStream>) -> String {
    let mut sent = Vec::new();
    stream.get_ref().set_nonblocking(true).unwrap();
    let open = stream.read_to_end(&mut sent).unwrap_err();
    stream.get_ref().set_nonblocking(false).unwrap();
    assert_eq!(open.kind(), ErrorKind::WouldBlock);
    String::from_utf8(sent).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_leaves_logs_for_others() {
    let mut rig = Rig::new().await;
    rig.use_store();
    let script = format!(
        r#"awk 'BEGIN {{ x = sprintf("%1000s", ""); gsub(/ /, "x", x)
        for (i = 0; i < {EVENTS}; i++) printf "{{\"type\":\"user\",\"n\":%d,\"x\":\"%s\"}}\n", i, x }}'
        echo '{{"type":"result","is_error":false,"num_turns":1,"result":"done"}}'"#
    );
    let _worker = rig.worker_with(&rig.claude(&script), &[]);
    let (configuration, [ann, bob]) = callers(["ann", "bob"]);
    let api = rig.api_with(&configuration);
    let submit = async |token: &str| {
        let task = fresh("task");
        let request = json!({"taskId": task, "prompt": "go", "anthropicApiKey": "sk-ant-many"});
        assert_eq!(api.caller(token).post("/tasks", &request).status, 202);
        until("the end", async || {
            let state = api.caller(token).get(&format!("/tasks/{task}"));
            (state.json["status"] == "completed").then_some(())
        })
        .await;
        format!("/tasks/{task}")
    };
    let (of_ann, of_bob) = (submit(&ann).await, submit(&bob).await);
    let log = format!("{of_ann}/logs");
    let mut held = Vec::new();
    for _ in 0..2 {
        let (status, stream) = stalled(&api, &log, &ann);
        assert!(status.starts_with("200"), "{status}");
        held.push(stream);
    }
    let refused = api.caller(&ann).get(&log);
    assert_eq!(refused.status, 429);
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
    let other = api.caller(&bob).get(&format!("{of_bob}/logs?next=29990"));
    assert_eq!(other.status, 200);

    // Streams read the log, too, at places of their own.
    let events = format!("{of_ann}/events");
    let mut streams = Vec::new();
    for _ in 0..2 {
        let (_, mut stream) = stalled(&api, &events, &ann);
        assert_eq!(next_line(&mut stream, "id: ").as_deref(), Some("0"));
        streams.push(stream);
    }
    // One more waits for a place, and stays open. A stream of another caller that comes later has events before it.
    let (status, mut waiting) = stalled(&api, &events, &ann);
    assert!(status.starts_with("200"), "{status}");
    let (_, mut other) = stalled(&api, &format!("{of_bob}/events"), &bob);
    assert_eq!(next_line(&mut other, "id: ").as_deref(), Some("0"));
    let sent = sent_so_far(&mut waiting);
    assert!(!sent.contains("\nid: "), "{sent}");
    streams.clear();
    assert_eq!(next_line(&mut waiting, "id: ").as_deref(), Some("0"));
}

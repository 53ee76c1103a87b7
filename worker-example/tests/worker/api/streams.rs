//! Streams: a client that leaves, an API that dies, and what is told of the end.

use std::net::TcpStream;

use integration_tests::until;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{
    support::{Api, callers, next_line},
    tcp_proxy::TcpProxy,
};
use crate::support::{LIMIT, Rig, fresh, scripted::Scripted, send};

fn request(task: &str, prompt: &str) -> Value {
    json!({"taskId": task, "prompt": prompt, "anthropicApiKey": "sk-ant-stream"})
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_the_connection_cancels_the_task() {
    let scripted = Scripted::new().await;
    let _worker = scripted.worker(&[]);
    let api = scripted.rig.api();
    let task = fresh("task");
    let body = request(&task, "wait").to_string();
    let mut stream = api.open("POST /run HTTP/1.1", &body);
    let begun = r#"{"type":"text","content":"begun"}"#;
    while next_line(&mut stream, "data: ").unwrap() != begun {}
    drop(stream);
    let path = format!("/tasks/{task}");
    until("the cancellation", async || {
        (api.get(&path).json["status"] == "cancelled").then_some(())
    })
    .await;
    assert_eq!(api.get(&path).json["exitCode"], 130);
}

/// A client loses its connection and sends its request again, before the server knows of the loss.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_does_not_cancel_the_task_of_its_retry() {
    let scripted = Scripted::new().await;
    let _worker = scripted.worker(&[]);
    let api = scripted.rig.api();
    let task = fresh("task");
    let body = request(&task, "wait").to_string();
    let begun = r#"{"type":"text","content":"begun"}"#;
    let mut lost = api.open("POST /run HTTP/1.1", &body);
    while next_line(&mut lost, "data: ").unwrap() != begun {}
    let mut retry = api.open("POST /run HTTP/1.1", &body);
    while next_line(&mut retry, "data: ").unwrap() != begun {}
    drop(lost);
    // The server has answered after it could notice the loss.
    assert_eq!(api.get(&format!("/tasks/{task}")).json["status"], "running");
    scripted.open_gate();
    let result = next_line(&mut retry, "data: ").unwrap();
    assert!(result.contains(r#""result":"done""#), "{result}");
    assert_eq!(scripted.runs(), 1);
}

/// As above, and the retry reaches another process of the API.
#[tokio::test(flavor = "multi_thread")]
async fn connections_at_several_processes_are_counted_together() {
    let scripted = Scripted::new().await;
    let _worker = scripted.worker(&["--max-tasks", "3"]);
    let (first, second) = (scripted.rig.api(), scripted.rig.api());
    let begun = r#"{"type":"text","content":"begun"}"#;
    let follow = |api: &Api, task: &str| {
        let body = request(task, "wait").to_string();
        let mut stream = api.open("POST /run HTTP/1.1", &body);
        while next_line(&mut stream, "data: ").unwrap() != begun {}
        stream
    };
    let (kept, cancelled) = (fresh("task"), fresh("task"));
    let mut retries = Vec::new();
    for task in [&kept, &cancelled] {
        let lost = follow(&first, task);
        retries.push(follow(&second, task));
        drop(lost);
        // The second connection has joined, and the first one has left.
        until("the signals", async || {
            (scripted.rig.signals(task).await == 2).then_some(())
        })
        .await;
        let path = format!("/tasks/{task}");
        assert_eq!(second.get(&path).json["status"], "running");
    }
    drop(retries.pop());
    let path = format!("/tasks/{cancelled}");
    until("the cancellation", async || {
        (first.get(&path).json["status"] == "cancelled").then_some(())
    })
    .await;
    scripted.open_gate();
    let result = next_line(&mut retries[0], "data: ").unwrap();
    assert!(result.contains(r#""result":"done""#), "{result}");
    assert_eq!(scripted.runs(), 2);
}

/// The same request, first as a stream and then in the background.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_the_background_keeps_the_task_of_a_stream() {
    let scripted = Scripted::new().await;
    let _worker = scripted.worker(&[]);
    let api = scripted.rig.api();
    let task = fresh("task");
    let request = request(&task, "wait");
    let begun = r#"{"type":"text","content":"begun"}"#;
    let mut stream = api.open("POST /run HTTP/1.1", &request.to_string());
    while next_line(&mut stream, "data: ").unwrap() != begun {}
    for _ in 0..2 {
        let accepted = api.post("/tasks", &request);
        assert_eq!(accepted.status, 202, "{}", accepted.text);
        assert_eq!(accepted.json["status"], "running");
    }
    assert_eq!(scripted.rig.signals(&task).await, 1);
    drop(stream);
    until("the client has left", async || {
        (scripted.rig.signals(&task).await == 2).then_some(())
    })
    .await;
    let path = format!("/tasks/{task}");
    assert_eq!(api.get(&path).json["status"], "running");
    scripted.open_gate();
    until("the end", async || {
        (api.get(&path).json["status"] == "completed").then_some(())
    })
    .await;
    assert_eq!(scripted.runs(), 1);
}

/// The last client has left just before the same request comes again, in the background.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_the_background_is_refused_when_the_task_is_being_cancelled() {
    let scripted = Scripted::new().await;
    let _worker = scripted.worker(&["--max-tasks", "3"]);
    let api = scripted.rig.api();
    let begun = r#"{"type":"text","content":"begun"}"#;
    for path in ["/tasks", "/run-async"] {
        let task = fresh("task");
        let mut request = request(&task, "wait");
        request["callbackUrl"] = json!("http://127.0.0.1:9/");
        let mut stream = api.open("POST /run HTTP/1.1", &request.to_string());
        while next_line(&mut stream, "data: ").unwrap() != begun {}
        drop(stream);
        until("the client has left", async || {
            (scripted.rig.signals(&task).await > 0).then_some(())
        })
        .await;
        let refused = api.post(path, &request);
        assert_eq!(refused.status, 409, "{}", refused.text);
        assert_eq!(refused.json["taskId"], task);
        let error = refused.json["error"].as_str().unwrap();
        assert!(error.contains("its client has left"), "{error}");
        let state = format!("/tasks/{task}");
        until("the cancellation", async || {
            (api.get(&state).json["status"] == "cancelled").then_some(())
        })
        .await;
        assert_eq!(api.post(path, &request).status, 409);
    }

    // The task is cancelled while its client is still there.
    let task = fresh("task");
    let request = request(&task, "wait");
    let mut stream = api.open("POST /run HTTP/1.1", &request.to_string());
    while next_line(&mut stream, "data: ").unwrap() != begun {}
    let cancelled = api.post(&format!("/cancel/{task}"), &json!({}));
    assert_eq!(cancelled.status, 200, "{}", cancelled.text);
    let refused = api.post("/tasks", &request);
    assert_eq!(refused.status, 409, "{}", refused.text);
}

/// A client has left while Temporal is unreachable. The API stops only after Temporal was told.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_left_is_not_forgotten_when_the_api_stops() {
    let scripted = Scripted::new().await;
    let _worker = scripted.worker(&[]);
    let temporal = TcpProxy::to(&scripted.rig.server.address()).await;
    let grace = "[api]\nshutdown_grace = \"100s\"\n";
    let mut api = scripted.rig.api_behind(&temporal.address(), grace);
    let task = fresh("task");
    let body = request(&task, "wait").to_string();
    let mut stream = api.open("POST /run HTTP/1.1", &body);
    let begun = r#"{"type":"text","content":"begun"}"#;
    while next_line(&mut stream, "data: ").unwrap() != begun {}
    temporal.cut();
    drop(stream);
    let failed = "cannot tell Temporal that a client has left";
    api.process
        .wait_for_line(LIMIT, |line| line.contains(failed).then_some(()))
        .unwrap();
    send(&api.process, Signal::SIGTERM);
    until("the API takes no more requests", async || {
        TcpStream::connect(api.address()).is_err().then_some(())
    })
    .await;
    assert_eq!(scripted.rig.signals(&task).await, 0);
    temporal.restore();
    assert!(api.process.wait(LIMIT).unwrap().success());
    assert_eq!(scripted.rig.signals(&task).await, 1);
    let again = scripted.rig.api();
    until("the cancellation", async || {
        let state = again.get(&format!("/tasks/{task}"));
        (state.json["status"] == "cancelled").then_some(())
    })
    .await;
}

/// A caller opens more streams one after the other than it may have at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_gives_its_place_back() {
    let scripted = Scripted::new().await;
    let _worker = scripted.worker(&["--max-tasks", "3"]);
    let (configuration, [ann]) = callers(["ann"]);
    let limits = "[api]\ncaller_requests = 2\ncaller_rate = 100\n";
    let api = scripted.rig.api_with(&format!("{limits}{configuration}"));
    let head = format!("POST /run HTTP/1.1\r\nauthorization: Bearer {ann}");
    for _ in 0..5 {
        let task = fresh("task");
        let body = request(&task, "wait").to_string();
        // The second connection joins the first one.
        let mut both = Vec::new();
        for _ in 0..2 {
            let mut stream = until("a place", async || {
                let mut stream = api.open(&head, &body);
                let status = next_line(&mut stream, "HTTP/1.1 ").unwrap();
                status.starts_with("200").then_some(stream)
            })
            .await;
            next_line(&mut stream, ":").unwrap();
            both.push(stream);
        }
        drop(both);
        until("the cancellation", async || {
            let state = api.caller(&ann).get(&format!("/tasks/{task}"));
            (state.json["status"] == "cancelled").then_some(())
        })
        .await;
    }
}

/// The clients have left, and Temporal cannot be told.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_temporal_does_not_lock_a_caller_out() {
    let scripted = Scripted::new().await;
    let _worker = scripted.worker(&["--max-tasks", "3"]);
    let (configuration, [ann]) = callers(["ann"]);
    let temporal = TcpProxy::to(&scripted.rig.server.address()).await;
    let limits = "[api]\ncaller_requests = 2\ncaller_rate = 100\n";
    let mut api = scripted
        .rig
        .api_behind(&temporal.address(), &format!("{limits}{configuration}"));
    let head = format!("POST /run HTTP/1.1\r\nauthorization: Bearer {ann}");
    let (tasks, mut streams) = ([fresh("task"), fresh("task")], Vec::new());
    for task in &tasks {
        let mut stream = api.open(&head, &request(task, "wait").to_string());
        let begun = r#"{"type":"text","content":"begun"}"#;
        while next_line(&mut stream, "data: ").unwrap() != begun {}
        streams.push(stream);
    }
    let empty = json!({});
    assert_eq!(api.caller(&ann).post("/run", &empty).status, 429);
    temporal.cut();
    drop(streams);
    for task in &tasks {
        let is_meant = |line: &str| {
            line.contains("cannot tell Temporal that a client has left") && line.contains(task)
        };
        api.process
            .wait_for_line(LIMIT, |line| is_meant(line).then_some(()))
            .unwrap();
    }
    // The refusal of an empty request needs no Temporal.
    assert_eq!(api.caller(&ann).post("/run", &empty).status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_resumed_at_another_process() {
    let rig = Rig::new().await;
    let gate = rig.folder.path().join("gate");
    let script = format!(
        r#"i=0; while [ $i -lt 20 ]; do echo "{{\"type\":\"user\",\"n\":$i}}"; i=$((i+1)); done
        while [ ! -e {0} ]; do sleep 0.1; done
        while [ $i -lt 50 ]; do echo "{{\"type\":\"user\",\"n\":$i}}"; i=$((i+1)); done
        echo '{{"type":"result","is_error":false,"num_turns":1,"result":"done"}}'"#,
        gate.display()
    );
    let _worker = rig.worker_with(&rig.claude(&script), &[]);
    let mut api = rig.api();
    let task = fresh("task");
    assert_eq!(api.post("/tasks", &request(&task, "go")).status, 202);
    let head = format!("GET /tasks/{task}/events HTTP/1.1");
    let mut stream = api.open(&head, "");
    let mut seen: Vec<String> = Vec::new();
    let mut last = String::new();
    while !seen.iter().any(|event| event.contains(r#""n":19}"#)) {
        last = next_line(&mut stream, "id: ").unwrap();
        assert_eq!(last, seen.len().to_string());
        seen.push(next_line(&mut stream, "data: ").unwrap());
    }
    // The API dies. The task continues.
    send(&api.process, Signal::SIGKILL);
    api.process.wait(LIMIT).unwrap();
    let api = rig.api();
    let mut stream = api.open(&format!("{head}\r\nlast-event-id: {last}"), "");
    next_line(&mut stream, ":").unwrap();
    std::fs::write(&gate, "").unwrap();
    while !seen
        .iter()
        .any(|event| event.contains(r#""type":"result""#))
    {
        last = next_line(&mut stream, "id: ").unwrap();
        assert_eq!(last, seen.len().to_string());
        seen.push(next_line(&mut stream, "data: ").unwrap());
    }
    let users: Vec<&String> = seen
        .iter()
        .filter(|event| event.contains(r#""type":"user""#))
        .collect();
    assert_eq!(users.len(), 50);
    for (number, event) in users.into_iter().enumerate() {
        assert_eq!(event, &format!(r#"{{"type":"user","n":{number}}}"#));
    }
    assert_eq!(next_line(&mut stream, "event: ").as_deref(), Some("end"));
    let end = next_line(&mut stream, "data: ").unwrap();
    let end: Value = serde_json::from_str(&end).unwrap();
    assert_eq!(end["status"], "completed");
    assert_eq!(end["events"], seen.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_an_error_event() {
    let rig = Rig::new().await;
    let claude = rig.claude("echo 'no JSON'; echo broken >&2; exit 3");
    let _worker = rig.worker_with(&claude, &[]);
    let api = rig.api();
    let stream = api.post("/run", &request(&fresh("task"), "go"));
    assert_eq!(stream.status, 200);
    let expected = "data: {\"type\":\"text\",\"content\":\"no JSON\"}\n\nevent: error\ndata: {\"error\":\"Claude Code ended";
    let events: String = stream
        .text
        .split("\n\n")
        .filter(|event| !event.starts_with(':'))
        .collect::<Vec<_>>()
        .join("\n\n");
    assert!(events.contains(expected), "{}", stream.text);
}

/// Heartbeats carry 256 KiB. The store has the whole log.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_follower_reads_the_log_in_the_store() {
    const EVENTS: usize = 3000;
    let rig = Rig::new().await;
    let store = rig.folder.path().join("store");
    let store = store.to_str().unwrap();
    let script = format!(
        r#"awk 'BEGIN {{ x = sprintf("%500s", ""); gsub(/ /, "x", x)
        for (i = 0; i < {EVENTS}; i++) printf "{{\"type\":\"user\",\"n\":%d,\"x\":\"%s\"}}\n", i, x }}'
        echo '{{"type":"result","is_error":false,"num_turns":1,"result":"done"}}'"#
    );
    let _worker = rig.worker_with(&rig.claude(&script), &["--store", store]);
    let mut command = rig.command_for_api("api");
    command.args(["--store", store]);
    let api = rig.api_of(command, "");
    let task = fresh("task");
    assert_eq!(api.post("/tasks", &request(&task, "go")).status, 202);
    let path = format!("/tasks/{task}");
    until("the end", async || {
        (api.get(&path).json["status"] == "completed").then_some(())
    })
    .await;
    let stream = api.get(&format!("{path}/events")).text;
    let ids = stream.lines().filter_map(|line| line.strip_prefix("id: "));
    let ids: Vec<usize> = ids.map(|id| id.parse().unwrap()).collect();
    assert_eq!(ids, (0..ids.len()).collect::<Vec<_>>());
    assert!(!stream.contains("event: missed"), "{}", ids.len());
    for number in 0..EVENTS {
        let event = format!("data: {{\"type\":\"user\",\"n\":{number},");
        assert!(stream.contains(&event), "{event}");
    }
}

/// Heartbeats carry no event above 32 KiB.
#[tokio::test(flavor = "multi_thread")]
async fn large_events_are_streamed_unchanged_from_the_log() {
    let rig = Rig::new().await;
    let store = rig.folder.path().join("store");
    let store = store.to_str().unwrap();
    let script = r#"x=$(head -c 100000 /dev/zero | tr '\0' x); i=0
        while [ $i -lt 9 ]; do
            [ $((i % 3)) = 0 ] && text=$x || text=small
            echo "{\"type\":\"user\",\"n\":$i,\"x\":\"$text\"}"; i=$((i+1))
        done
        echo '{"type":"result","is_error":false,"num_turns":1,"result":"done"}'"#;
    let _worker = rig.worker_with(&rig.claude(script), &["--store", store]);
    let mut command = rig.command_for_api("api");
    command.args(["--store", store]);
    let api = rig.api_of(command, "");
    let stream = api.post("/run", &request(&fresh("task"), "go")).text;
    let events: Vec<&str> = stream.lines().filter(|l| l.starts_with("data: ")).collect();
    let short: Vec<&str> = events.iter().map(|e| e.get(..200).unwrap_or(e)).collect();
    let large = "x".repeat(100_000);
    for n in 0..9 {
        let x = if n % 3 == 0 { &large } else { "small" };
        let event = format!(r#"data: {{"type":"user","n":{n},"x":"{x}"}}"#);
        assert_eq!(
            events.iter().filter(|e| **e == event).count(),
            1,
            "{n}: {short:?}"
        );
    }
    assert!(events.last().unwrap().contains(r#""result":"done""#));
    for missing in ["event_left_out", "events_missed"] {
        assert!(!stream.contains(missing), "{missing}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_serves_the_api_and_runs_tasks() {
    let scripted = Scripted::new().await;
    let rig = &scripted.rig;
    let mut api = rig.api_of(rig.command_for_all(&scripted.claude(), &[]), "");
    let stream = api.post("/run", &request(&fresh("task"), "go"));
    assert!(
        stream.text.contains(r#""result":"done""#),
        "{}",
        stream.text
    );
    send(&api.process, Signal::SIGTERM);
    assert!(api.process.wait(LIMIT).unwrap().success());
}

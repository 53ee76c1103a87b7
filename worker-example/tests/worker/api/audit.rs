//! The audit log of the API: a line for each request and each call of a key.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixDatagram,
    process::Command,
};

use dev_servers::{Process, audit_lines, sibling_binary};
use integration_tests::until;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::support::{Api, callers};
use crate::support::{LIMIT, Rig, end, fresh, scripted::Scripted, send};

#[tokio::test(flavor = "multi_thread")]
async fn every_request_has_a_line_in_the_audit_log() {
    let scripted = Scripted::new().await;
    let rig = &scripted.rig;
    let folder = rig.folder.path().join("audit");
    fs::create_dir(&folder).unwrap();
    let (configuration, [ann, bob]) = callers(["ann", "bob"]);
    let audit = format!("[audit]\nfolder = \"{}\"\n", folder.display());
    let mut api = rig.api_with(&format!("{audit}{configuration}"));
    let task = fresh("task");
    let request = json!({"taskId": task, "prompt": "wait", "anthropicApiKey": "sk-ant-audited"});
    let ann = api.caller(&ann);
    assert_eq!(ann.post("/tasks", &request).status, 202);
    assert_eq!(ann.get(&format!("/tasks/{task}")).status, 200);
    assert_eq!(api.caller(&bob).get(&format!("/tasks/{task}")).status, 404);
    assert_eq!(ann.post(&format!("/cancel/{task}"), &json!({})).status, 200);
    assert_eq!(ann.post("/run", &json!({})).status, 400);
    assert_eq!(ann.get("/tasks").status, 200);
    assert_eq!(api.get("/tasks").status, 401);
    assert_eq!(api.get("/health").status, 200);
    send(&api.process, Signal::SIGTERM);
    assert!(api.process.wait(LIMIT).unwrap().success());

    let lines = audit_lines(&folder).unwrap();
    let text = |line: &Value, name: &str| line[name].as_str().unwrap_or("-").to_owned();
    let requests: Vec<String> = lines
        .iter()
        .filter(|line| line["event"] == "request")
        .map(|line| {
            ["subject", "operation", "task", "decision", "result"]
                .map(|name| text(line, name))
                .join(" ")
        })
        .collect();
    let expected = [
        format!("ann submit {task} allowed ok"),
        format!("ann status {task} allowed ok"),
        format!("bob status {task} allowed not_found"),
        format!("ann cancel {task} allowed ok"),
        "ann run - allowed bad_request".to_owned(),
        "ann list - allowed ok".to_owned(),
        "- list - refused unauthenticated".to_owned(),
    ];
    assert_eq!(requests, expected);
    let submission = lines.iter().find(|line| line["operation"] == "submit");
    let submission = submission.unwrap();
    assert!(submission["bytes"].as_u64().unwrap() > 50, "{submission}");
    assert_eq!(submission["status"], 202);
    let all = format!("{lines:?}");
    assert!(!all.contains("sk-ant-audited"), "{all}");

    let verified = Command::new(sibling_binary("codec-server").unwrap())
        .args(["audit", "verify"])
        .arg(&folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&verified.stdout);
    assert!(verified.status.success(), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_keys_for_a_stream_name_its_request() {
    let scripted = Scripted::new().await;
    let rig = &scripted.rig;
    let _worker = scripted.worker(&[]);
    let folder = rig.folder.path().join("audit");
    fs::create_dir(&folder).unwrap();
    let (configuration, [ann]) = callers(["ann"]);
    let audit = format!("[audit]\nfolder = \"{}\"\n", folder.display());
    let mut api = rig.api_with(&format!("{audit}{configuration}"));
    let request = json!({"prompt": "go", "anthropicApiKey": "sk-ant-audited"});
    let streamed = api.caller(&ann).post("/run", &request);
    assert_eq!(streamed.status, 200, "{}", streamed.text);
    send(&api.process, Signal::SIGTERM);
    assert!(api.process.wait(LIMIT).unwrap().success());

    let lines = audit_lines(&folder).unwrap();
    let run = lines.iter().find(|line| line["operation"] == "run");
    let request = &run.unwrap()["request"];
    // The worker has sealed what the stream opens.
    let unwraps: Vec<_> = lines
        .iter()
        .filter(|line| line["event"] == "kms" && line["operation"] == "unwrap")
        .collect();
    assert!(
        unwraps.iter().any(|line| line["request"] == *request),
        "{request} in {unwraps:?}"
    );
}

/// Requests of one connection whose caller has no role.
fn refused(api: &Api, token: &str, number: usize) {
    let address = api.url.strip_prefix("http://").unwrap();
    let request = |end: &str| {
        format!(
            "GET /tasks HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n{end}\r\n"
        )
    };
    let mut connection = TcpStream::connect(address).unwrap();
    let all = request("").repeat(number - 1) + &request("connection: close\r\n");
    connection.write_all(all.as_bytes()).unwrap();
    let mut answers = String::new();
    connection.read_to_string(&mut answers).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 403").count(), number);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_without_a_role_does_not_fill_the_log() {
    const REFUSED: usize = 5_000;
    let rig = Rig::new().await;
    let folder = rig.folder.path().join("audit");
    fs::create_dir(&folder).unwrap();
    let (configuration, [ann]) = callers(["ann"]);
    let (other, [eve]) = callers(["eve"]);
    let other = other.replace("default:write", "other:write");
    let audit = format!("[audit]\nfolder = \"{}\"\n", folder.display());
    let mut api = rig.api_with(&format!("{audit}{configuration}{other}"));
    for _ in 0..REFUSED / 100 {
        refused(&api, &eve, 100);
    }
    assert_eq!(api.caller(&ann).get("/tasks").status, 200);
    send(&api.process, Signal::SIGTERM);
    assert!(api.process.wait(LIMIT).unwrap().success());

    let lines = audit_lines(&folder).unwrap();
    let with = |result: &str| lines.iter().filter(|line| line["result"] == result).count();
    let told = with("forbidden");
    assert!((60..REFUSED / 4).contains(&told), "{told} lines");
    let left_out: u64 = lines
        .iter()
        .filter(|line| line["event"] == "left_out")
        .map(|line| line["forbidden"].as_u64().unwrap())
        .sum();
    assert_eq!(told as u64 + left_out, REFUSED as u64);
    let of_ann = |line: &&Value| line["subject"] == "ann" && line["result"] == "ok";
    assert_eq!(lines.iter().filter(of_ann).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_ends_when_a_start_fails() {
    let scripted = Scripted::new().await;
    let rig = &scripted.rig;
    let folder = rig.folder.path().join("audit");
    fs::create_dir(&folder).unwrap();
    let file = rig.folder.path().join("all.toml");
    fs::write(
        &file,
        format!("[audit]\nfolder = \"{}\"\n", folder.display()),
    )
    .unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = rig.command_for_api("all");
    command
        .arg("--config")
        .arg(&file)
        .env("CODEC_API_LISTEN", taken.local_addr().unwrap().to_string())
        .arg("--claude")
        .arg(scripted.claude())
        .arg("--workdir")
        .arg(rig.workdir())
        .args(["--sandbox", "off"]);
    let (code, output) = end(&mut Process::spawn("the service", command).unwrap());
    assert_ne!(code, 0);
    assert!(output.contains("cannot listen"), "{output}");
    let lines = audit_lines(&folder).unwrap();
    let events: Vec<_> = lines.iter().map(|line| &line["event"]).collect();
    assert_eq!(events.last(), Some(&&json!("stop")), "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_done_while_no_line_can_be_written() {
    let scripted = Scripted::new().await;
    let rig = &scripted.rig;
    let socket = rig.folder.path().join("syslog");
    let service = UnixDatagram::bind(&socket).unwrap();
    let audit = format!("[audit]\nsyslog = \"{}\"\n", socket.display());
    let (configuration, [ann]) = callers(["ann"]);
    let api = rig.api_with(&format!("{audit}{configuration}"));
    let ann = api.caller(&ann);
    assert_eq!(ann.get("/tasks/status").status, 200);
    drop(service);
    fs::remove_file(&socket).unwrap();
    until("requests are refused", async || {
        (ann.get("/tasks/status").status == 503).then_some(())
    })
    .await;
    let task = fresh("task");
    let request = json!({"taskId": task, "prompt": "go", "anthropicApiKey": "sk-ant-audited"});
    let refused = ann.post("/tasks", &request);
    assert_eq!(refused.status, 503, "{}", refused.text);
    assert!(refused.text.contains("audit log"), "{}", refused.text);
    let (known, text) = scripted.temporal(&["describe", "-w", &task]);
    assert!(!known, "{text}");
    until("readiness says so", async || {
        let ready = api.get("/readyz");
        let is_unmet = ready.json["conditions"]["audit"]["state"] == "unmet";
        (is_unmet && ready.status == 503).then_some(())
    })
    .await;
    let _service = UnixDatagram::bind(&socket).unwrap();
    until("requests are served again", async || {
        (ann.get("/tasks/status").status == 200).then_some(())
    })
    .await;
}

//! How a worker is observed: probes, metrics for Prometheus, and the audit log of its keys.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use dev_servers::{Process, audit_lines};
use nix::sys::signal::Signal;
use serde_json::json;
use temporal_kms_codec::audit::Verifier;

use crate::support::{LIMIT, Rig, end, fresh, says, send};

const SUCCESS: &str = r#"echo '{"type":"result","subtype":"success","is_error":false,"result":"done","num_turns":1,"duration_ms":1,"total_cost_usd":0,"usage":{},"permission_denials":[]}'"#;

/// A GET request of a probe: the status and the body.
fn get(url: &str) -> (u16, String) {
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .new_agent();
    let mut answer = agent.get(url).call().unwrap();
    let body = answer.body_mut().read_to_string().unwrap();
    (answer.status().as_u16(), body)
}

fn private_folder(path: &Path) {
    fs::create_dir(path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
}

fn admin_url(worker: &mut Process) -> String {
    let announced = worker.wait_for_line(LIMIT, |line| {
        line.strip_prefix("admin listening on ").map(str::to_owned)
    });
    announced.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_metrics_and_the_audit_log_tell_of_a_task() {
    let rig = Rig::new().await;
    let audit = rig.folder.path().join("audit");
    private_folder(&audit);
    let folder = audit.to_str().unwrap().to_owned();
    let claude = rig.claude(SUCCESS);
    let observed = [
        "--admin-listen",
        "127.0.0.1:0",
        "--audit-log",
        folder.as_str(),
    ];
    let mut worker = rig.worker_with(&claude, &observed);
    let admin = admin_url(&mut worker);
    let (status, ready) = get(&format!("{admin}/readyz"));
    assert_eq!((status, ready.as_str()), (200, "ready\n"));
    assert_eq!(get(&format!("{admin}/healthz")).0, 200);

    let task = fresh("task");
    let request = json!({ "prompt": "hello", "anthropicApiKey": "sk-ant-observed" });
    let mut submission = rig.submit(&task, &request, &[]);
    let (code, output) = end(&mut submission);
    assert_eq!(code, 0, "{output}");

    let (_, metrics) = get(&format!("{admin}/metrics"));
    for series in [
        "claude_tasks_ready",
        "claude_tasks_build_info",
        r#"claude_tasks_kms_calls_total{key="local://default",operation="unwrap",result="ok"}"#,
    ] {
        assert!(metrics.contains(series), "no {series} in {metrics}");
    }
    assert!(!metrics.contains(&task), "{metrics}");

    send(&worker, Signal::SIGTERM);
    assert!(worker.wait(LIMIT).unwrap().success(), "{}", worker.output());
    let report = Verifier::new().verify(std::slice::from_ref(&audit));
    assert!(report.unwrap().ok);
    let lines = audit_lines(&audit).unwrap();
    // The first line is that of the file.
    let start = &lines[1];
    assert_eq!(start["event"], "start");
    assert!(
        start["program"]
            .as_str()
            .unwrap()
            .starts_with("claude-tasks ")
    );
    assert_eq!(lines.last().unwrap()["event"], "stop");
    let calls: Vec<_> = lines.iter().filter(|line| line["event"] == "kms").collect();
    assert!(
        calls.iter().any(|line| line["operation"] == "unwrap"),
        "{calls:?}"
    );
    assert!(calls.iter().all(|line| line["key"] == "local://default"));
    assert!(!format!("{lines:?}").contains("sk-ant-observed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_its_audit_log_does_not_start() {
    let rig = Rig::new().await;
    let folder = rig.folder.path().join("missing");
    let folder = folder.to_str().unwrap();
    let claude = rig.claude(SUCCESS);
    let claude = claude.to_str().unwrap();
    let workdir = rig.workdir();
    let worker = |more: &[&str]| {
        let workdir = workdir.to_str().unwrap();
        let fixed = ["worker", "--claude", claude, "--workdir", workdir];
        rig.run(&[&fixed, more].concat())
    };
    let mut refused = worker(&["--audit-log", folder]);
    let (code, output) = end(&mut refused);
    assert_eq!(code, 78, "{output}");
    assert!(output.contains("the audit log: "), "{output}");

    let mut refused = worker(&["--audit-anchor-key", "local://a"]);
    let (code, output) = end(&mut refused);
    assert_eq!(code, 64, "{output}");

    let mut refused = worker(&["--admin-listen", "192.0.2.1:1"]);
    refused
        .wait_for_line(LIMIT, says("--admin-listen"))
        .unwrap();
    assert_eq!(end(&mut refused).0, 69);
}

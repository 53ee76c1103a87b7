//! `history scan` and `history decode` with a real Temporal server.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test")]

mod scans;

use std::process::{Command, Output};

use dev_servers::sibling_binary;
use integration_tests::ParcelOffice;
use serde_json::Value;

fn program() -> Command {
    let mut command = Command::new(sibling_binary("codec-server").expect("codec-server is built"));
    command.env_remove("TEMPORAL_API_KEY");
    command
}

fn codec_server(arguments: &[&str]) -> Output {
    let output = program().args(arguments).output();
    output.expect("codec-server runs")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_scanned_and_its_workflows_tell_their_keys() {
    let office = ParcelOffice::open("default").await;
    let id = office.accept().await;
    office.deliver(&id).await;
    office.temporal(&[
        "workflow",
        "start",
        "--type",
        "Parcel",
        "-w",
        "open/with a slash",
        "--task-queue",
        "nobody",
        "--input",
        "1",
    ]);

    let address = office.address();
    let scan = |more: &[&str]| {
        let arguments = ["history", "scan", "--address", &address, "--json"];
        codec_server(&[&arguments[..], more].concat())
    };
    // Visibility follows the histories after a moment.
    let found = (0..300).find_map(|_| {
        let output = scan(&[]);
        assert!(output.status.success(), "{output:?}");
        let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let needs = answer["needs"].as_array().expect("needs");
        let of = |format: &str| needs.iter().find(|need| need["format"] == format).cloned();
        Some((of("envelope")?, of("not encrypted (json/plain)")?))
    });
    let (ours, plain) = found.expect("encrypted payloads, and one in the clear");
    assert_eq!(ours["key"], "local://default");
    assert_eq!(ours["namespace"], "default");
    assert!(ours["version"].is_string() && ours["last_written"].is_string());
    assert!(plain["open"].as_u64() >= Some(1), "{plain}");

    // The start of a workflow that nothing started again is as old as its input.
    assert!(plain["first_written"].is_string(), "{plain}");

    let output = scan(&["--namespace", "nowhere"]);
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    let expected = "the namespace `nowhere` does not exist in Temporal at http://";
    assert!(said.contains(expected), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_schedule_keeps_and_starts_tells_no_age() {
    let office = ParcelOffice::open("default").await;
    office.temporal(&[
        "schedule",
        "create",
        "--schedule-id",
        "daily",
        "--interval",
        "24h",
        "--type",
        "Parcel",
        "--task-queue",
        "nobody",
        "--input",
        "1",
    ]);
    let address = office.address();
    let scan = || {
        let output = codec_server(&["history", "scan", "--address", &address, "--json"]);
        assert!(output.status.success(), "{output:?}");
        let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let needs = answer["needs"].as_array().expect("needs");
        let plain = "not encrypted (json/plain)";
        let need = needs.iter().find(|need| need["format"] == plain).cloned();
        Some((answer["schedules"].clone(), need?))
    };
    // Lists follow after a moment.
    let found = (0..300).find_map(|_| scan().filter(|(schedules, _)| *schedules == 1));
    let (_, need) = found.expect("the input of the schedule");
    assert!(need["unknown_written"].as_u64() >= Some(1), "{need}");

    office.temporal(&["schedule", "trigger", "--schedule-id", "daily"]);
    let started = (0..300).find_map(|_| {
        let (_, need) = scan()?;
        (need["unknown_written"].as_u64() > Some(1)).then_some(need)
    });
    started.expect("the input of the workflow that it started");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exported_history_is_decoded_as_the_codec_server_decodes_it() {
    let office = ParcelOffice::open("default").await;
    let id = office.accept().await;
    office.deliver(&id).await;
    let show = ["workflow", "show", "-w", &id, "--output", "json"];
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("history.json");
    std::fs::write(&file, office.temporal(&show)).expect("written");
    let output = codec_server(&[
        "history",
        "decode",
        file.to_str().expect("text"),
        "--keyring",
        office.keyring().folder().to_str().expect("text"),
    ]);
    assert!(output.status.success(), "{output:?}");
    let endpoint = format!("--codec-endpoint={}", office.codec_url());
    let shown = office.temporal(&[&show[..], &[&endpoint]].concat());
    let json = |text: &[u8]| serde_json::from_slice::<Value>(text).expect("JSON");
    assert_eq!(json(&output.stdout), json(shown.as_bytes()));
}

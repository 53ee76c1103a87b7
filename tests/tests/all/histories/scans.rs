//! Scans of a namespace with several pages of workflows.

use std::{fs, path::Path, process::Stdio, thread};

use dev_servers::{TemporalOptions, TemporalServer};
use integration_tests::{Keyring, Raw, output, tool};
use serde_json::Value;
use temporal_kms_codec::Payload;
use temporalio_common::protos::temporal::api::common::v1 as temporal;

use super::codec_server;

/// More than two pages of a scan.
const WORKFLOWS: usize = 230;
/// Each third workflow has another type.
const LETTERS: usize = WORKFLOWS.div_ceil(3);

/// A Temporal server of its own, with workflows and a schedule.
async fn crowd() -> TemporalServer {
    let server = TemporalServer::start(&tool("TKC_TEMPORAL"), &TemporalOptions::default());
    let server = server.expect("a Temporal server");
    let keyring = Keyring::new();
    let codec = keyring.codec("default");
    let raw = Raw::connect(&server, "default").await;
    for number in 0..WORKFLOWS {
        let kind = if number % 3 == 0 { "Letter" } else { "Parcel" };
        let plain = Payload {
            metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
            data: number.to_string().into_bytes(),
            ..Payload::default()
        };
        let input = match number % 2 {
            0 => codec.encode(vec![plain]).await.expect("encoded"),
            _ => vec![plain],
        };
        let payloads = input.into_iter().map(|payload| temporal::Payload {
            metadata: payload.metadata.into_iter().collect(),
            data: payload.data,
            ..temporal::Payload::default()
        });
        let input = temporal::Payloads {
            payloads: payloads.collect(),
        };
        let id = format!("workflow-{number}");
        raw.start(kind, &id, "nobody", input).await;
    }
    let mut schedule = server.cli();
    schedule.args(["schedule", "create", "--schedule-id", "daily"]);
    schedule.args(["--interval", "24h", "--type", "Parcel"]);
    schedule.args(["--task-queue", "nobody", "--input", "1"]);
    output(schedule);
    server
}

fn arguments<'a>(address: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let arguments = ["history", "scan", "--address", address, "--json", "--quiet"];
    [&arguments[..], more].concat()
}

/// The answer of a whole scan.
fn scan(address: &str, more: &[&str]) -> Value {
    let fast = [more, &["--rate", "1000"]].concat();
    let output = codec_server(&arguments(address, &fast));
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Kills a scan after its first page. It leaves its state.
fn kill_after_a_page(address: &str, state: &str) {
    // A scan that ends first was too fast.
    for rate in ["40", "20", "10", "5"] {
        let more = ["--state", state, "--rate", rate];
        let mut command = super::program();
        command.args(arguments(address, &more));
        command.stdout(Stdio::null());
        let mut process = command.spawn().expect("codec-server runs");
        let mut ended = None;
        while ended.is_none() && !Path::new(state).exists() {
            thread::yield_now();
            ended = process.try_wait().expect("its state");
        }
        // It may have ended meanwhile.
        let _ = process.kill();
        let ended = process.wait().expect("its end");
        if !ended.success() {
            return;
        }
    }
    panic!("every scan ended before it was killed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_that_was_killed_continues_and_counts_everything_once() {
    let server = crowd().await;
    let address = server.address();
    // Visibility follows the histories after a moment.
    let whole = (0..300).find_map(|_| {
        let answer = scan(&address, &[]);
        (answer["workflows"] == WORKFLOWS && answer["schedules"] == 1).then_some(answer)
    });
    let whole = whole.expect("all workflows and the schedule");
    assert_eq!(whole["open_workflows"], WORKFLOWS);

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("scan.json");
    let state = file.to_str().expect("text");
    kill_after_a_page(&address, state);
    let saved = fs::read(&file).expect("the state");
    let counted: Value = serde_json::from_slice(&saved).expect("JSON");
    let counted = counted["tally"]["workflows"].as_u64().expect("a number");
    assert!((1..WORKFLOWS as u64).contains(&counted), "{counted}");

    // Another scan does not take it over, and leaves it alone.
    let letters = "WorkflowType = 'Letter'";
    for more in [&["--query", letters][..], &["--namespace", "other"]] {
        let more = [more, &["--state", state]].concat();
        let refused = codec_server(&arguments(&address, &more));
        assert_eq!(refused.status.code(), Some(65), "{refused:?}");
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(said.contains("the state of another scan"), "{said}");
    }
    assert_eq!(fs::read(&file).expect("the state"), saved);

    assert_eq!(scan(&address, &["--state", state]), whole);
    assert!(!file.exists(), "a scan that is finished leaves no state");

    // A query selects workflows, and no schedules.
    let part = scan(&address, &["--query", letters]);
    assert_eq!(
        (&part["workflows"], &part["schedules"]),
        (&LETTERS.into(), &0.into())
    );
}

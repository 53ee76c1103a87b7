//! The real `tctl` 1.18 with the codec server.
#![allow(clippy::expect_used, reason = "a test")]

use std::process::Command;

use integration_tests::{ParcelOffice, Relay, assert_absent, assert_present, output, tool};
use prost::Message as _;
use serde_json::json;

const SECRETS: [&str; 3] = [
    ParcelOffice::CONTENT,
    ParcelOffice::NOTE,
    ParcelOffice::LABEL,
];

fn tctl(office: &ParcelOffice, namespace: &str) -> Command {
    let mut command = Command::new(tool("TKC_TCTL"));
    command.env_clear().env("HOME", office.keyring().folder());
    command.args(["--address", &office.address(), "--namespace", namespace]);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn show_prints_plaintext_with_the_codec_server_and_none_without_it() {
    let office = ParcelOffice::open("other").await;
    let id = office.accept().await;
    let relay = Relay::to(office.codec_url());
    let show = ["workflow", "show", "--workflow_id", &id, "--print_full"];

    let mut without = tctl(&office, "other");
    without.args(show);
    assert_absent("`tctl show`", output(without).as_bytes(), &SECRETS);

    let mut with = tctl(&office, "other");
    with.args([
        "--codec_endpoint",
        &format!("{}/{{namespace}}", relay.url()),
    ]);
    with.args(["--codec_auth", "Bearer of good news"])
        .args(show);
    assert_present(
        "`tctl show`",
        output(with).as_bytes(),
        &[ParcelOffice::CONTENT],
    );

    let said = relay.said().to_lowercase();
    for expected in [
        "post /other/decode",
        "x-namespace: other",
        "authorization: bearer of good news",
    ] {
        assert!(said.contains(expected), "no `{expected}` in:\n{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn start_and_query_go_through_the_codec_server() {
    let office = ParcelOffice::open("default").await;
    let content = "an old command line's secret";
    let input = json!({ "content": content, "rounds": 0, "fails": false }).to_string();
    let mut start = tctl(&office, "default");
    start.args(["--codec_endpoint", office.codec_url(), "workflow", "start"]);
    start.args(["--workflow_id", "by-tctl", "--workflow_type", "Parcel"]);
    start.args(["--taskqueue", office.queue(), "--input", &input]);
    output(start);

    let mut query = tctl(&office, "default");
    query.args(["--codec_endpoint", office.codec_url(), "workflow", "query"]);
    query.args([
        "--workflow_id",
        "by-tctl",
        "--query_type",
        "labels",
        "--input",
        r#""on it: ""#,
    ]);
    assert!(output(query).contains("[]"), "no label yet");

    assert_eq!(
        office.deliver("by-tctl").await,
        format!("stamped, noted {content}; ")
    );
    let history = office
        .raw()
        .await
        .history("by-tctl", "")
        .await
        .encode_to_vec();
    assert_absent("the history", &history, &[content]);
}

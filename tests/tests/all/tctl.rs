//! The real `tctl` 1.18 with the codec server.
#![allow(clippy::expect_used, reason = "a test")]

use std::process::Command;

use integration_tests::{
    Keyring, ParcelOffice, Relay, assert_absent, assert_present, codec_server_that, output, tool,
};
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
    command.args(["--context_timeout", "60"]);
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
async fn query_shows_what_the_worker_encrypted() {
    let office = ParcelOffice::open_to_plaintext("default").await;
    let id = office.accept().await;
    let query = [
        "workflow",
        "query",
        "--workflow_id",
        &id,
        "--query_type",
        "labels",
    ];
    let query = [&query[..], &["--input", r#""on it: ""#]].concat();

    let mut without = tctl(&office, "default");
    without.args(&query);
    assert_absent("the answer", output(without).as_bytes(), &SECRETS);
    let mut with = tctl(&office, "default");
    with.args(["--codec_endpoint", office.codec_url()])
        .args(&query);
    let expected = format!("on it: {}", ParcelOffice::LABEL);
    assert_present("the answer", output(with).as_bytes(), &[&expected]);
}

#[tokio::test(flavor = "multi_thread")]
async fn placeholders_are_readable() {
    let office = ParcelOffice::open_to_plaintext("default").await;
    let id = office.accept().await;
    let strangers = Keyring::new();
    let stranger = codec_server_that(&strangers, "placeholder");
    let mut show = tctl(&office, "default");
    show.args(["--codec_endpoint", stranger.url(), "workflow", "show"]);
    show.args(["--workflow_id", &id, "--print_full"]);
    let shown = output(show);
    assert_absent("`tctl show`", shown.as_bytes(), &SECRETS);
    assert_present(
        "`tctl show`",
        shown.as_bytes(),
        &["codec-server error", "cannot be decoded: "],
    );
}

/// It decodes only. To start workflows by hand, use `temporal`.
#[tokio::test(flavor = "multi_thread")]
async fn start_sends_its_input_in_the_clear_whatever_codec_is_given() {
    let office = ParcelOffice::open_to_plaintext("default").await;
    let content = "an old command line's secret";
    let input = json!({ "content": content, "rounds": 0, "fails": false }).to_string();
    let mut start = tctl(&office, "default");
    start.args(["--codec_endpoint", office.codec_url(), "workflow", "start"]);
    start.args(["--workflow_id", "by-tctl", "--workflow_type", "Parcel"]);
    start.args(["--taskqueue", office.queue(), "--input", &input]);
    output(start);

    // The worker reads it, and encrypts what it writes itself.
    assert_eq!(
        office.deliver("by-tctl").await,
        format!("stamped, noted {content}; ")
    );
    let mut history = office.raw().await.history("by-tctl", "").await;
    let started = history.events.remove(0).encode_to_vec();
    assert_present("the first event", &started, &[content]);
    assert_absent(
        "the rest of the history",
        &history.encode_to_vec(),
        &[content],
    );
}

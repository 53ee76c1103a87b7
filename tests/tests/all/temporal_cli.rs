//! The real `temporal` command line with the codec server: people see plaintext, or nothing.
#![allow(clippy::expect_used, reason = "a test")]

use integration_tests::{
    Keyring, ParcelOffice, Relay, assert_absent, assert_present, codec_server_that,
};
use prost::Message as _;
use serde_json::json;

const SECRETS: [&str; 3] = [
    ParcelOffice::CONTENT,
    ParcelOffice::NOTE,
    ParcelOffice::LABEL,
];

#[tokio::test(flavor = "multi_thread")]
async fn show_prints_plaintext_with_the_codec_server_and_none_without_it() {
    let office = ParcelOffice::open("default").await;
    let id = office.accept().await;
    office.deliver(&id).await;

    for form in [&["--output", "json"][..], &["--detailed"], &[]] {
        let show = [&["workflow", "show", "-w", &id][..], form].concat();
        let without = office.temporal(&show);
        assert_absent(
            "`show` without the codec server",
            without.as_bytes(),
            &SECRETS,
        );

        let endpoint = format!("--codec-endpoint={}", office.codec_url());
        let with = office.temporal(&[&show[..], &[&endpoint]].concat());
        if !form.is_empty() {
            assert_present("`show` with the codec server", with.as_bytes(), &SECRETS);
        }
        // The result is printed in every form.
        assert_present(
            "`show` with the codec server",
            with.as_bytes(),
            &[ParcelOffice::CONTENT],
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_start_and_signal_are_given_is_encrypted_before_it_leaves() {
    let office = ParcelOffice::open("default").await;
    let endpoint = format!("--codec-endpoint={}", office.codec_url());
    let id = "started-by-hand";
    let content = "handwritten: burn after reading";
    let input = json!({ "content": content, "rounds": 0, "fails": false }).to_string();
    let start = [
        "workflow", "start", "--type", "Parcel", "-w", id, "--input", &input, &endpoint,
    ];
    office.temporal(
        &[
            &start[..],
            &[
                "--task-queue",
                office.queue(),
                "--memo",
                r#"note="of silver""#,
            ],
        ]
        .concat(),
    );
    let label = r#""signal by hand too""#;
    office.temporal(&[
        "workflow", "signal", "-w", id, "--name", "label", "--input", label, &endpoint,
    ]);

    let result = office.deliver(id).await;
    assert_eq!(
        result,
        format!("stamped, noted {content}; signal by hand too")
    );
    let history = office.raw().await.history(id, "").await.encode_to_vec();
    assert_absent("the history", &history, &[content, "signal by hand too"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn query_update_and_describe_show_what_the_worker_encrypted() {
    // The query without a codec server sends its input in the clear.
    let office = ParcelOffice::open_to_plaintext("default").await;
    let id = office.accept().await;
    let endpoint = format!("--codec-endpoint={}", office.codec_url());

    let query = [
        "workflow",
        "query",
        "-w",
        &id,
        "--type",
        "labels",
        "--input",
        r#""on it: ""#,
    ];
    let expected = format!("on it: {}", ParcelOffice::LABEL);
    let with = office.temporal(&[&query[..], &[&endpoint]].concat());
    assert_present("the query's answer", with.as_bytes(), &[&expected]);
    let without = office.temporal(&query);
    assert_absent("the query's answer", without.as_bytes(), &SECRETS);

    let update = [
        "workflow", "update", "execute", "-w", &id, "--name", "relabel",
    ];
    let update = [
        &update[..],
        &["--input", r#""returned to sender""#, &endpoint],
    ]
    .concat();
    assert_present(
        "the update's answer",
        office.temporal(&update).as_bytes(),
        &[ParcelOffice::LABEL],
    );

    let describe = ["workflow", "describe", "-w", &id, "--output", "json"];
    let with = office.temporal(&[&describe[..], &[&endpoint]].concat());
    assert_present("the description", with.as_bytes(), &[ParcelOffice::NOTE]);
    assert_absent(
        "the description",
        office.temporal(&describe).as_bytes(),
        &SECRETS,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoint_template_credential_and_headers_arrive_as_they_were_given() {
    let office = ParcelOffice::open("other").await;
    let id = office.accept().await;
    let relay = Relay::to(office.codec_url());
    let endpoint = format!("--codec-endpoint={}/{{namespace}}", relay.url());
    let show = ["workflow", "show", "-w", &id, "--output", "json", &endpoint];
    let more = [
        "--codec-auth",
        "Bearer of good news",
        "--codec-header",
        "X-Team=parcels",
    ];
    let shown = office.temporal(&[&show[..], &more].concat());
    assert_present("`show`", shown.as_bytes(), &[ParcelOffice::CONTENT]);

    let said = relay.said().to_lowercase();
    for expected in [
        "post /other/decode http/1.1",
        "x-namespace: other",
        "authorization: bearer of good news",
        "x-team: parcels",
    ] {
        assert!(said.contains(expected), "no `{expected}` in:\n{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_codec_server_with_another_key_shows_nothing() {
    let office = ParcelOffice::open("default").await;
    let id = office.accept().await;
    let strangers = Keyring::new();
    let stranger = codec_server_that(&strangers, "fail");
    let mut show = office.cli();
    show.args(["workflow", "show", "-w", &id, "--output", "json"]);
    show.arg(format!("--codec-endpoint={}", stranger.url()));
    let output = show.output().expect("it runs");
    assert!(!output.status.success());
    assert_absent("`show`", &[output.stdout, output.stderr].concat(), &SECRETS);
    // The command line never shows the answer that it got, so the log has to tell.
    assert_present(
        "the server's log",
        stranger.process().output().as_bytes(),
        &["encrypted with local://default"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn placeholders_keep_a_history_readable_that_cannot_be_decoded() {
    let office = ParcelOffice::open("default").await;
    let id = office.accept().await;
    let result = office.deliver(&id).await;
    let strangers = Keyring::new();
    let server = codec_server_that(&strangers, "placeholder");

    let endpoint = format!("--codec-endpoint={}", server.url());
    let show = ["workflow", "show", "-w", &id, &endpoint];
    let words = "codec-server error: cannot be decoded: ";
    for (form, expected) in [
        (&["--detailed"][..], words),
        (&[], r#""codec-server error":"cannot be decoded: "#),
        (&["--output", "json"], "WORKFLOW_EXECUTION_STARTED"),
    ] {
        let shown = office.temporal(&[&show[..], form].concat());
        assert_absent("`show`", shown.as_bytes(), &SECRETS);
        assert_present("`show`", shown.as_bytes(), &[expected]);
    }
    let shown = office.temporal(&["workflow", "result", "-w", &id, &endpoint]);
    assert_absent("`result`", shown.as_bytes(), &[&result]);
    assert_present(
        "`result`",
        shown.as_bytes(),
        &["codec-server error", "cannot be decoded: "],
    );
}

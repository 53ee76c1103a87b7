//! The real Web UI in a real browser: it decodes through the codec server, or shows ciphertext.
#![allow(clippy::expect_used, reason = "a test")]

use integration_tests::{
    Keyring, ParcelOffice, assert_absent, browser, codec_server, codec_server_that,
};
use serde_json::Value;

const SECRETS: [&str; 3] = [
    ParcelOffice::CONTENT,
    ParcelOffice::NOTE,
    ParcelOffice::LABEL,
];

#[tokio::test(flavor = "multi_thread")]
async fn the_web_ui_shows_plaintext_while_the_codec_server_answers_and_none_after() {
    let mut office = ParcelOffice::open_with_ui().await;
    let id = office.accept().await;
    office.deliver(&id).await;
    let url = format!("{}/namespaces/default/workflows/{id}", office.ui_url());

    let page = browser::open(&url, ParcelOffice::CONTENT, 60);
    assert!(page.found, "the page shows:\n{}", page.shown);
    let decode = format!("{}/decode", office.codec_url());
    let asked: Vec<_> = page
        .answers
        .iter()
        .filter(|answer| answer.url == decode)
        .collect();
    assert!(!asked.is_empty(), "the page asked {:?}", page.answers);
    assert!(
        asked
            .iter()
            .all(|answer| answer.method == "POST" && answer.status == 200),
        "{asked:?}"
    );

    office.stop_codec_server();
    let page = browser::open(&url, "Completed", 60);
    assert!(page.found, "the page shows:\n{}", page.shown);
    assert_absent("the page", page.shown.as_bytes(), &SECRETS);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_web_ui_shows_why_a_payload_cannot_be_decoded() {
    let strangers = Keyring::new();
    let stranger = codec_server_that(&strangers, "placeholder");
    let office = ParcelOffice::open_with_ui_and(stranger).await;
    let id = office.accept().await;
    let url = format!("{}/namespaces/default/workflows/{id}", office.ui_url());
    let page = browser::open(&url, "cannot be decoded: ", 60);
    assert!(page.found, "the page shows:\n{}", page.shown);
    assert_absent("the page", page.shown.as_bytes(), &SECRETS);
}

/// The Web UI encrypts what it shows when a schedule is saved. What cannot be decoded must not be replaced by the
/// placeholder.
#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_whose_input_cannot_be_decoded_keeps_it_when_it_is_saved() {
    let strangers = Keyring::new();
    let stranger = codec_server_that(&strangers, "placeholder");
    let encode = format!("{}/encode", stranger.url());
    let office = ParcelOffice::open_with_ui_and(stranger).await;
    let owner = codec_server(office.keyring());
    let endpoint = format!("--codec-endpoint={}", owner.url());
    let input = format!("{:?}", ParcelOffice::CONTENT);
    let id = ["--schedule-id", "letters"];
    let what = ["--type", "Parcel", "--workflow-id", "letter"];
    let when = ["--interval", "1000h", "--task-queue", "nobody's"];
    let create = ["schedule", "create", "--input", &input, &endpoint];
    office.temporal(&[&create[..], &id, &what, &when].concat());
    let stored = || {
        let describe = ["schedule", "describe", "--output", "json"];
        let shown = office.temporal(&[&describe[..], &id].concat());
        let schedule: Value = serde_json::from_str(&shown).expect("JSON");
        schedule["schedule"]["action"]["startWorkflow"]["input"].clone()
    };
    let before = stored();
    assert!(before["payloads"].is_array(), "{before}");
    assert_absent("the schedule", before.to_string().as_bytes(), &SECRETS);

    let url = format!(
        "{}/namespaces/default/schedules/letters/edit",
        office.ui_url()
    );
    let saved = |clicks: &[&str], then: &str| {
        let page = browser::click(&url, "cannot be decoded: ", clicks, then, 60);
        assert!(page.found, "the page shows:\n{}", page.shown);
        assert_absent("the page", page.shown.as_bytes(), &SECRETS);
        page.answers
    };
    saved(&["Save"], "Last Updated");
    assert_eq!(stored(), before, "saved as it was");

    let answers = saved(&["Edit", "Save"], "Codec Server failed to encode");
    let refused = |answer: &browser::Answer| answer.url == encode && answer.status == 400;
    assert!(answers.iter().any(refused), "{answers:?}");
    assert_eq!(stored(), before, "saved with the placeholder");
}

//! The real Web UI in a real browser: it decodes through the codec server, or shows ciphertext.
#![allow(clippy::expect_used, reason = "a test")]

use integration_tests::{Keyring, ParcelOffice, assert_absent, browser, codec_server_that};

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

//! What a person with the role `read` sees.

use integration_tests::{
    Keyring, ParcelOffice, assert_absent,
    browser::Step,
    codec_server,
    parcel::Order,
    until,
    web_ui::{Generation, Passes},
};
use serde_json::{Value, json};

use super::company::Company;

async fn shows_every_kind_of_payload(generation: Generation) {
    let company = Company::open(generation, Passes::Tokens).await;
    let id = company.office.accept().await;
    let result = company.office.deliver(&id).await;

    let path = company.path(&id, "history");
    let page = company.shows(&path, &[ParcelOffice::CONTENT, &result]);
    company.assert_asked(&page, &[200]);
    company.shows(&company.path(&id, "memo"), &[ParcelOffice::NOTE]);

    let fails = Order {
        content: ParcelOffice::CONTENT.to_owned(),
        fails: true,
        ..Order::default()
    };
    let lost = company.office.accept_order(fails).await;
    company.office.close(&lost).await;
    let message = format!("lost {}", ParcelOffice::CONTENT);
    let page = company.shows(&company.path(&lost, "history"), &["Failed", &message]);
    company.assert_asked(&page, &[200]);
}

async fn shows_what_an_activity_reports(generation: Generation) {
    let company = Company::open(generation, Passes::Tokens).await;
    company.office.hold(true);
    let id = company.office.accept().await;
    until("the second attempt", async || {
        let described = company.json(&["workflow", "describe", "-w", &id]);
        let attempt = &described["pendingActivities"][0];
        (attempt["attempt"] == 2 && attempt["heartbeatDetails"].is_object()).then_some(())
    })
    .await;
    let heartbeat = format!("noted {}", ParcelOffice::CONTENT);
    let failure = format!("smeared {}", ParcelOffice::CONTENT);
    let path = company.path(&id, "pending-activities");
    let page = company.shows(&path, &[&heartbeat, &failure]);
    company.assert_asked(&page, &[200]);
    company.office.hold(false);
}

async fn shows_payloads_beside_one_that_cannot_be_decoded(generation: Generation) {
    let company = Company::open(generation, Passes::Tokens).await;
    let id = company.office.accept().await;
    let strangers = Keyring::new();
    let stranger = codec_server(&strangers);
    let lost = "a label with the key of a stranger";
    company.office.temporal(&[
        "workflow",
        "signal",
        "--workflow-id",
        &id,
        "--name",
        "relabelled",
        "--input",
        &format!("{lost:?}"),
        "--codec-endpoint",
        stranger.url(),
    ]);
    let history = company.json(&["workflow", "show", "-w", &id]);
    let is_lost = |event: &&Value| {
        event["workflowExecutionSignaledEventAttributes"]["signalName"] == "relabelled"
    };
    let events = history["events"].as_array().expect("events");
    let event = events.iter().find(is_lost).expect("the signal");
    let event = event["eventId"].as_str().expect("a number");
    let good = company.ui.page(&company.path(&id, "history"));
    let bad = company
        .ui
        .page(&company.path(&id, &format!("history/events/{event}")));
    let page = company.signed_in(&[
        Step::Open { open: &good },
        Step::Wait {
            wait: ParcelOffice::CONTENT,
        },
        Step::Open { open: &bad },
        Step::Wait {
            wait: "cannot be decoded: ",
        },
    ]);
    company.assert_found(&page);
    company.assert_asked(&page, &[200]);
    assert_absent("the page", page.shown.as_bytes(), &[lost]);
}

async fn answers_a_query(generation: Generation) {
    let company = Company::open(generation, Passes::Tokens).await;
    let id = company.office.accept().await;
    let queries = company.ui.page(&company.path(&id, "query"));
    let answer = format!("found {}", ParcelOffice::LABEL);
    let page = company.signed_in(&[
        Step::Open { open: &queries },
        Step::Wait { wait: "Query Type" },
        Step::Code { code: "\"found \"" },
        Step::Click { click: "Run Query" },
        Step::Wait { wait: &answer },
    ]);
    company.assert_found(&page);
    company.assert_asked(&page, &[200]);

    // The names are encrypted like any other answer, and the codec server decodes them.
    let ask = ["workflow", "metadata", "--output", "json", "-w", &id];
    let stored = company.office.temporal(&ask);
    assert_absent("the answer", stored.as_bytes(), &["queryDefinitions"]);
    let answer: Value = serde_json::from_str(&company.temporal(&ask)).expect("JSON");
    let definition = &answer["queryResult"][0]["definition"];
    let signals = json!([{ "name": "close" }, { "name": "label" }]);
    for (kind, names) in [
        ("queryDefinitions", json!([{ "name": "labels" }])),
        ("signalDefinitions", signals),
        ("updateDefinitions", json!([{ "name": "relabel" }])),
    ] {
        assert_eq!(definition[kind], names, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_web_ui_answers_a_query() {
    answers_a_query(Generation::Older).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newer_web_ui_answers_a_query() {
    answers_a_query(Generation::Newer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_web_ui_shows_every_kind_of_payload() {
    shows_every_kind_of_payload(Generation::Older).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newer_web_ui_shows_every_kind_of_payload() {
    shows_every_kind_of_payload(Generation::Newer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_web_ui_shows_heartbeats_and_failures_of_an_activity() {
    shows_what_an_activity_reports(Generation::Older).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newer_web_ui_shows_heartbeats_and_failures_of_an_activity() {
    shows_what_an_activity_reports(Generation::Newer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_web_ui_shows_payloads_beside_one_that_cannot_be_decoded() {
    shows_payloads_beside_one_that_cannot_be_decoded(Generation::Older).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newer_web_ui_shows_payloads_beside_one_that_cannot_be_decoded() {
    shows_payloads_beside_one_that_cannot_be_decoded(Generation::Newer).await;
}

//! What people enter in the Web UI is encrypted before Temporal gets it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use integration_tests::{
    ParcelOffice, assert_absent,
    browser::Step,
    web_ui::{Generation, Passes},
};

use super::company::Company;

const LETTER: &str = "a letter that was typed in the browser";

async fn encrypts_what_is_entered(generation: Generation) {
    let company = Company::open(generation, Passes::Tokens).await;
    let id = format!("typed-{}", company.office.queue());
    let form = company.ui.page("workflows/start-workflow");
    let input = format!("{{\"content\": \"{LETTER}\", \"rounds\": 0, \"fails\": false}}");
    let workflow = company.ui.page(&format!("workflows/{id}"));
    let page = company.signed_in(&[
        Step::Open { open: &form },
        Step::Fill {
            fill: "Workflow ID",
            with: &id,
        },
        Step::Fill {
            fill: "Task Queue",
            with: company.office.queue(),
        },
        Step::Fill {
            fill: "Workflow Type",
            with: "Parcel",
        },
        Step::Code { code: &input },
        Step::Click {
            click: "Start Workflow",
        },
        Step::Wait {
            wait: "Workflow started successfully",
        },
        Step::Open { open: &workflow },
        Step::Wait { wait: LETTER },
    ]);
    company.assert_found(&page);
    company.assert_asked(&page, &[200]);
    assert!(
        company
            .asked(&page)
            .iter()
            .any(|answer| answer.url.contains("/encode")),
        "{:?}",
        page.answers
    );
    // The worker could read it, and Temporal has ciphertext only.
    assert!(company.office.deliver(&id).await.contains(LETTER));
    let stored = company
        .office
        .temporal(&["workflow", "show", "-w", &id, "--output", "json"]);
    assert_absent("the history", stored.as_bytes(), &[LETTER]);
}

async fn encrypts_a_schedule_that_is_edited(generation: Generation) {
    let company = Company::open(generation, Passes::Tokens).await;
    let id = format!("letters-{}", company.office.queue());
    let input = format!("{:?}", ParcelOffice::CONTENT);
    let create = [
        "schedule",
        "create",
        "--input",
        &input,
        "--schedule-id",
        &id,
    ];
    let what = ["--type", "Parcel", "--workflow-id", "letter"];
    let when = ["--interval", "1000h", "--task-queue", "nobody's"];
    company.temporal(&[&create[..], &what, &when].concat());
    let stored = || company.json(&["schedule", "describe", "--schedule-id", &id]);
    let before = stored();
    assert_absent(
        "the schedule",
        before.to_string().as_bytes(),
        &[ParcelOffice::CONTENT],
    );

    let edit = company.ui.page(&format!("schedules/{id}/edit"));
    let page = company.signed_in(&[
        Step::Open { open: &edit },
        Step::Wait {
            wait: ParcelOffice::CONTENT,
        },
        Step::Click { click: "Edit" },
        Step::Code {
            code: &format!("{LETTER:?}"),
        },
        Step::Click { click: "Save" },
        Step::Wait {
            wait: "Last Updated",
        },
    ]);
    company.assert_found(&page);
    company.assert_asked(&page, &[200]);
    let after = stored();
    let input = |schedule: &serde_json::Value| {
        schedule["schedule"]["action"]["startWorkflow"]["input"].clone()
    };
    assert_ne!(input(&after), input(&before), "{}", page.shown);
    let secrets = [ParcelOffice::CONTENT, LETTER];
    assert_absent("the schedule", after.to_string().as_bytes(), &secrets);
    let shown = company.temporal(&["schedule", "describe", "--schedule-id", &id]);
    let letter = STANDARD.encode(format!("{LETTER:?}"));
    assert!(shown.contains(&letter), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_web_ui_encrypts_the_form_that_starts_a_workflow() {
    encrypts_what_is_entered(Generation::Older).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newer_web_ui_encrypts_the_form_that_starts_a_workflow() {
    encrypts_what_is_entered(Generation::Newer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_web_ui_encrypts_a_schedule_that_is_edited() {
    encrypts_a_schedule_that_is_edited(Generation::Older).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newer_web_ui_encrypts_a_schedule_that_is_edited() {
    encrypts_a_schedule_that_is_edited(Generation::Newer).await;
}

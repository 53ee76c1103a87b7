//! The codec server's own page in a real browser, with a history of a real Temporal server.
#![allow(clippy::expect_used, reason = "a test")]

use std::{fs, path::Path};

use integration_tests::{
    Keyring, ParcelOffice, SecuredServer, assert_absent,
    browser::{self, Step},
    codec_server_that,
};
use serde_json::{Value, json};

const FILE: &str = "History or payload";
const SECRETS: [&str; 3] = [
    ParcelOffice::CONTENT,
    ParcelOffice::NOTE,
    ParcelOffice::LABEL,
];

/// The history of a workflow, as `temporal` exports it: encrypted.
async fn exported(office: &ParcelOffice, folder: &Path) -> std::path::PathBuf {
    let id = office.accept().await;
    office.deliver(&id).await;
    let history = office.temporal(&["workflow", "show", "-w", &id, "--output", "json"]);
    assert_absent("the export", history.as_bytes(), &SECRETS);
    let file = folder.join("history.json");
    fs::write(&file, history).expect("a file");
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn people_read_search_and_save_a_history() {
    let folder = tempfile::tempdir().expect("a folder");
    let office = ParcelOffice::open("default").await;
    let history = exported(&office, folder.path()).await;
    let saved = folder.path().join("decoded.json");
    let page = browser::walk(
        office.codec_url(),
        &[
            Step::Upload {
                upload: FILE,
                file: &history,
            },
            Step::Wait { wait: "Done." },
            Step::Click { click: "Open all" },
            Step::Wait {
                wait: ParcelOffice::CONTENT,
            },
            Step::Fill {
                fill: "Search",
                with: ParcelOffice::CONTENT,
            },
            Step::Wait {
                wait: ParcelOffice::CONTENT,
            },
            Step::Dark { dark: true },
            Step::Download {
                download: "Download decoded file",
                file: &saved,
            },
        ],
        60,
    );
    assert!(page.found, "the page shows:\n{}", page.shown);
    assert!(
        page.shown.contains("binary/envelope-kms version 2"),
        "{}",
        page.shown
    );
    assert!(page.shown.contains("local://"), "{}", page.shown);
    assert!(page.complaints.is_empty(), "{:?}", page.complaints);
    // Everything comes from the codec server.
    let foreign = page
        .answers
        .iter()
        .find(|answer| !answer.url.starts_with(office.codec_url()));
    assert!(
        foreign.is_none_or(|answer| answer.url.starts_with("blob:")),
        "{foreign:?}"
    );

    let saved: Value = serde_json::from_slice(&fs::read(&saved).expect("a file")).expect("JSON");
    let before: Value = serde_json::from_slice(&fs::read(&history).expect("a file")).expect("JSON");
    let events = |history: &Value| history["events"].as_array().expect("events").len();
    assert_eq!(events(&saved), events(&before));
    let input =
        &saved["events"][0]["workflowExecutionStartedEventAttributes"]["input"]["payloads"][0];
    let data = base64_text(input["data"].as_str().expect("a text"));
    assert!(data.contains(ParcelOffice::CONTENT), "{data}");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_see_why_a_payload_cannot_be_decoded_whatever_the_policy() {
    let folder = tempfile::tempdir().expect("a folder");
    let office = ParcelOffice::open("default").await;
    let history = exported(&office, folder.path()).await;
    for policy in ["placeholder", "fail"] {
        let strangers = Keyring::new();
        let stranger = codec_server_that(&strangers, policy);
        let page = browser::walk(
            stranger.url(),
            &[
                Step::Upload {
                    upload: FILE,
                    file: &history,
                },
                Step::Wait { wait: "Done." },
                Step::Click { click: "Open all" },
                Step::Wait {
                    wait: "not decoded",
                },
            ],
            60,
        );
        assert!(page.found, "the page shows:\n{}", page.shown);
        assert!(page.shown.contains("(request "), "{}", page.shown);
        assert_absent("the page", page.shown.as_bytes(), &SECRETS);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_value_becomes_markup() {
    let keyring = Keyring::new();
    let server = codec_server_that(&keyring, "fail");
    let evil = r#"{"metadata":{"encoding":"anNvbi9wbGFpbg==","kms-key":"PGltZyBzcmM9eCBvbmVycm9yPWFsZXJ0KDEpPg=="},"data":"IjxpbWcgc3JjPXggb25lcnJvcj1hbGVydCgxKT4i"}"#;
    let page = browser::walk(
        server.url(),
        &[
            Step::Fill {
                fill: "Text of a history",
                with: evil,
            },
            Step::Click { click: "Decode" },
            Step::Wait { wait: "Done." },
            Step::Wait {
                wait: "<img src=x onerror=alert(1)>",
            },
        ],
        60,
    );
    assert!(page.found, "the page shows:\n{}", page.shown);
    assert!(page.complaints.is_empty(), "{:?}", page.complaints);
    assert!(!page.answers.iter().any(|answer| answer.url.ends_with("/x")));

    for (text, answer) in [("{", "This is not JSON"), ("[]", "No payload was found")] {
        let page = browser::walk(
            server.url(),
            &[
                Step::Fill {
                    fill: "Text of a history",
                    with: text,
                },
                Step::Click { click: "Decode" },
                Step::Wait { wait: answer },
            ],
            60,
        );
        assert!(page.found, "the page shows:\n{}", page.shown);
    }
}

/// A codec server with TLS, which people use after a login at `issuer`.
fn with_login(office: &ParcelOffice, issuer: &fake_oidc::Server) -> SecuredServer {
    let sections = format!(
        "[auth.issuers.company]\nissuer = \"{}\"\naudience = [\"codec\"]\n\
         [auth.login]\nissuer = \"company\"\nclient_id = \"codec\"\n\
         redirect_url = \"https://localhost:PORT/auth/callback\"\n",
        issuer.issuer(),
    );
    SecuredServer::start(office.keyring(), &sections)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_shows_what_the_person_may_see_and_a_logout_ends_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let office = ParcelOffice::open("default").await;
    let history = exported(&office, folder.path()).await;
    let issuer = fake_oidc::Server::local().await.expect("an issuer");
    let server = with_login(&office, &issuer);
    let url = server.url();
    let read = |permissions: &[&str], then: &str| {
        issuer.sign_in_as(json!({"sub": "ann", "permissions": permissions}));
        let page = browser::walk(
            &url,
            &[
                Step::Follow { follow: "Log in" },
                Step::Wait { wait: "ann" },
                Step::Upload {
                    upload: FILE,
                    file: &history,
                },
                Step::Wait { wait: then },
            ],
            60,
        );
        assert!(page.found, "the page shows:\n{}", page.shown);
        page
    };
    let page = read(&["default:read"], "Done.");
    assert!(
        !page.shown.contains("State of the server"),
        "{}",
        page.shown
    );

    let page = read(&["default:admin"], "read");
    assert!(page.shown.contains("State of the server"), "{}", page.shown);
    assert_absent("the page", page.shown.as_bytes(), &SECRETS);

    issuer.sign_in_as(json!({"sub": "ann", "permissions": ["default:read"]}));
    let page = browser::walk(
        &url,
        &[
            Step::Follow { follow: "Log in" },
            Step::Wait { wait: "ann" },
            Step::Click { click: "Log out" },
            Step::Wait { wait: "Log in" },
            Step::Upload {
                upload: FILE,
                file: &history,
            },
            Step::Wait { wait: "sign in" },
        ],
        60,
    );
    assert!(page.found, "the page shows:\n{}", page.shown);
    assert_absent("the page", page.shown.as_bytes(), &SECRETS);
}

fn base64_text(text: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    String::from_utf8(STANDARD.decode(text).expect("base64")).expect("text")
}

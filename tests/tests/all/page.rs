//! The codec server's own page in a real browser, with a history of a real Temporal server.
#![allow(clippy::expect_used, reason = "a test")]

use std::{fs, path::Path, process::Command};

use dev_servers::sibling_binary;
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
    let keyset = fs::read(office.keyring().file()).expect("a keyset");
    let keyset: Value = serde_json::from_slice(&keyset).expect("JSON");
    let version = keyset["primaryKeyId"].to_string();
    assert!(page.shown.contains(&version), "{version}: {}", page.shown);
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
async fn people_see_the_version_of_each_key_that_its_ciphertext_tells() {
    // A header, and a tag that fits no key.
    let data = [&[2][..], &[0; 81]].concat();
    let sealed = |key: &str, wrapped: &[u8]| {
        json!({
            "metadata": {
                "encoding": base64(b"binary/envelope-kms"),
                "envelope-version": base64(b"2"),
                "kms-key": base64(key.as_bytes()),
                "encrypted-dek": base64(wrapped),
                "encryption-context": base64(br#"{"namespace":"default"}"#),
            },
            "data": base64(&data),
        })
    };
    let of_google = "gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k";
    let payloads = [
        sealed("local://default", &[1, 0, 1, 0x81, 0xcd, 9, 9]),
        sealed(
            "pkcs11:token=prod;object=payloads",
            &[1, 2, 2, 0x0a, 0xbc, 9],
        ),
        sealed(of_google, &[1, 2, 3, 4, 5, 6]),
        sealed("constructor://k", &[1, 2, 3, 4, 5, 6]),
        json!({
            "metadata": {
                "encoding": base64(b"binary/encrypted"),
                "encryption-key-id": base64(b"payloads"),
            },
            "data": base64(b"vault:v72:AAAA"),
        }),
    ];
    let text = json!({ "payloads": payloads }).to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("payloads.json");
    fs::write(&file, &text).expect("a file");
    let mut inspect = Command::new(sibling_binary("codec-server").expect("codec-server is built"));
    let inspected = inspect.args(["inspect", "--json"]).arg(&file).output();
    let inspected = inspected.expect("it runs").stdout;
    let inspected: Value = serde_json::from_slice(&inspected).expect("JSON");
    let found = inspected["payloads"].as_array().expect("payloads").iter();
    let versions: Vec<_> = found
        .map(|found| found["keys"][0]["version"].as_str())
        .collect();
    let told = [Some("98765"), Some("0abc"), None, None, Some("72")];
    assert_eq!(versions, told, "{inspected}");

    let keyring = Keyring::new();
    let server = codec_server_that(&keyring, "placeholder");
    let page = browser::walk(
        server.url(),
        &[
            Step::Fill {
                fill: "Text of a history",
                with: &text,
            },
            Step::Click { click: "Decode" },
            Step::Wait { wait: "Done." },
            Step::Wait {
                wait: "key version",
            },
        ],
        60,
    );
    assert!(page.found, "the page shows:\n{}", page.shown);
    for version in told.into_iter().flatten() {
        assert!(page.shown.contains(version), "{version}: {}", page.shown);
    }
    let hidden = page.shown.matches("not in the ciphertext").count();
    assert_eq!(hidden, 2, "{}", page.shown);
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

fn base64(bytes: &[u8]) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    STANDARD.encode(bytes)
}

fn base64_text(text: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    String::from_utf8(STANDARD.decode(text).expect("base64")).expect("text")
}

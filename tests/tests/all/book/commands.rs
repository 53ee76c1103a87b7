//! Every command in the documents is run here as it is written, or says why it is not.

use fake_cloud_kms::{Emulator, Options};
use integration_tests::{
    browser::{self, Step},
    moto::Moto,
    softhsm::isolated,
};

use super::{
    blocks::blocks,
    documents,
    setups::{ports, run, run_then},
};

/// Documents whose commands need local keys only.
const LOCAL: [&str; 12] = [
    "docs/claude-tasks.md",
    "docs/codec-server.md",
    "docs/codec-server/audit.md",
    "docs/codec-server/authentication.md",
    "docs/codec-server/configuration.md",
    "docs/files.md",
    "docs/histories.md",
    "docs/key-services/local-keyring.md",
    "docs/operations.md",
    "docs/operations/disaster-recovery.md",
    "docs/operations/monitoring.md",
    "docs/operations/rotation.md",
];
/// Documents whose commands start a Temporal server.
const TEMPORAL: [&str; 3] = [
    "README.md",
    "codec-server/README.md",
    "docs/getting-started.md",
];
/// The document whose commands start an identity provider and a Web UI.
const LOGIN: &str = "docs/codec-server/tour.md";
const GOOGLE: &str = "docs/key-services/google-cloud-kms.md";
const AWS: &str = "docs/key-services/aws-kms.md";
const PKCS11: &str = "docs/key-services/pkcs11.md";

#[test]
fn each_block_of_commands_is_run_or_says_why_not() {
    let mut wrong = Vec::new();
    for document in documents::all() {
        let is_run = LOCAL.contains(&&*document.path)
            || TEMPORAL.contains(&&*document.path)
            || [LOGIN, GOOGLE, AWS, PKCS11].contains(&&*document.path);
        let commands = blocks(&document.text)
            .into_iter()
            .filter(super::blocks::Block::has_commands);
        for block in commands.filter(|block| block.not_run.is_none() && !is_run) {
            wrong.push(format!("{}, line {}", document.path, block.line));
        }
    }
    assert!(
        wrong.is_empty(),
        "no test runs these blocks. Name the document in tests/tests/all/book/commands.rs, or write `<!-- not run here: REASON -->` above the block:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn commands_with_local_keys_do_what_the_documents_say() {
    for path in LOCAL {
        if blocks(&documents::document(path).text)
            .iter()
            .any(|block| block.has_commands() && block.not_run.is_none())
        {
            let ports = ports();
            run(path, &addresses(&ports), &ports);
        }
    }
}

#[test]
fn commands_with_a_temporal_server_do_what_the_documents_say() {
    for path in TEMPORAL {
        let ports = ports();
        run(path, &addresses(&ports), &ports);
    }
}

/// The commands set everything up. Then a person signs in at the Web UI, and reads the input of the workflow.
#[test]
fn commands_with_a_login_do_what_the_document_says() {
    let ports = ports();
    let ui = format!("http://{}", named(&ports, "localhost:8080"));
    let workflow = format!("{ui}/namespaces/default/workflows/hello");
    // The configuration of the document says where the codec server listens.
    let temporal = [("TEMPORAL_ADDRESS", named(&ports, "localhost:7233"))];
    run_then(LOGIN, &temporal, &ports, || {
        let page = browser::walk(
            &ui,
            &[
                Step::Click {
                    click: "Continue to SSO",
                },
                Step::Wait {
                    wait: "Start Workflow",
                },
                Step::Open { open: &workflow },
                Step::Wait { wait: "my secret" },
            ],
            90,
        );
        assert!(page.found, "the page shows:\n{}", page.shown);
    });
}

/// The addresses that programs take where the document names none.
fn addresses(ports: &[(&'static str, String)]) -> Vec<(&'static str, String)> {
    vec![
        ("CODEC_SERVER_LISTEN", named(ports, "127.0.0.1:8081")),
        ("TEMPORAL_ADDRESS", named(ports, "localhost:7233")),
    ]
}

/// What an address of the documents is replaced by.
fn named(ports: &[(&'static str, String)], address: &str) -> String {
    let found = ports.iter().find(|(from, _)| *from == address);
    found.expect("a port of the documents").1.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_with_google_cloud_kms_do_what_the_document_says() {
    let server = Emulator::start(Options::default())
        .await
        .expect("a fake Cloud KMS");
    let endpoint = server.url();
    let ran =
        tokio::task::spawn_blocking(move || run(GOOGLE, &[("GCP_KMS_ENDPOINT", endpoint)], &[]));
    ran.await.expect("the commands run");
}

#[test]
fn commands_with_aws_kms_do_what_the_document_says() {
    let moto = Moto::start();
    let text = str::to_owned;
    // AWS's example of an access key.
    let variables = [
        ("AWS_ENDPOINT_URL_KMS", moto.url().to_owned()),
        ("AWS_ACCESS_KEY_ID", text("AKIAIOSFODNN7EXAMPLE")),
        (
            "AWS_SECRET_ACCESS_KEY",
            text("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        ),
    ];
    run(AWS, &variables, &[]);
}

#[test]
fn commands_with_pkcs11_do_what_the_document_says() {
    isolated(|hsm| async move {
        let ours = hsm.key("payloads").to_string();
        let theirs = "pkcs11:token=prod;object=payloads";
        run(PKCS11, &hsm.variables(), &[(theirs, ours)]);
    });
}

//! Temporal's Go, Python and TypeScript SDKs and ours: one side asks a codec server with TLS and a token, the other has
//! the key.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test")]

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use integration_tests::{ParcelOffice, SecuredServer, assert_absent, interop, program_token, tool};
use prost::Message as _;
use serde_json::{Value, json};

/// A client that reads what to do from stdin.
#[derive(Clone, Copy)]
enum Sdk {
    Go,
    Python,
    TypeScript,
}

impl Sdk {
    fn name(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::Python => "python",
            Self::TypeScript => "typescript",
        }
    }

    /// The client, which trusts the codec server's authority.
    fn command(self, server: &SecuredServer) -> Command {
        match self {
            Self::Go => {
                let mut command = Command::new(tool("TKC_GO_CLIENT"));
                command.env("SSL_CERT_FILE", server.authority());
                command
            }
            Self::Python => {
                let mut command = interop::command("sdk.py");
                command.env("SSL_CERT_FILE", server.authority());
                command
            }
            Self::TypeScript => {
                let package = tool("TKC_TYPESCRIPT_CLIENT");
                let modules = package
                    .ancestors()
                    .find(|folder| folder.ends_with("node_modules"));
                let program = Path::new(env!("CARGO_MANIFEST_DIR"));
                let mut command = Command::new("node");
                command
                    .arg(program.join("interop/typescript/client.cjs"))
                    .env("NODE_PATH", modules.expect("a folder of node_modules"))
                    .env("NODE_EXTRA_CA_CERTS", server.authority());
                command
            }
        }
    }

    fn parcel(self, office: &ParcelOffice, server: &SecuredServer, token: &str) -> Value {
        json!({
            "address": office.address(),
            "namespace": "default",
            "codec": server.url(),
            "token": token,
            "queue": office.queue(),
            "id": format!("from-{}-{}", self.name(), office.queue()),
            "order": { "content": self.content(), "rounds": 0, "fails": false },
            "memo": { "note": ParcelOffice::NOTE },
            "label": ParcelOffice::LABEL,
            "prefix": "it says: ",
        })
    }

    fn content(self) -> String {
        format!("Käse from {}", self.name())
    }
}

async fn talks_to_a_rust_worker(sdk: Sdk) {
    let office = ParcelOffice::open("default").await;
    let (token, section) = program_token("client", &["default:read", "default:write"]);
    let server = SecuredServer::start(office.keyring(), &section);
    let parcel = sdk.parcel(&office, &server, &token);

    let answer = dev_servers::ask(sdk.command(&server), &parcel);
    let content = sdk.content();
    let expected = json!({
        "labels": [format!("it says: {}", ParcelOffice::LABEL)],
        "result": format!("stamped, noted {content}; {}", ParcelOffice::LABEL),
        "memo": { "note": ParcelOffice::NOTE },
    });
    assert_eq!(answer, expected);

    let id = parcel["id"].as_str().expect("a text");
    let history = office.raw().await.history(id, "").await.encode_to_vec();
    let secrets = [&content, ParcelOffice::NOTE, ParcelOffice::LABEL];
    assert_absent("the history", &history, &secrets);
}

/// A client whose token may not encrypt sends nothing to Temporal, above all no plaintext.
async fn starts_nothing_without_the_right_to_encrypt(sdk: Sdk) {
    let office = ParcelOffice::open("default").await;
    let (token, section) = program_token("client", &["default:read"]);
    let server = SecuredServer::start(office.keyring(), &section);
    let parcel = sdk.parcel(&office, &server, &token);

    let mut command = sdk.command(&server);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut client = command.spawn().expect("the client runs");
    let mut input = client.stdin.take().expect("it takes a parcel");
    write!(input, "{parcel}").expect("it takes a parcel");
    drop(input);
    let refused = client.wait_with_output().expect("the client ends");
    assert!(!refused.status.success(), "{refused:?}");
    assert_absent("stdout", &refused.stdout, &[ParcelOffice::LABEL]);

    let id = parcel["id"].as_str().expect("a text");
    let shown = office
        .cli()
        .args(["workflow", "describe", "-w", id])
        .output();
    let shown = shown.expect("temporal runs");
    assert!(!shown.status.success(), "{shown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_go_client_with_a_token_talks_to_a_rust_worker() {
    talks_to_a_rust_worker(Sdk::Go).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_client_with_a_token_talks_to_a_rust_worker() {
    talks_to_a_rust_worker(Sdk::Python).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_typescript_client_with_a_token_talks_to_a_rust_worker() {
    talks_to_a_rust_worker(Sdk::TypeScript).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_go_client_starts_nothing_without_the_right_to_encrypt() {
    starts_nothing_without_the_right_to_encrypt(Sdk::Go).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_client_starts_nothing_without_the_right_to_encrypt() {
    starts_nothing_without_the_right_to_encrypt(Sdk::Python).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_typescript_client_starts_nothing_without_the_right_to_encrypt() {
    starts_nothing_without_the_right_to_encrypt(Sdk::TypeScript).await;
}

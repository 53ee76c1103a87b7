//! The real `temporal` and `tctl` with a codec server that speaks TLS and asks who calls.
#![allow(clippy::expect_used, reason = "a test")]

use std::{path::Path, process::Command};

use integration_tests::{
    ParcelOffice, SecuredServer, assert_absent, assert_present, output, program_token, tool,
};

const SECRETS: [&str; 3] = [
    ParcelOffice::CONTENT,
    ParcelOffice::NOTE,
    ParcelOffice::LABEL,
];

/// A codec server over the keys of an office, and a token for it.
struct Secured {
    server: SecuredServer,
    token: String,
}

impl Secured {
    fn of(office: &ParcelOffice) -> Self {
        let (token, section) = program_token("cli", &["default:read"]);
        Self {
            server: SecuredServer::start(office.keyring(), &section),
            token,
        }
    }

    fn endpoint(&self) -> String {
        self.server.url()
    }

    /// A client that trusts the server's authority.
    fn client(&self, program: &Path, office: &ParcelOffice) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("HOME", self.server.folder())
            .env("SSL_CERT_FILE", self.server.authority())
            .args(["--address", &office.address()]);
        command
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_show_plaintext_with_a_token_and_none_without_it() {
    let office = ParcelOffice::open("default").await;
    let id = office.accept().await;
    office.deliver(&id).await;
    let secured = Secured::of(&office);
    let bearer = format!("Bearer {}", secured.token);

    let show = ["workflow", "show", "-w", &id, "--detailed"];
    let temporal = |more: &[&str]| {
        let mut command = secured.client(&tool("TKC_TEMPORAL"), &office);
        command
            .args(show)
            .args(["--codec-endpoint", &secured.endpoint()]);
        command.args(more);
        command
    };
    for more in [
        ["--codec-auth", &bearer],
        ["--codec-header", &format!("Authorization={bearer}")],
    ] {
        let shown = output(temporal(&more));
        assert_present("`temporal workflow show`", shown.as_bytes(), &SECRETS);
    }
    for more in [&[][..], &["--codec-auth", "Bearer of bad news"]] {
        let refused = temporal(more).output().expect("temporal runs");
        let shown = [refused.stdout, refused.stderr].concat();
        assert_absent("`temporal workflow show`", &shown, &SECRETS);
    }

    let mut show = secured.client(&tool("TKC_TCTL"), &office);
    show.args(["--codec_endpoint", &secured.endpoint()]);
    show.args(["--codec_auth", &bearer, "workflow", "show"]);
    show.args(["--workflow_id", &id, "--print_full"]);
    let shown = output(show);
    assert_present("`tctl show`", shown.as_bytes(), &[ParcelOffice::CONTENT]);
}

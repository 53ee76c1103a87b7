//! The real `temporal` and `tctl` with a codec server that speaks TLS and asks who calls.
#![allow(clippy::expect_used, reason = "a test")]

use std::{fs, path::Path, process::Command};

use dev_servers::{Service, certificates::Authority, sibling_binary};
use integration_tests::{ParcelOffice, assert_absent, assert_present, output, tool};
use tempfile::TempDir;

const SECRETS: [&str; 3] = [
    ParcelOffice::CONTENT,
    ParcelOffice::NOTE,
    ParcelOffice::LABEL,
];

/// A codec server over the keys of an office.
struct Secured {
    server: Service,
    folder: TempDir,
    token: String,
}

impl Secured {
    fn of(office: &ParcelOffice) -> Self {
        let folder = TempDir::new().expect("a folder");
        let authority = Authority::new("codec").expect("an authority");
        let key = authority.server(&["localhost"]).expect("a certificate");
        let (certificate, key) = key.write(folder.path()).expect("files");
        fs::write(folder.path().join("ca.pem"), authority.certificate()).expect("a file");
        let mut command = Command::new(program());
        command.arg("token");
        let made = command.output().expect("codec-server runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (section, token) = (text(&made.stderr), text(&made.stdout));
        let both = format!("{section}\n{token}");
        let hash = both
            .lines()
            .find(|line| line.starts_with("sha256 = "))
            .expect("a hash");
        let token = both
            .split_whitespace()
            .find(|word| word.starts_with("tkc_"))
            .expect("a token");
        let configuration = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[tls]\ncertificate = '{}'\nkey = '{}'\n\
             [auth.tokens.cli]\n{hash}\npermissions = [\"default:read\"]\n\
             [keys]\nlocal_keyring = '{}'\n[namespaces.default]\nencrypt = [\"local://default\"]\n",
            certificate.display(),
            key.display(),
            office.keyring().folder().display(),
        );
        let file = folder.path().join("codec.toml");
        fs::write(&file, configuration).expect("a file");
        let mut serve = Command::new(program());
        serve.args(["serve", "--config"]).arg(file);
        Self {
            server: Service::start("the codec server", serve).expect("a codec server"),
            token: token.to_owned(),
            folder,
        }
    }

    fn endpoint(&self) -> String {
        self.server.url().replace("127.0.0.1", "localhost")
    }

    /// A client that trusts the server's authority.
    fn client(&self, program: &Path, office: &ParcelOffice) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("HOME", self.folder.path())
            .env("SSL_CERT_FILE", self.folder.path().join("ca.pem"))
            .args(["--address", &office.address()]);
        command
    }
}

fn program() -> std::path::PathBuf {
    sibling_binary("codec-server").expect("codec-server is built")
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

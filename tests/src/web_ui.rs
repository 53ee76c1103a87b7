//! Temporal's Web UI as a server of its own, which signs people in. The one in Temporal's development server cannot.

use std::{fs, path::Path, process::Command, time::Duration};

use dev_servers::{Process, free_port, wait_for_port};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{tls_front::TlsFront, tool};

const START_LIMIT: Duration = Duration::from_secs(30);

/// The id of the Web UI at an issuer.
pub const CLIENT: &str = "temporal-ui";
/// Its secret.
pub const SECRET: &str = "secret-of-the-ui";

/// A generation of the Web UI. Each of them speaks to codec servers in its own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// 2.42.1, which Temporal's development server brings.
    Older,
    /// 2.55.0. It appends a query to the address of the codec server, repeats calls that fail, and downloads values.
    Newer,
}

impl Generation {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Older, Self::Newer];

    fn program(self) -> std::path::PathBuf {
        tool(match self {
            Self::Older => "TKC_WEB_UI_OLDER",
            Self::Newer => "TKC_WEB_UI",
        })
    }
}

/// How the Web UI speaks to the codec server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passes {
    /// It sends the access token and the ID token of its user.
    Tokens,
    /// It sends the cookies that the browser has of the codec server.
    Cookies,
}

/// An address for a Web UI that is started later: the codec server must know it first.
#[derive(Debug)]
pub struct Place {
    port: u16,
    front: TlsFront,
}

impl Place {
    /// A free one.
    ///
    /// # Panics
    /// The system has no free port.
    pub async fn find() -> Self {
        let port = free_port().expect("a port");
        Self {
            port,
            front: TlsFront::start(([127, 0, 0, 1], port).into()).await,
        }
    }

    /// The URL, which is the origin of the Web UI's pages as well.
    #[must_use]
    pub fn url(&self) -> &str {
        self.front.url()
    }
}

/// A running Web UI.
#[derive(Debug)]
pub struct WebUi {
    _process: Process,
    _folder: TempDir,
    place: Place,
}

impl WebUi {
    /// Starts a Web UI that signs people in at `issuer`, and asks the codec server at `codec`.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start(
        generation: Generation,
        place: Place,
        temporal: &str,
        issuer: Option<&str>,
        codec: &str,
        passes: Passes,
    ) -> Self {
        let url = place.url().to_owned();
        // JSON is YAML.
        let settings = json!({
            "temporalGrpcAddress": temporal,
            "host": "127.0.0.1",
            "port": place.port,
            "enableUi": true,
            "defaultNamespace": "default",
            "disableNewsFetch": true,
            "auth": issuer.map_or_else(|| json!({ "enabled": false }), |issuer| sign_in(&url, issuer)),
            "cors": { "allowOrigins": [url], "cookieInsecure": true },
            "codec": {
                "endpoint": codec,
                "passAccessToken": passes == Passes::Tokens,
                "includeCredentials": passes == Passes::Cookies,
            },
        });
        let folder = TempDir::new().expect("a folder");
        fs::create_dir(folder.path().join("config")).expect("a folder");
        let file = folder.path().join("config/test.yaml");
        fs::write(&file, settings.to_string()).expect("a file");
        let process = Process::spawn("the Web UI", command(generation, folder.path()));
        let process = process.expect("the Web UI runs");
        assert!(
            wait_for_port(place.port, START_LIMIT),
            "the Web UI does not listen:\n{}",
            process.output()
        );
        Self {
            _process: process,
            _folder: folder,
            place,
        }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        self.place.url()
    }

    /// The URL of a page of the namespace `default`, such as `workflows`.
    #[must_use]
    pub fn page(&self, path: &str) -> String {
        format!("{}/namespaces/default/{path}", self.url())
    }
}

fn sign_in(url: &str, issuer: &str) -> Value {
    json!({
        "enabled": true,
        "providers": [{
            "label": "company",
            "type": "oidc",
            "providerUrl": issuer,
            "clientId": CLIENT,
            "clientSecret": SECRET,
            "scopes": ["openid", "profile", "email"],
            "callbackUrl": format!("{url}/auth/sso/callback"),
        }],
    })
}

fn command(generation: Generation, folder: &Path) -> Command {
    let mut command = Command::new(generation.program());
    command.env_clear().arg("--root").arg(folder);
    command.args(["--env", "test", "start"]);
    command
}

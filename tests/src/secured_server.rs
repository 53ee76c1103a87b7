use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use dev_servers::{Service, certificates::Authority, free_port, sibling_binary};
use tempfile::TempDir;

use crate::Keyring;

/// A codec server with TLS and a configuration file: the keys of a [`Keyring`], and what a test adds. It is at
/// `https://localhost`.
#[derive(Debug)]
pub struct SecuredServer {
    server: Service,
    port: u16,
    folder: TempDir,
}

impl SecuredServer {
    /// Starts it. `sections` are further sections of its configuration, in which `PORT` is replaced by its port.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start(keyring: &Keyring, sections: &str) -> Self {
        Self::start_with_namespace(keyring, sections, "")
    }

    /// As [`start`](Self::start), with settings of the namespace `default` beside its key.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start_with_namespace(keyring: &Keyring, sections: &str, namespace: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let authority = Authority::new("codec").expect("an authority");
        let key = authority.server(&["localhost"]).expect("a certificate");
        let (certificate, key) = key.write(folder.path()).expect("files");
        fs::write(folder.path().join("ca.pem"), authority.certificate()).expect("a file");
        // A login needs the address before the server starts.
        let port = free_port().expect("a port");
        let configuration = format!(
            "[server]\nlisten = \"127.0.0.1:{port}\"\n[tls]\ncertificate = '{}'\nkey = '{}'\n{}\n\
             [keys]\nlocal_keyring = '{}'\n[namespaces.default]\nencrypt = [\"local://default\"]\n{namespace}\n",
            certificate.display(),
            key.display(),
            sections.replace("PORT", &port.to_string()),
            keyring.folder().display(),
        );
        let file = folder.path().join("codec.toml");
        fs::write(&file, configuration).expect("a file");
        let mut serve =
            Command::new(sibling_binary("codec-server").expect("codec-server is built"));
        serve.args(["serve", "--config"]).arg(file);
        Self {
            server: Service::start("the codec server", serve).expect("a codec server"),
            port,
            folder,
        }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// The certificate of its authority, in PEM.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A folder of its own, for what a test writes beside its configuration.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Everything that it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.server.process().output()
    }
}

/// A token for a program, and the section `[auth.tokens.NAME]` that gives it `permissions`, as `codec-server token` makes
/// them.
///
/// # Panics
/// The command fails.
#[must_use]
pub fn program_token(name: &str, permissions: &[&str]) -> (String, String) {
    let mut command = Command::new(sibling_binary("codec-server").expect("codec-server is built"));
    command.args(["token", "--name", name]);
    for permission in permissions {
        command.args(["--permission", permission]);
    }
    let made = command.output().expect("codec-server runs");
    assert!(made.status.success(), "{made:?}");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    (text(&made.stdout), text(&made.stderr))
}

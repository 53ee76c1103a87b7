//! What authentication and the audit log add to a request, beside the codec server without them. Every server counts its
//! requests for the metrics.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    Arguments,
    compare::{Case, Row, Server, compare},
};
use crate::{step, workspace::Workspace};

const CASES: [Case; 2] = [("1 × 1 KiB", 1, 1 << 10), ("20 × 1 KiB", 20, 1 << 10)];
const KEY: &str = "local://bench";

/// One configuration. The first one is what the others are compared with.
struct Variant {
    name: &'static str,
    has_token: bool,
    has_audit: bool,
}

const VARIANTS: [Variant; 4] = [
    Variant {
        name: "plain",
        has_token: false,
        has_audit: false,
    },
    Variant {
        name: "token",
        has_token: true,
        has_audit: false,
    },
    Variant {
        name: "audit log",
        has_token: false,
        has_audit: true,
    },
    Variant {
        name: "both",
        has_token: true,
        has_audit: true,
    },
];

pub(super) fn measure(
    workspace: &Workspace,
    program: &Path,
    arguments: &Arguments,
) -> anyhow::Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let stage = Stage::new(program, folder.path())?;
    let servers = VARIANTS.iter().map(|variant| stage.server(variant));
    let servers = servers.collect::<anyhow::Result<Vec<_>>>()?;
    compare(workspace, &servers, &CASES, arguments)
}

/// What all variants share: a key, and a token for one caller.
struct Stage<'a> {
    program: &'a Path,
    folder: &'a Path,
    keyring: PathBuf,
    token: String,
    /// The section of the configuration that accepts the token.
    accepts_token: String,
}

impl<'a> Stage<'a> {
    fn new(program: &'a Path, folder: &'a Path) -> anyhow::Result<Self> {
        let keyring = folder.join("keyring");
        let mut create = Command::new(program);
        create.args(["keys", "create", KEY]);
        create.env("TEMPORAL_CODEC_KEYRING", &keyring);
        step::output(create)?;
        let mut token = Command::new(program);
        token.args(["token", "--name", "bench"]);
        token.args(["--permission", "default:read"]);
        token.args(["--permission", "default:write"]);
        let made = token.output()?;
        anyhow::ensure!(made.status.success(), "`codec-server token` failed");
        Ok(Self {
            program,
            folder,
            keyring,
            token: String::from_utf8(made.stdout)?.trim().to_owned(),
            accepts_token: String::from_utf8(made.stderr)?,
        })
    }

    fn server(&self, variant: &Variant) -> anyhow::Result<Server> {
        let folder = self.folder.join(variant.name);
        fs::create_dir(&folder)?;
        fs::set_permissions(&folder, PermissionsExt::from_mode(0o700))?;
        let file = folder.join("codec.toml");
        fs::write(&file, self.configuration(variant, &folder)?)?;
        let mut command = Command::new(self.program);
        command.args(["serve", "--config"]).arg(file);
        command.env_remove("RUST_LOG");
        let server = Server::new(variant.name, command);
        Ok(if variant.has_token {
            server.with_token(&self.token)
        } else {
            server
        })
    }

    fn configuration(&self, variant: &Variant, folder: &Path) -> anyhow::Result<String> {
        let keyring = self.keyring.display();
        let mut sections = vec![format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[keys]\nlocal_keyring = '{keyring}'\n[namespaces.default]\nencrypt = [\"{KEY}\"]\n"
        )];
        if variant.has_audit {
            let audit = folder.join("audit");
            fs::create_dir(&audit)?;
            fs::set_permissions(&audit, PermissionsExt::from_mode(0o700))?;
            sections.push(format!("[audit]\nfolder = '{}'\n", audit.display()));
        }
        if variant.has_token {
            sections.push(self.accepts_token.clone());
        }
        Ok(sections.concat())
    }
}

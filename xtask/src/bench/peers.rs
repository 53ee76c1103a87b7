//! Servers that the codec server is measured against: a few lines of ours around the SDKs' own libraries, in
//! `benches/peers`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use clap::ValueEnum;

use crate::{
    path, step,
    tools::{self, PEER_PYTHON, PEER_TYPESCRIPT},
    workspace::Workspace,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Peer {
    /// Go: the SDK's handler with an AES-256-GCM codec
    Go,
    /// Python: aiohttp, and the SDK's messages
    Python,
    /// TypeScript: express, and the SDK's messages
    Typescript,
}

impl Peer {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::Python => "python",
            Self::Typescript => "typescript",
        }
    }

    /// Installs what the peer needs, and returns how it starts.
    pub(super) fn command(self, workspace: &Workspace) -> anyhow::Result<Command> {
        let folder = workspace.root().join("benches/peers").join(self.name());
        match self {
            Self::Go => Ok(Command::new(build_go(workspace, &folder)?)),
            Self::Python => {
                let mut command = Command::new(tools::provide(workspace, &PEER_PYTHON)?);
                command.arg(folder.join("peer.py"));
                Ok(command)
            }
            Self::Typescript => {
                let package = tools::provide(workspace, &PEER_TYPESCRIPT)?;
                let node = path::need("node", "install Node.js 20 or newer (https://nodejs.org)")?;
                let mut command = Command::new(node);
                // The packages are not installed beside the program.
                if let Some(modules) = package.ancestors().find(|it| it.ends_with("node_modules")) {
                    command.env("NODE_PATH", modules);
                }
                command.arg(folder.join("peer.cjs"));
                Ok(command)
            }
        }
    }
}

fn build_go(workspace: &Workspace, module: &Path) -> anyhow::Result<PathBuf> {
    let go = path::need("go", "install Go 1.26 or newer (https://go.dev/dl)")?;
    let program = workspace.tools().join("bin/peer-go");
    let mut build = Command::new(go);
    build
        .current_dir(module)
        .env("GOTOOLCHAIN", "local")
        .args(["build", "-mod=readonly", "-o"])
        .arg(&program)
        .arg(".");
    step::quietly("go build", build)?;
    Ok(program)
}

//! The codec server beside its peers.

use std::{path::Path, process::Command};

use super::{
    Arguments,
    compare::{Case, Row, Server, compare},
    peers::Peer,
};
use crate::workspace::Workspace;

const CASES: [Case; 4] = [
    ("1 × 1 KiB", 1, 1 << 10),
    ("20 × 1 KiB", 20, 1 << 10),
    ("1 × 1 MiB", 1, 1 << 20),
    ("100 × 16 KiB", 100, 16 << 10),
];

/// How many times the processor time of ours the server of the Go SDK should need in each case.
const GOALS: [(&str, f64); 4] = [
    ("1 × 1 KiB", 2.5),
    ("20 × 1 KiB", 6.0),
    ("1 × 1 MiB", 6.5),
    ("100 × 16 KiB", 6.5),
];

pub(super) fn measure(
    workspace: &Workspace,
    program: &Path,
    peers: &[Peer],
    arguments: &Arguments,
) -> anyhow::Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let mut servers = vec![Server::new("codec-server", ours(program, folder.path()))];
    for peer in peers {
        servers.push(Server::new(peer.name(), peer.command(workspace)?));
    }
    let mut rows = compare(workspace, &servers, &CASES, arguments)?;
    for row in &mut rows {
        let goal = GOALS.iter().find(|(case, _)| *case == row.case());
        if let Some((_, goal)) = goal.filter(|_| row.server() == Peer::Go.name()) {
            row.set_goal(*goal);
        }
    }
    Ok(rows)
}

fn ours(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .args(["dev", "--listen", "127.0.0.1:0", "--keyring"])
        .arg(folder.join("keyring"))
        .env_remove("RUST_LOG");
    command
}

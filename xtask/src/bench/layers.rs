//! What the layers around the codec server's handler cost: the handler behind the HTTP library alone, behind the router and
//! the CORS layer of axum too, and in the codec server as it is.

use std::{path::PathBuf, process::Command};

use anyhow::Context as _;
use serde_json::Value;

use super::{
    Arguments, build,
    compare::{Case, Row, Server, compare},
};
use crate::{step, workspace::Workspace};

/// Small bodies, where the layers count most.
const CASES: [Case; 2] = [("1 × 1 KiB", 1, 1 << 10), ("20 × 1 KiB", 20, 1 << 10)];
/// The first one is what the others are compared with.
const LAYERS: [&str; 3] = ["bare", "routed", "served"];

pub(super) fn measure(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<Vec<Row>> {
    let program = program(workspace)?;
    let folder = tempfile::tempdir()?;
    let server = |layers| {
        let mut command = Command::new(&program);
        command
            .arg(layers)
            .arg(folder.path())
            .env_remove("RUST_LOG");
        Server::new(layers, command)
    };
    let servers = LAYERS.map(server);
    compare(workspace, &servers, &CASES, arguments)
}

/// How long requests with hostile bodies hold a thread of the handler.
pub(super) fn polls(workspace: &Workspace) -> anyhow::Result<Value> {
    let folder = tempfile::tempdir()?;
    let mut run = Command::new(program(workspace)?);
    // Lines of refused requests are of no interest here.
    run.arg("polls").arg(folder.path()).env("RUST_LOG", "off");
    serde_json::from_slice(&step::output(run)?).context("the benchmark prints no JSON")
}

fn program(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    build(workspace, "http-benchmarks", "http-benchmarks")
}

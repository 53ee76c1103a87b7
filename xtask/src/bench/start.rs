//! How long the programs take until they serve, and the memory that they take while they do nothing.

use std::{path::Path, process::Command, time::Duration};

use anyhow::Context;
use dev_servers::{Process, Service, TemporalOptions, TemporalServer};
use serde::Serialize;

use super::{
    build,
    figures::{Stopwatch, median, memory_now},
};
use crate::{tools, workspace::Workspace};

const TIMES: usize = 15;
const LIMIT: Duration = Duration::from_secs(30);

#[derive(Serialize)]
pub(super) struct Start {
    program: &'static str,
    /// From the start of the process until it serves, with an existing keyring.
    ready_ms: f64,
    idle_mib: f64,
}

/// The codec server, and the worker unless the SDK is left out.
pub(super) fn measure(
    workspace: &Workspace,
    codec_server: &Path,
    sdk: bool,
) -> anyhow::Result<Vec<Start>> {
    let folder = tempfile::tempdir()?;
    let keyring = folder.path().join("keyring");
    let mut rows = vec![repeat("codec-server", || {
        let begun = Stopwatch::start();
        let service = Service::codec_server(codec_server, &keyring, 0)?;
        Ok((begun.milliseconds(), memory_now(service.process().id())?))
    })?];
    if sdk {
        rows.push(worker(workspace, &keyring, &folder.path().join("tasks"))?);
    }
    Ok(rows)
}

fn worker(workspace: &Workspace, keyring: &Path, tasks: &Path) -> anyhow::Result<Start> {
    let program = build(workspace, "claude-tasks", "claude-tasks")?;
    let claude = tools::provide(workspace, &tools::CLAUDE)?;
    let temporal = tools::provide(workspace, &tools::TEMPORAL)?;
    let temporal = TemporalServer::start(&temporal, &TemporalOptions::default())?;
    let address = temporal.address();
    repeat("claude-tasks worker", || {
        let mut command = Command::new(&program);
        command
            .args(["worker", "--address", &address, "--task-queue", "benchmark"])
            .args(["--sandbox", "off", "--keyring"])
            .arg(keyring)
            .arg("--claude")
            .arg(&claude)
            .arg("--workdir")
            .arg(tasks);
        let begun = Stopwatch::start();
        let mut worker = Process::spawn("the worker", command)?;
        let is_ready = |line: &str| line.starts_with("worker ready").then_some(());
        worker.wait_for_line(LIMIT, is_ready)?;
        Ok((begun.milliseconds(), memory_now(worker.id())?))
    })
}

/// Starts a program again and again. The first time is not counted: it may make files.
fn repeat(
    program: &'static str,
    mut once: impl FnMut() -> anyhow::Result<(f64, f64)>,
) -> anyhow::Result<Start> {
    let (mut times, mut memory) = (Vec::new(), Vec::new());
    for number in 0..=TIMES {
        let (time, taken) = once().with_context(|| format!("{program} does not start"))?;
        if number > 0 {
            times.push(time);
            memory.push(taken);
        }
    }
    Ok(Start {
        program,
        ready_ms: median(times),
        idle_mib: median(memory),
    })
}

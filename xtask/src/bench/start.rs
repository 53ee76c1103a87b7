//! How long the codec server takes to its first answer, and the memory that it takes while it does nothing.

use std::{path::Path, process::Command};

use dev_servers::Service;
use serde::Serialize;

use super::figures::{Stopwatch, median, memory_now};

const TIMES: usize = 15;

#[derive(Serialize)]
pub(super) struct Start {
    /// From the start of the process until it listens, with an existing keyring.
    start_ms: f64,
    idle_mib: f64,
}

pub(super) fn measure(program: &Path) -> anyhow::Result<Start> {
    let folder = tempfile::tempdir()?;
    let (mut times, mut memory) = (Vec::new(), Vec::new());
    for number in 0..=TIMES {
        let mut command = Command::new(program);
        command
            .args(["dev", "--listen", "127.0.0.1:0", "--keyring"])
            .arg(folder.path().join("keyring"));
        let begun = Stopwatch::start();
        let service = Service::start("the codec server", command)?;
        let took = begun.milliseconds();
        // The first one makes the keyring.
        if number > 0 {
            times.push(took);
            memory.push(memory_now(service.process().id())?);
        }
    }
    Ok(Start {
        start_ms: median(times),
        idle_mib: median(memory),
    })
}

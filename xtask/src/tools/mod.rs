//! The programs that the tests and the demo need, in pinned versions below `target/tools`.

mod catalog;
mod install;
mod on_path;

use std::{fs, fs::File, path::PathBuf};

use anyhow::Context;

pub(crate) use catalog::{
    CARGO_DEB, CARGO_DENY, CARGO_HACK, CARGO_MACHETE, CARGO_SEMVER_CHECKS, CHECKING, CLAUDE,
    MDBOOK, PEER_PYTHON, PEER_TYPESCRIPT, SSHD, TEMPORAL, TESTING, Tool, WRK,
};
pub(crate) use on_path::{Oldest, find_or_install};

use crate::{step, workspace::Workspace};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Which tools; without any name those of the tests
    names: Vec<String>,
}

pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    let chosen = catalog::choose(&arguments.names)?;
    for tool in chosen {
        let program = provide(workspace, tool)?;
        step::note(&format!(
            "{} {}: {}",
            tool.name,
            tool.version,
            program.display()
        ));
    }
    Ok(())
}

/// Installs those of `tools` that are missing.
pub(crate) fn provide_all(workspace: &Workspace, tools: &[&Tool]) -> anyhow::Result<()> {
    for tool in tools {
        provide(workspace, tool)?;
    }
    Ok(())
}

/// The path of `tool` if it is there. Nothing is installed.
pub(crate) fn present(workspace: &Workspace, tool: &Tool) -> Option<PathBuf> {
    let pinned = workspace.tools().join(tool.program);
    if pinned.exists() {
        return Some(pinned);
    }
    install::of_system(tool)
}

/// The path of the pinned `tool`, which is installed first when it is not there.
pub(crate) fn provide(workspace: &Workspace, tool: &Tool) -> anyhow::Result<PathBuf> {
    let folder = workspace.tools();
    let stamps = folder.join("stamps");
    fs::create_dir_all(&stamps).with_context(|| format!("cannot make {}", stamps.display()))?;
    // Two commands at a time must not install into the same folder.
    let lock = File::create(folder.join("lock"))?;
    lock.lock().context("cannot lock target/tools")?;

    let program = folder.join(tool.program);
    let stamp = stamps.join(tool.name);
    let identity = install::identity(workspace, tool)?;
    if program.exists() && fs::read_to_string(&stamp).is_ok_and(|found| found == identity) {
        return Ok(program);
    }
    let title = format!("Installing {} {} ({})", tool.name, tool.version, tool.takes);
    step::heading(&title);
    let _ = fs::remove_file(&stamp);
    install::install(workspace, tool)
        .with_context(|| format!("cannot install {} {}", tool.name, tool.version))?;
    anyhow::ensure!(
        program.exists(),
        "{} was installed, but {} is not there",
        tool.name,
        program.display()
    );
    fs::write(&stamp, identity)?;
    Ok(program)
}

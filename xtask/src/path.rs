//! Finds and installs programs of the system.

use std::{env, path::PathBuf};

use anyhow::{Context, bail};

use crate::step;

/// The first executable called `name` on the `PATH`.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

/// The program `name`, or what to install to get it.
pub(crate) fn need(name: &str, advice: &str) -> anyhow::Result<PathBuf> {
    find(name).with_context(|| format!("`{name}` is not on the PATH: {advice}"))
}

/// Installs Debian packages where that is possible, else says which ones are missing.
pub(crate) fn install_debian(packages: &[&str], purpose: &str) -> anyhow::Result<()> {
    let list = packages.join(" ");
    let root = nix::unistd::geteuid().is_root();
    let Some(apt) = find("apt-get").filter(|_| root) else {
        bail!(
            "{purpose} is missing: install it (on Debian or Ubuntu: `sudo apt-get install {list}`)"
        );
    };
    let mut update = std::process::Command::new(&apt);
    update.args(["-qq", "update"]);
    step::quietly("apt-get update", update)?;
    let mut install = std::process::Command::new(&apt);
    install.env("DEBIAN_FRONTEND", "noninteractive");
    install
        .args(["-qq", "install", "--yes", "--no-install-recommends"])
        .args(packages);
    step::quietly(&format!("apt-get install {list}"), install)
}

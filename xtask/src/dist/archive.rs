//! `PROGRAM-VERSION-TARGET.tar.gz`, with one folder of that name.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use anyhow::Context;
use tempfile::TempDir;

use super::Release;
use crate::step;

const LICENCES: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];

pub(super) fn pack(release: &Release<'_>) -> anyhow::Result<()> {
    let stage = TempDir::with_prefix("dist-")?;
    let name = release.name();
    fill(release, &stage.path().join(&name))?;
    let mut tar = Command::new("tar");
    tar.current_dir(stage.path());
    tar.args([
        "--create",
        "--use-compress-program=gzip -9n",
        "--format=gnu",
        "--sort=name",
    ]);
    tar.args([
        "--owner=0",
        "--group=0",
        "--numeric-owner",
        &format!("--mtime=@{}", release.time),
    ]);
    tar.arg("--file")
        .arg(release.output.join(format!("{name}.tar.gz")))
        .arg(&name);
    step::loudly(tar)
}

fn fill(release: &Release<'_>, folder: &Path) -> anyhow::Result<()> {
    let root = release.workspace.root();
    copy(&release.file, &folder.join(release.program.name), 0o755)?;
    for name in LICENCES.iter().chain(release.program.examples) {
        let file = root.join(name);
        copy(
            &file,
            &folder.join(file.file_name().context("a file has a name")?),
            0o644,
        )?;
    }
    let readme = readme(release)?;
    copy(&readme, &folder.join("README.md"), 0o644)?;
    copy_folder(&release.documents.of(release.program.name), folder)
}

fn readme(release: &Release<'_>) -> anyhow::Result<std::path::PathBuf> {
    let metadata = crate::packages::Metadata::of_members(release.workspace)?;
    let package = metadata.member(release.program.package)?;
    let folder = package
        .manifest_path
        .parent()
        .context("a manifest is in a folder")?;
    let name = package
        .readme
        .as_ref()
        .with_context(|| format!("{} has no readme", package.name))?;
    Ok(folder.join(name))
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            copy(&entry.path(), &target, 0o644)?;
        }
    }
    // Independent of the umask of the person who builds.
    fs::set_permissions(to, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

fn copy(from: &Path, to: &Path, mode: u32) -> anyhow::Result<()> {
    let folder = to.parent().context("a file is in a folder")?;
    fs::create_dir_all(folder)?;
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(mode))?;
    Ok(())
}

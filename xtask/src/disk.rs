//! Measures the disk space of a build, and frees what later stages do not need.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use anyhow::Context;
use nix::sys::statvfs::statvfs;

use crate::workspace::Workspace;

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// `31.2 GiB free, target 4.1 GiB`.
pub(crate) fn report(workspace: &Workspace) -> anyhow::Result<String> {
    let target = workspace.target();
    fs::create_dir_all(target)?;
    let system =
        statvfs(target).with_context(|| format!("cannot see the disk of {}", target.display()))?;
    #[allow(clippy::useless_conversion, reason = "some systems count with 32 bits")]
    let free = u64::from(system.blocks_available()) * u64::from(system.fragment_size());
    Ok(format!(
        "{} free, target {}",
        gibibytes(free),
        gibibytes(size(target, &mut HashSet::new()))
    ))
}

/// Removes the documentation and what `cargo check` and `cargo clippy` have written. Building programs reads neither.
pub(crate) fn forget_checks(workspace: &Workspace) -> anyhow::Result<()> {
    let target = workspace.target();
    remove_folder(&target.join("doc"))?;
    for metadata in check_metadata(&workspace.programs().join("deps"))? {
        fs::remove_file(&metadata)
            .with_context(|| format!("cannot remove {}", metadata.display()))?;
    }
    Ok(())
}

/// Removes the test programs. Cargo builds them again when they are needed.
pub(crate) fn forget_test_programs(workspace: &Workspace) -> anyhow::Result<()> {
    let folder = workspace.programs().join("deps");
    for program in files(&folder)? {
        let executable = fs::metadata(&program)?.mode() & 0o111 != 0;
        // Libraries for the compiler itself (procedural macros) are executable, too, and have an extension.
        if executable && program.extension().is_none() {
            fs::remove_file(&program)
                .with_context(|| format!("cannot remove {}", program.display()))?;
        }
    }
    Ok(())
}

pub(crate) fn remove_folder(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// The `.rmeta` files beside which there is no library: a build writes both.
fn check_metadata(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let files = files(folder)?;
    let built: HashSet<&OsStr> = files
        .iter()
        .filter(|file| {
            file.extension()
                .is_some_and(|extension| extension != "rmeta" && extension != "d")
        })
        .filter_map(|file| file.file_stem())
        .collect();
    let metadata = files.iter().filter(|file| {
        file.extension()
            .is_some_and(|extension| extension == "rmeta")
    });
    let unused = metadata.filter(|file| file.file_stem().is_some_and(|stem| !built.contains(stem)));
    Ok(unused.cloned().collect())
}

fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            files.push(entry.path());
        }
    }
    Ok(files)
}

/// The space that `folder` takes. A file with several names counts once.
fn size(folder: &Path, seen: &mut HashSet<(u64, u64)>) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size(&entry.path(), seen),
        Ok(metadata) if seen.insert((metadata.dev(), metadata.ino())) => metadata.blocks() * 512,
        // Seen before, or removed meanwhile.
        _ => 0,
    });
    sizes.sum()
}

#[expect(clippy::cast_precision_loss, reason = "one digit is shown")]
fn gibibytes(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / GIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_metadata_without_a_library_belongs_to_a_check() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "liba-1.rmeta",
            "liba-1.rlib",
            "liba-2.rmeta",
            "a-1.d",
            "liba-2.d",
            "libm-1.so",
        ] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(
            check_metadata(folder.path()).unwrap(),
            [folder.path().join("liba-2.rmeta")]
        );
    }

    #[test]
    fn a_file_with_two_names_is_counted_once() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), vec![1; 100_000]).unwrap();
        let once = size(folder.path(), &mut HashSet::new());
        fs::hard_link(folder.path().join("a"), folder.path().join("b")).unwrap();
        assert!(once >= 100_000);
        assert_eq!(size(folder.path(), &mut HashSet::new()), once);
    }
}

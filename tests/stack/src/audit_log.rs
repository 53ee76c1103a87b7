//! The audit log of a server, as its folder holds it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// The files of the log in `folder`, from the oldest to the newest.
///
/// # Errors
/// The folder cannot be read.
pub fn audit_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "jsonl") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The lines of the log in `folder`, in their order.
///
/// # Errors
/// The log cannot be read, or a line is not JSON.
pub fn audit_lines(folder: &Path) -> io::Result<Vec<Value>> {
    let files = audit_files(folder)?;
    let text: String = files
        .iter()
        .map(fs::read_to_string)
        .collect::<Result<_, _>>()?;
    let lines = text.lines().map(serde_json::from_str);
    Ok(lines.collect::<Result<_, _>>()?)
}

//! The audit log of a server, as its folder holds it.

use std::{fs, io, path::Path};

use serde_json::Value;

/// The text of all files of the log in `folder`, from the oldest to the newest.
///
/// # Errors
/// The folder or a file cannot be read.
pub fn audit_log(folder: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "jsonl") {
            files.push(path);
        }
    }
    files.sort();
    files.iter().map(fs::read_to_string).collect()
}

/// The lines of the log in `folder`, in their order.
///
/// # Errors
/// The log cannot be read, or a line is not JSON.
pub fn audit_lines(folder: &Path) -> io::Result<Vec<Value>> {
    let text = audit_log(folder)?;
    let lines = text.lines().map(serde_json::from_str);
    Ok(lines.collect::<Result<_, _>>()?)
}

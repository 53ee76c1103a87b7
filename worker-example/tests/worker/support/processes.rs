//! Processes of this machine: their command lines and their environments.

use dev_servers::Forms;
use nix::unistd::Pid;
use std::{fs, path::Path};

/// A command that waits while a file exists. Its command line contains the file's path.
pub(crate) fn hold(gate: &Path) -> String {
    format!(
        "sh -c 'while [ -e {} ]; do sleep 0.05; done'",
        gate.display()
    )
}

/// The shells of [`hold`] that wait for this file.
pub(crate) fn holding(gate: &Path) -> Vec<i32> {
    let waiting = processes_with(gate.to_str().unwrap()).into_iter();
    let mut waiting: Vec<i32> = waiting.map(Pid::as_raw).collect();
    waiting.retain(|pid| ["sh", "bash"].contains(&name_of(*pid).as_str()));
    waiting
}

/// The processes whose command line contains a text.
pub(crate) fn processes_with(text: &str) -> Vec<Pid> {
    let is_it = |pid: &i32| {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains(text)
    };
    processes()
        .into_iter()
        .filter(is_it)
        .map(Pid::from_raw)
        .collect()
}

/// The name of a process, as `ps` shows it.
pub(crate) fn name_of(pid: i32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}

/// The processes of this machine that other programs run and whose environment or command line holds a secret in any form.
pub(crate) fn environments_with(secret: &str) -> Vec<i32> {
    let forms = Forms::of(secret.as_bytes());
    let mut found = processes();
    found.retain(|pid| {
        ["environ", "cmdline"].iter().any(|file| {
            let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            forms.find_in(&bytes).is_some()
        })
    });
    found
}

fn processes() -> Vec<i32> {
    let own = i32::try_from(std::process::id()).unwrap();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != own)
        .collect()
}

//! Looks for a secret where it must not be.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use dev_servers::Forms;

const EVERY: Duration = Duration::from_millis(10);

/// Looks at the arguments of every process of this machine for secrets, until it is stopped.
pub(super) struct Watch {
    stop: Arc<AtomicBool>,
    watcher: JoinHandle<BTreeSet<String>>,
}

impl Watch {
    pub(super) fn start(secrets: &[&[u8]]) -> Self {
        let secrets: Vec<_> = secrets.iter().map(|secret| Forms::of(secret)).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let watcher = thread::spawn(move || {
            let mut seen = BTreeSet::new();
            while !stopped.load(Ordering::SeqCst) {
                seen.extend(programs_with(&secrets));
                thread::sleep(EVERY);
            }
            seen
        });
        Self { stop, watcher }
    }

    /// The names of the programs that had a secret among their arguments.
    pub(super) fn stop(self) -> Vec<String> {
        self.stop.store(true, Ordering::SeqCst);
        let gave_up = || BTreeSet::from(["(the watch itself failed)".to_owned()]);
        self.watcher
            .join()
            .unwrap_or_else(|_| gave_up())
            .into_iter()
            .collect()
    }
}

fn programs_with(secrets: &[Forms]) -> impl Iterator<Item = String> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter_map(|process| {
        let arguments = fs::read(process.path().join("cmdline")).ok()?;
        secrets
            .iter()
            .find_map(|secret| secret.find_in(&arguments))?;
        let program = arguments
            .split(|byte| *byte == 0)
            .next()
            .unwrap_or_default();
        Some(String::from_utf8_lossy(program).into_owned())
    })
}

/// The first file below `folder` that holds `secret`, in any encoding.
pub(super) fn file_with(folder: &Path, secret: &Forms) -> Option<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() {
            if let Some(found) = file_with(&path, secret) {
                return Some(found);
            }
        } else if kind.is_file()
            && let Ok(content) = fs::read(&path)
            && let Some(form) = secret.find_in(&content)
        {
            return Some(format!("{} (as {form})", path.display()));
        }
    }
    None
}

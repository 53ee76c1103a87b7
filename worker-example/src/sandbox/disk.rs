//! How much disk a task uses. File systems do not limit folders, so the worker looks at intervals.

use std::{fs, os::unix::fs::MetadataExt as _, path::PathBuf, time::Duration};

use tokio::{task::spawn_blocking, time::sleep};

const PAUSE: Duration = Duration::from_secs(3);
/// What a file or a folder counts at least, so that empty files are limited, too.
const LEAST: u64 = 4096;
/// `st_blocks` counts these (stat(2)).
const BLOCK: u64 = 512;

/// Returns when the folders use more than `limit` bytes.
pub(super) async fn exceeded(folders: Vec<PathBuf>, limit: u64) {
    loop {
        let folders = folders.clone();
        let used = spawn_blocking(move || used(folders, limit)).await;
        if used.is_ok_and(|used| used > limit) {
            return;
        }
        sleep(PAUSE).await;
    }
}

/// The bytes in use. It stops counting above the limit, and follows no link.
fn used(folders: Vec<PathBuf>, limit: u64) -> u64 {
    let mut next = folders;
    let mut used = 0_u64;
    while let Some(path) = next.pop() {
        // What disappears meanwhile, or is closed by its mode, does not count.
        let Ok(metadata) = fs::symlink_metadata(&path) else {
            continue;
        };
        used = used.saturating_add((metadata.blocks() * BLOCK).max(LEAST));
        if used > limit {
            break;
        }
        if metadata.is_dir()
            && let Ok(entries) = fs::read_dir(&path)
        {
            next.extend(entries.flatten().map(|entry| fs::DirEntry::path(&entry)));
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn counts_files_and_their_number() {
        let folder = tempfile::tempdir().unwrap();
        let all = || vec![folder.path().to_owned()];
        assert_eq!(used(all(), 1 << 30), LEAST);
        fs::write(folder.path().join("large"), vec![1; 1 << 20]).unwrap();
        assert!(used(all(), 1 << 30) >= 1 << 20);
        exceeded(all(), 1 << 20).await;
        for n in 0..100 {
            fs::write(folder.path().join(n.to_string()), "").unwrap();
        }
        assert!(used(all(), 1 << 30) >= (1 << 20) + 100 * LEAST);
    }
}

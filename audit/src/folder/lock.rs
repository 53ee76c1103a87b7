//! One process writes a log.

use std::{
    fs::{File, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    path::Path,
};

use super::access;
use crate::error::AuditError;

pub(super) const NAME: &str = "lock";
/// The longest text about the holder that is shown.
const LONGEST: u64 = 200;

/// Takes the lock. It ends with the file that is returned, also when the process is killed.
pub(super) fn take(folder: &Path, program: &str) -> Result<File, AuditError> {
    let path = folder.join(NAME);
    let mut file = access::options(0o600)
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(|error| access::not_opened(&path, error))?;
    let metadata = file.metadata().map_err(AuditError::io("read", &path))?;
    access::check_file(&path, &metadata)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(AuditError::InUse {
                path: folder.to_owned(),
                holder: holder(&mut file),
            });
        }
        Err(TryLockError::Error(error)) => return Err(AuditError::io("lock", &path)(error)),
    }
    // The text is for people, so a full disk does not matter.
    let _ = file.set_len(0);
    let _ = writeln!(file, "{program} (process {})", std::process::id());
    Ok(file)
}

fn holder(file: &mut File) -> String {
    let mut text = Vec::new();
    let _ = file.rewind();
    let _ = file.take(LONGEST).read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text);
    let shown: String = text.trim().chars().filter(|c| !c.is_control()).collect();
    if shown.is_empty() {
        return "another process".to_owned();
    }
    shown
}

//! The file `head`: which line was written last. It shows lines that are cut off at the end.

use std::{
    fs::File,
    io::{Read as _, Seek as _, Write as _},
    path::Path,
};

use serde::Deserialize;

use super::{access, names::FileName};
use crate::{chain::Head, error::AuditError};

pub(super) const NAME: &str = "head";
/// It always has this length, so that a new content covers the old one whole.
const LEN: usize = 256;

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// The log.
    pub(crate) log: String,
    /// The file of the last line.
    pub(crate) file: FileName,
    /// The last line.
    pub(crate) head: Head,
}

#[derive(Deserialize)]
struct Text {
    log: String,
    file: String,
    head: String,
}

pub(super) struct HeadFile {
    file: File,
    /// A failure is logged once, until it works again.
    has_failed: bool,
}

impl HeadFile {
    pub(super) fn open(folder: &Path) -> Result<Self, AuditError> {
        let path = folder.join(NAME);
        let file = access::options(0o600)
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| access::not_opened(&path, error))?;
        let metadata = file.metadata().map_err(AuditError::io("read", &path))?;
        access::check_file(&path, &metadata)?;
        Ok(Self {
            file,
            has_failed: false,
        })
    }

    pub(super) fn write(&mut self, known: &Known) {
        let Known { log, file, head } = known;
        let mut text = format!("{{\"log\":\"{log}\",\"file\":\"{file}\",\"head\":\"{head}\"}}");
        while text.len() < LEN - 1 {
            text.push(' ');
        }
        text.push('\n');
        let written = self.file.rewind();
        let written = written.and_then(|()| self.file.write_all(text.as_bytes()));
        match written {
            Ok(()) => self.has_failed = false,
            Err(error) if !self.has_failed => {
                self.has_failed = true;
                tracing::warn!(%error, "the audit log's file `head` cannot be written; lines that are cut off at the end show at the next anchor only");
            }
            Err(_) => {}
        }
    }
}

/// What the file in `folder` says. `None` when it does not exist or is not whole.
pub(crate) fn read(folder: &Path) -> Option<Known> {
    let mut options = access::options(0o600);
    let file = options.read(true).open(folder.join(NAME)).ok()?;
    let mut text = String::new();
    file.take(LEN as u64 * 2).read_to_string(&mut text).ok()?;
    let Text { log, file, head } = serde_json::from_str(&text).ok()?;
    Some(Known {
        log,
        file: FileName::parse(&file)?,
        head: head.parse().ok()?,
    })
}

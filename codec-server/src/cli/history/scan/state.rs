//! The state of an unfinished scan, so that the next one continues.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use super::{
    super::super::exit::{Failure, Status},
    tally::Tally,
};

const VERSION: u32 = 2;

/// Which workflows are scanned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Target {
    pub(super) address: String,
    pub(super) namespace: String,
    pub(super) query: String,
}

/// How far a scan has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Progress {
    version: u32,
    target: Target,
    /// The token of the page of workflows that comes next, in base64.
    next_page: String,
    /// Whether all workflows were scanned, so that the schedules come next.
    pub(super) workflows_done: bool,
    pub(super) tally: Tally,
}

/// The file that holds it, where one is named.
pub(super) struct StateFile(Option<PathBuf>);

impl Progress {
    fn new(target: Target) -> Self {
        Self {
            version: VERSION,
            target,
            next_page: String::new(),
            workflows_done: false,
            tally: Tally::default(),
        }
    }

    pub(super) fn next_page(&self) -> Vec<u8> {
        STANDARD.decode(&self.next_page).unwrap_or_default()
    }

    pub(super) fn set_next_page(&mut self, token: &[u8]) {
        self.next_page = STANDARD.encode(token);
        self.workflows_done = token.is_empty();
    }
}

impl StateFile {
    pub(super) fn new(path: Option<PathBuf>) -> Self {
        Self(path)
    }

    /// What an unfinished scan of the same workflows left, or the beginning.
    pub(super) fn load(&self, target: Target) -> Result<Progress, Failure> {
        let Some(path) = &self.0 else {
            return Ok(Progress::new(target));
        };
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Progress::new(target));
            }
            Err(error) => return Err(Failure::io(&path.display().to_string(), &error)),
        };
        let wrong = |what: &str| {
            let path = path.display();
            let message = format!("{path}: {what}; name another file, or remove it");
            Failure::new(Status::Data, message)
        };
        let progress: Progress =
            serde_json::from_slice(&bytes).map_err(|_| wrong("it is not the state of a scan"))?;
        if progress.version != VERSION {
            return Err(wrong("another version of this program wrote it"));
        }
        if progress.target != target {
            return Err(wrong("it is the state of another scan"));
        }
        Ok(progress)
    }

    /// Saves it in one step, so that an interruption leaves the state before.
    pub(super) fn save(&self, progress: &Progress) -> Result<(), Failure> {
        let Some(path) = &self.0 else {
            return Ok(());
        };
        let failed = |error: &io::Error| Failure::io(&path.display().to_string(), error);
        let json =
            serde_json::to_vec(progress).map_err(|error| Failure::new(Status::Software, error))?;
        let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
        let temporary = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")));
        let temporary = temporary.map_err(|error| failed(&error.kind().into()))?;
        fs::write(temporary.path(), json).map_err(|error| failed(&error))?;
        temporary
            .persist(path)
            .map(drop)
            .map_err(|error| failed(&error.error))
    }

    /// Removes it after the scan is finished.
    pub(super) fn remove(&self) {
        if let Some(path) = &self.0 {
            // Without it, the next scan begins anew, too.
            let _ = fs::remove_file(path);
        }
    }
}

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

    /// Whether it can be what [`StateFile::save`] wrote: with a token, unless all workflows were scanned.
    fn is_whole(&self) -> bool {
        let is_token = STANDARD.decode(&self.next_page).is_ok();
        is_token && self.workflows_done == self.next_page.is_empty()
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
        if !progress.is_whole() {
            return Err(wrong("it is damaged"));
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn target() -> Target {
        Target {
            address: "127.0.0.1:7233".to_owned(),
            namespace: "default".to_owned(),
            query: String::new(),
        }
    }

    fn file() -> (tempfile::TempDir, PathBuf, StateFile) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scan.json");
        (folder, path.clone(), StateFile::new(Some(path)))
    }

    /// A state after the first page.
    fn begun() -> Progress {
        let mut progress = Progress::new(target());
        progress.tally.workflows = 100;
        progress.set_next_page(b"token\0");
        progress
    }

    #[test]
    fn a_scan_continues_where_the_last_one_ended() {
        let (folder, path, state) = file();
        let beginning = state.load(target()).unwrap();
        assert_eq!(beginning.tally.workflows, 0);
        assert!(!beginning.workflows_done && beginning.next_page().is_empty());

        state.save(&begun()).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let mut loaded = state.load(target()).unwrap();
        assert_eq!(loaded.tally, begun().tally);
        assert_eq!(loaded.next_page(), b"token\0");
        assert!(!loaded.workflows_done);

        loaded.set_next_page(b"");
        state.save(&loaded).unwrap();
        assert!(state.load(target()).unwrap().workflows_done);
        state.remove();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_state_of_another_scan_is_refused_and_kept() {
        let (_folder, path, state) = file();
        state.save(&begun()).unwrap();
        let before = fs::read(&path).unwrap();
        let other = [
            Target {
                address: "127.0.0.1:7234".to_owned(),
                ..target()
            },
            Target {
                namespace: "other".to_owned(),
                ..target()
            },
            Target {
                query: "WorkflowType='A'".to_owned(),
                ..target()
            },
        ];
        for other in other {
            let refused = state.load(other).unwrap_err().to_string();
            assert!(refused.contains("another scan; name another"), "{refused}");
        }
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn a_damaged_state_is_refused() {
        let (_folder, path, state) = file();
        let written = serde_json::to_string(&begun()).unwrap();
        let token = STANDARD.encode(b"token\0");
        for (damaged, expected) in [
            (written[..written.len() / 2].to_owned(), "not the state"),
            (String::new(), "not the state"),
            ("{}".to_owned(), "not the state"),
            (
                written.replace("\"version\":2", "\"version\":1"),
                "another version of this program",
            ),
            (written.replace(&token, "no base64!"), "damaged"),
            // It would begin anew, and count everything twice.
            (written.replace(&token, ""), "damaged"),
            (
                written.replace("\"workflows_done\":false", "\"workflows_done\":true"),
                "damaged",
            ),
        ] {
            assert_ne!(damaged, written);
            fs::write(&path, &damaged).unwrap();
            let refused = state.load(target()).unwrap_err().to_string();
            assert!(refused.contains(expected), "{damaged}: {refused}");
        }
        let folder = StateFile::new(path.parent().map(Path::to_owned));
        assert!(folder.load(target()).is_err());
    }
}

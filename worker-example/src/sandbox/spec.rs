//! What the supervisor is told to run, as one line of JSON followed by the standard input.

use serde::{Deserialize, Serialize};
use std::{ffi::OsString, fmt, path::PathBuf, time::Duration};
use zeroize::Zeroizing;

/// The most that a description may be, in bytes.
pub(super) const MAX_SPEC: usize = 8 << 20;
/// The most that the standard input may be, in bytes.
pub(super) const MAX_INPUT: usize = 8 << 20;

/// A program to run under supervision. It travels through a pipe, never by arguments.
#[derive(Serialize, Deserialize)]
pub struct Spec {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Its whole environment.
    pub environment: Vec<(String, Zeroizing<String>)>,
    /// Where it runs.
    pub folder: PathBuf,
    /// A file on which to hold a shared lock while anything of it lives.
    pub lock: Option<PathBuf>,
    /// How long it may take to clean up after SIGTERM.
    pub grace: Duration,
    /// How many bytes of standard input follow.
    pub(super) input: usize,
}

impl Spec {
    /// A program with these arguments, in this folder.
    #[must_use]
    pub fn new(program: PathBuf, arguments: Vec<OsString>, folder: PathBuf) -> Self {
        Self {
            program,
            arguments,
            environment: Vec::new(),
            folder,
            lock: None,
            grace: Duration::from_secs(10),
            input: 0,
        }
    }

    pub(super) fn to_line(&self) -> serde_json::Result<Zeroizing<Vec<u8>>> {
        let mut line = Zeroizing::new(serde_json::to_vec(self)?);
        line.push(b'\n');
        Ok(line)
    }
}

impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.environment.iter().map(|(name, _)| name).collect();
        f.debug_struct("Spec")
            .field("program", &self.program)
            .field("arguments", &self.arguments)
            .field("environment", &names)
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_names_only() {
        let mut spec = Spec::new("/bin/true".into(), vec![], "/".into());
        spec.environment
            .push(("TOKEN".into(), Zeroizing::new("hidden".into())));
        let shown = format!("{spec:?}");
        assert!(
            shown.contains("TOKEN") && !shown.contains("hidden"),
            "{shown}"
        );
    }
}

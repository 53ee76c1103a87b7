//! The program that a supervisor runs. It travels as one line of JSON, followed by the program's standard input.

use std::{ffi::OsString, fmt, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The longest line, in bytes.
pub(super) const MAX_SPEC: usize = 8 << 20;
/// The longest standard input, in bytes.
pub(super) const MAX_INPUT: usize = 8 << 20;

/// What a program reaches by the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Network {
    /// What the operator allows to tasks.
    #[default]
    OfTask,
    /// Nothing, also where the operator allows more.
    Nothing,
    /// All that the worker reaches. Only for programs that the service itself starts with checked arguments, such as git.
    OfWorker,
}

/// A program to run under a supervisor. It reaches the supervisor through a pipe, never as arguments.
#[derive(Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProgramSpec {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Its complete environment.
    pub environment: Vec<(String, Zeroizing<String>)>,
    /// Its working folder.
    pub folder: PathBuf,
    /// A file that the supervisor locks (shared) until every process of the program has ended.
    pub lock: Option<PathBuf>,
    /// How long the program may take to clean up after SIGTERM.
    pub grace: Duration,
    /// Files and folders outside the workspace that this program may read, and no other program of the task.
    #[serde(skip)]
    pub extra_read_only: Vec<PathBuf>,
    /// Files and folders outside the workspace that this program may read and write, and no other program of the task.
    #[serde(skip)]
    pub extra_writable: Vec<PathBuf>,
    /// What it reaches by the network.
    #[serde(skip)]
    pub network: Network,
    /// Whether the program is bubblewrap, which runs the program of the task in a process two levels below.
    #[serde(default)]
    pub(super) is_wrapped: bool,
    /// The length of the standard input that follows, in bytes.
    pub(super) input: usize,
}

impl ProgramSpec {
    /// A program with arguments and a working folder, an empty environment, no lock, and a grace time of 10 s.
    #[must_use]
    pub fn new(program: PathBuf, arguments: Vec<OsString>, folder: PathBuf) -> Self {
        Self {
            program,
            arguments,
            environment: Vec::new(),
            folder,
            lock: None,
            grace: Duration::from_secs(10),
            extra_read_only: Vec::new(),
            extra_writable: Vec::new(),
            network: Network::OfTask,
            is_wrapped: false,
            input: 0,
        }
    }

    pub(super) fn to_line(&self) -> serde_json::Result<Zeroizing<Vec<u8>>> {
        let mut line = Zeroizing::new(serde_json::to_vec(self)?);
        line.push(b'\n');
        Ok(line)
    }
}

impl fmt::Debug for ProgramSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.environment.iter().map(|(name, _)| name).collect();
        f.debug_struct("ProgramSpec")
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
        let mut spec = ProgramSpec::new("/bin/true".into(), vec![], "/".into());
        spec.environment
            .push(("TOKEN".into(), Zeroizing::new("hidden".into())));
        let shown = format!("{spec:?}");
        assert!(
            shown.contains("TOKEN") && !shown.contains("hidden"),
            "{shown}"
        );
    }
}

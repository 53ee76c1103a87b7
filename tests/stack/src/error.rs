use std::{io, path::PathBuf, process::ExitStatus, time::Duration};

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StackError {
    /// The program could not be executed at all.
    #[error("cannot start {name} ({}): {source}", program.display())]
    Spawn {
        /// What should be started.
        name: String,
        /// The program's path.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The program ended before it was ready.
    #[error("{name} ended with {status} before it was ready; its last output:\n{output}")]
    Ended {
        /// What was started.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its output.
        output: String,
    },
    /// The program runs but did not get ready.
    #[error("{name} was not ready after {waited:?}; its last output:\n{output}")]
    NotReady {
        /// What was started.
        name: String,
        /// How long it was waited for.
        waited: Duration,
        /// The last lines of its output.
        output: String,
    },
    /// A program of this workspace has not been built.
    #[error("{} does not exist: run the tests by `cargo xtask test`, which builds it", .0.display())]
    NotBuilt(PathBuf),
    /// The system refused something else: a port, a folder, a list of processes.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl StackError {
    pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}

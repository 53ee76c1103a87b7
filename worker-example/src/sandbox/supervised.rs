//! The worker's hold on a supervised program.

use super::spec::{MAX_INPUT, Spec};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{ffi::OsString, io, path::PathBuf, process::Stdio};
use tokio::{
    io::AsyncWriteExt as _,
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
};

/// How the supervisor is started.
#[derive(Clone, Debug)]
pub struct Launcher {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Launcher {
    /// By this very program, which must know the command `supervise`.
    #[must_use]
    pub fn this_program() -> Self {
        // The link leads to the running program even after its file was replaced.
        Self::new("/proc/self/exe")
    }

    /// By another program that knows the command `supervise`.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: vec!["supervise".into()],
        }
    }

    /// Starts a program with this standard input.
    ///
    /// # Errors
    /// When the supervisor cannot be started. That the program itself cannot be started shows as
    /// exit code 125, 126 or 127 with a message on standard error.
    pub async fn launch(&self, mut spec: Spec, input: &[u8]) -> io::Result<Supervised> {
        if input.len() > MAX_INPUT {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the standard input is too large",
            ));
        }
        spec.input = input.len();
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .arg0("claude-tasks")
            .env_clear()
            // A group of its own: a Ctrl-C in the worker's terminal is the worker's to handle.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let missing = || io::Error::other("the supervisor has no pipe");
        let mut leash = child.stdin.take().ok_or_else(missing)?;
        let stdout = child.stdout.take().ok_or_else(missing)?;
        let stderr = child.stderr.take().ok_or_else(missing)?;
        let line = spec.to_line().map_err(io::Error::other)?;
        leash.write_all(&line).await?;
        leash.write_all(input).await?;
        leash.flush().await?;
        Ok(Supervised {
            child,
            leash: Some(leash),
            stdout: Some(stdout),
            stderr: Some(stderr),
        })
    }
}

/// A running program with everything it starts. Dropping it ends it: the supervisor sees that the
/// leash is gone.
#[derive(Debug)]
pub struct Supervised {
    child: Child,
    leash: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
}

impl Supervised {
    /// The program's output, once.
    pub fn output(&mut self) -> Option<(ChildStdout, ChildStderr)> {
        self.stdout.take().zip(self.stderr.take())
    }

    /// Asks the program to end; after the grace time everything is killed.
    pub fn stop(&mut self) {
        self.leash = None;
    }

    /// Waits until nothing is left of the program, and returns its exit code; 137 when the
    /// supervisor itself was killed.
    ///
    /// # Errors
    /// When waiting fails.
    pub async fn wait(&mut self) -> io::Result<i32> {
        use std::os::unix::process::ExitStatusExt as _;
        let status = self.child.wait().await?;
        Ok(status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap_or_default()))
    }

    /// Wakes the supervisor, which a task that runs as the same user can stop.
    pub fn wake(&self) {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok());
        if let Some(pid) = pid {
            let _ = kill(Pid::from_raw(pid), Signal::SIGCONT);
        }
    }
}

//! The worker's side of a supervised program: starting it, stopping it, and waiting for its end.

use std::{ffi::OsString, io, path::PathBuf, process::Stdio};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    io::AsyncWriteExt as _,
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
};

use super::spec::{MAX_INPUT, ProgramSpec};

/// Starts supervisors.
#[derive(Clone, Debug)]
pub struct Launcher {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Launcher {
    /// Starts this program again, which must have the command `supervise`.
    #[must_use]
    pub fn this_program() -> Self {
        // This link leads to the running program even after its file was replaced.
        Self::new("/proc/self/exe")
    }

    /// Starts another program that has the command `supervise`.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: vec!["supervise".into()],
        }
    }

    /// Starts a program under a supervisor. `input` is the program's standard input.
    ///
    /// # Errors
    /// When the supervisor cannot be started. If the program cannot be started, the supervisor ends with exit code 125, 126
    /// or 127 and a message on standard error.
    pub async fn launch(&self, mut spec: ProgramSpec, input: &[u8]) -> io::Result<Supervised> {
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
            // In a process group of its own, so that Ctrl-C in the worker's terminal reaches only the worker.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let missing = || io::Error::other("the supervisor has no pipe");
        let mut control = child.stdin.take().ok_or_else(missing)?;
        let stdout = child.stdout.take().ok_or_else(missing)?;
        let stderr = child.stderr.take().ok_or_else(missing)?;
        let line = spec.to_line().map_err(io::Error::other)?;
        control.write_all(&line).await?;
        control.write_all(input).await?;
        control.flush().await?;
        Ok(Supervised {
            child,
            control: Some(control),
            stdout: Some(stdout),
            stderr: Some(stderr),
        })
    }
}

/// A running program and all processes that it starts. Dropping this closes the control pipe, and the supervisor ends them
/// all.
#[derive(Debug)]
pub struct Supervised {
    child: Child,
    control: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
}

impl Supervised {
    /// The program's standard output and standard error. `None` after the first call.
    pub fn output(&mut self) -> Option<(ChildStdout, ChildStderr)> {
        self.stdout.take().zip(self.stderr.take())
    }

    /// Asks the program to end. After the grace time the supervisor kills all its processes.
    pub fn stop(&mut self) {
        self.control = None;
    }

    /// Waits until no process of the program is left, and returns the program's exit code. It is 137 if the supervisor was
    /// killed.
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

    /// The supervisor's process id. `None` after its end.
    pub(super) fn pid(&self) -> Option<i32> {
        i32::try_from(self.child.id()?).ok()
    }

    /// Lets a supervisor continue that was stopped. A task that runs as the same user can stop it with SIGSTOP.
    pub fn wake(&self) {
        if let Some(pid) = self.pid() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGCONT);
        }
    }
}

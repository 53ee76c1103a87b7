//! Runs programs of a task to their end in the task's sandbox: git, and the commands before Claude Code.

use std::{ffi::OsString, io, path::PathBuf, sync::Arc, time::Duration};

use temporal_kms_codec_service::deadline::later;
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    task::spawn_blocking,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::{
    bubblewrap::{HELPER, View, of_program},
    confine::Confine,
    disk::{self, DiskProblem},
    egress,
    place::{Held, Sandbox},
    settings::{SandboxMode, TaskNetwork},
    spec::{Network, ProgramSpec},
    supervised::Supervised,
    users::{TaskUser, give_tree},
    workspace::{TaskFolders, Workspace},
};

/// How much longer than the grace time a supervisor may take.
const SUPERVISOR_EXTRA: Duration = Duration::from_secs(20);
/// How long output may still arrive after the last process has ended.
const LAST_OUTPUT: Duration = Duration::from_secs(5);

/// Variables of the worker that every program gets. They hold no credential.
const PASSED_ON: [&str; 9] = [
    "PATH",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TERM",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
];

/// How long a program may run, and how much of its output is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunLimits {
    /// How long it may run.
    pub(crate) timeout: Duration,
    /// The most bytes that are kept of its standard output, and as many of its standard error. The rest is read and dropped.
    pub(crate) output: usize,
}

/// A program that has ended, with all processes that it started.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Its exit code; 128 + N after signal N.
    pub(crate) exit_code: i32,
    /// The beginning of its standard output.
    pub(crate) stdout: Vec<u8>,
    /// The beginning of its standard error.
    pub(crate) stderr: Vec<u8>,
    /// Whether it printed more than the limit.
    pub(crate) truncated: bool,
}

/// A program did not run to its end.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum ProgramError {
    /// The supervisor did not start.
    #[error("cannot start the supervisor of {program}: {source}")]
    Launch {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// The program reached its time limit, and was ended.
    #[error("{program} was ended after {} s, its time limit", after.as_secs())]
    Timeout {
        /// The program.
        program: String,
        /// The time limit.
        after: Duration,
    },
    /// The task may not use more disk, and the program was ended.
    #[error("{program} was ended: {problem}")]
    Disk {
        /// The program.
        program: String,
        /// Why.
        problem: DiskProblem,
    },
    /// The task was cancelled, and the program was ended.
    #[error("{program} was ended because the task ends")]
    Cancelled {
        /// The program.
        program: String,
    },
    /// The end of the program cannot be observed.
    #[error("cannot wait for {program}: {source}")]
    Wait {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
}

/// Runs programs in one task's sandbox.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    sandbox: Sandbox,
    folders: TaskFolders,
    held: Arc<Held>,
    /// The socket of the egress proxy.
    egress: Option<PathBuf>,
}

impl Programs {
    /// Programs in the sandbox of one task. They hold the task's user and its control group: keep a clone until the last
    /// program of the task has ended.
    ///
    /// # Errors
    /// When the user or the control group cannot be had.
    pub(crate) fn new(sandbox: &Sandbox, workspace: &Workspace) -> io::Result<Self> {
        Ok(Self {
            sandbox: sandbox.clone(),
            folders: workspace.folders(),
            held: Arc::new(sandbox.hold(workspace)?),
            egress: None,
        })
    }

    /// Lets the programs reach other servers through the egress proxy at this socket. The sandbox must need one.
    #[must_use]
    pub(crate) fn with_egress(mut self, socket: PathBuf) -> Self {
        self.egress = Some(socket);
        self
    }

    /// The user of the task's programs, if it is not the worker's.
    #[must_use]
    pub(crate) fn user(&self) -> Option<u32> {
        self.held.user.as_ref().map(TaskUser::id)
    }

    /// Returns when the task may not use more disk. Without a sandbox, never.
    pub(crate) async fn disk_exceeded(&self) -> DiskProblem {
        let settings = &self.sandbox.shared.settings;
        if settings.mode == SandboxMode::Off {
            return std::future::pending().await;
        }
        let supervisors = Arc::clone(&self.held.supervisors);
        disk::exceeded(self.folders.task.clone(), settings.limits.disk, supervisors).await
    }

    /// A program in the workspace's root, with the environment of [`Self::environment`].
    pub(crate) fn spec(&self, program: PathBuf, arguments: Vec<OsString>) -> ProgramSpec {
        let mut spec = ProgramSpec::new(program, arguments, self.folders.root.clone());
        spec.environment = self.environment();
        spec
    }

    /// The environment that every program of a task gets: `HOME`, `TMPDIR`, `PATH`, the language, and the egress proxy.
    pub(crate) fn environment(&self) -> Vec<(String, Zeroizing<String>)> {
        let mut environment = Vec::new();
        for name in PASSED_ON {
            if let Ok(value) = std::env::var(name) {
                environment.push((name.to_owned(), Zeroizing::new(value)));
            }
        }
        for (name, folder) in [
            ("HOME", &self.folders.home),
            ("TMPDIR", &self.folders.temporary),
        ] {
            let value = folder.to_string_lossy().into_owned();
            environment.push((name.to_owned(), Zeroizing::new(value)));
        }
        if self.egress.is_some() {
            let variables = egress::VARIABLES.into_iter();
            environment.extend(
                variables.map(|(name, value)| (name.to_owned(), Zeroizing::new(value.to_owned()))),
            );
        }
        environment
    }

    /// The socket of the egress proxy, if a program uses it.
    fn egress_of(&self, spec: &ProgramSpec) -> Option<&PathBuf> {
        self.egress
            .as_ref()
            .filter(|_| spec.network == Network::OfTask)
    }

    /// Starts a program in the sandbox. Its lock and its grace time are those of the task.
    ///
    /// # Errors
    /// When the supervisor cannot be started.
    pub(crate) async fn launch(
        &self,
        mut spec: ProgramSpec,
        input: &[u8],
    ) -> io::Result<Supervised> {
        let shared = &self.sandbox.shared;
        spec.lock = Some(self.folders.lock.clone());
        spec.grace = shared.grace;
        if shared.settings.mode != SandboxMode::Off {
            let this = self.clone();
            let confined = spawn_blocking(move || this.confine(spec));
            spec = confined.await.map_err(io::Error::from)??;
        }
        let child = shared.launcher.launch(spec, input).await?;
        if let Some(pid) = child.pid() {
            self.held.supervisors.add(pid);
        }
        Ok(child)
    }

    /// Gives the task's files to its user, and puts what confines the program before it.
    fn confine(&self, mut spec: ProgramSpec) -> io::Result<ProgramSpec> {
        let shared = &self.sandbox.shared;
        let limits = shared.settings.limits;
        if let Some(user) = self.user() {
            // Files of the operator, such as a list of known hosts, stay as they are.
            let of_task = |path: &&PathBuf| path.starts_with(&self.folders.task);
            let own = spec.extra_read_only.iter().filter(of_task);
            for path in self
                .folders
                .of_task()
                .chain(&spec.extra_writable)
                .chain(own)
            {
                give_tree(path, user)?;
            }
        }
        let inner = Confine {
            cgroup: None,
            memory: Some(limits.memory),
            // A user that the task shares with the worker counts the worker's processes, too.
            processes: (self.user().is_some() || shared.bubblewrap.is_some())
                .then_some(limits.processes),
            file_size: Some(limits.disk),
            open_files: shared.open_files,
            user: self.user(),
            folder: Some(spec.folder.clone()),
            egress: self.egress_of(&spec).cloned(),
            command: [
                vec![spec.program.clone().into_os_string()],
                std::mem::take(&mut spec.arguments),
            ]
            .concat(),
        };
        let mut command: Vec<OsString> = Vec::new();
        if let Some(bubblewrap) = &shared.bubblewrap {
            command.push(bubblewrap.into());
            command.extend(self.view(&spec).arguments());
            command.push(HELPER.into());
            spec.is_wrapped = true;
        } else {
            command.push(shared.helper.clone().into());
        }
        command.extend(inner.to_arguments());
        if let Some(cgroup) = &self.held.cgroup {
            let outer = Confine {
                cgroup: Some(cgroup.path().to_owned()),
                command,
                ..Confine::default()
            };
            command = vec![shared.helper.clone().into()];
            command.extend(outer.to_arguments());
        }
        let mut command = command.into_iter();
        spec.program = command.next().unwrap_or_default().into();
        spec.arguments = command.collect();
        spec.folder = PathBuf::from("/");
        Ok(spec)
    }

    fn view(&self, spec: &ProgramSpec) -> View {
        let shared = &self.sandbox.shared;
        let mut readable = shared.settings.readable.clone();
        readable.extend(of_program(&spec.program));
        readable.extend(spec.extra_read_only.iter().cloned());
        let mut writable = self.folders.writable().to_vec();
        writable.extend(spec.extra_writable.iter().cloned());
        readable.extend(self.folders.prompts().filter(|path| path.exists()).cloned());
        readable.extend(self.egress_of(spec).cloned());
        View {
            has_host_network: match spec.network {
                Network::OfWorker => true,
                Network::OfTask => shared.settings.network == TaskNetwork::Host,
                Network::Nothing => false,
            },
            changes_user: self.user().is_some(),
            helper: shared.helper.clone(),
            writable,
            readable,
            files: self.folders.accounts(),
        }
    }

    /// Runs a program until it and all processes that it started have ended. `input` is its standard input.
    ///
    /// # Errors
    /// When it cannot be started, reaches its time limit, or `cancelled` is cancelled. No process is left then, too. A
    /// program that does not exist ends with exit code 127, and one that cannot be run with 126.
    pub(crate) async fn run(
        &self,
        spec: ProgramSpec,
        input: &[u8],
        limits: RunLimits,
        cancelled: &CancellationToken,
    ) -> Result<Finished, ProgramError> {
        let program = spec.program.display().to_string();
        let launch = |source| ProgramError::Launch {
            program: program.clone(),
            source,
        };
        let mut child = self.launch(spec, input).await.map_err(launch)?;
        let (stdout, stderr) = child
            .output()
            .ok_or_else(|| launch(io::Error::other("it has no output")))?;
        let (mut out, mut errors) = (Kept::new(limits.output), Kept::new(limits.output));
        let mut ended = None;
        let code = {
            let reading = async { tokio::join!(out.read(stdout), errors.read(stderr)) };
            tokio::pin!(reading);
            let disk = self.disk_exceeded();
            tokio::pin!(disk);
            let mut has_read = false;
            let mut deadline = later(limits.timeout);
            let mut code = None;
            while code.is_none() || !has_read {
                tokio::select! {
                    biased;
                    () = cancelled.cancelled(), if ended.is_none() && code.is_none() => {
                        ended = Some(ProgramError::Cancelled { program: program.clone() });
                        deadline = self.stop(&mut child);
                    }
                    problem = &mut disk, if ended.is_none() && code.is_none() => {
                        ended = Some(ProgramError::Disk { program: program.clone(), problem });
                        deadline = self.stop(&mut child);
                    }
                    _ = &mut reading, if !has_read => has_read = true,
                    waited = child.wait(), if code.is_none() => {
                        code = Some(waited);
                        deadline = later(LAST_OUTPUT);
                    }
                    () = sleep_until(deadline) => {
                        if code.is_some() || ended.is_some() {
                            break;
                        }
                        ended = Some(ProgramError::Timeout { program: program.clone(), after: limits.timeout });
                        deadline = self.stop(&mut child);
                    }
                }
            }
            code
        };
        if let Some(error) = ended {
            return Err(error);
        }
        let wait = |source| ProgramError::Wait {
            program: program.clone(),
            source,
        };
        let code = code.ok_or_else(|| wait(io::Error::other("its processes do not end")))?;
        Ok(Finished {
            exit_code: code.map_err(wait)?,
            truncated: out.truncated || errors.truncated,
            stdout: out.bytes,
            stderr: errors.bytes,
        })
    }

    fn stop(&self, child: &mut Supervised) -> Instant {
        child.stop();
        later(self.sandbox.shared.grace.saturating_add(SUPERVISOR_EXTRA))
    }
}

/// The beginning of an output.
struct Kept {
    bytes: Vec<u8>,
    limit: usize,
    truncated: bool,
}

impl Kept {
    fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            limit,
            truncated: false,
        }
    }

    /// Reads until the end, and drops what is above the limit, so that the program can write it and go on.
    async fn read(&mut self, mut from: impl AsyncRead + Unpin) {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            let room = self.limit.saturating_sub(self.bytes.len());
            self.truncated |= count > room;
            let read = buffer.get(..count.min(room)).unwrap_or_default();
            self.bytes.extend_from_slice(read);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keeps_the_beginning_and_reads_the_rest() {
        let mut kept = Kept::new(5);
        kept.read(&b"0123456789"[..]).await;
        assert_eq!(
            (kept.bytes.as_slice(), kept.truncated),
            (&b"01234"[..], true)
        );
        let mut all = Kept::new(5);
        all.read(&b"01234"[..]).await;
        assert_eq!(
            (all.bytes.as_slice(), all.truncated),
            (&b"01234"[..], false)
        );
    }
}

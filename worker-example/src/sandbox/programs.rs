//! Programs in the sandbox of a task, such as git and the commands before Claude Code: their environment, and what confines them.

mod run;

use std::{ffi::OsString, io, path::PathBuf, sync::Arc};

use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

pub(crate) use self::run::{Finished, ProgramError, RunLimits};
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
}

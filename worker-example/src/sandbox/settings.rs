//! What an operator says about the sandbox of tasks.

use std::path::PathBuf;

/// Whether tasks run in a sandbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum SandboxMode {
    /// As much as works on this machine. The start log and each task's result say what does not.
    #[default]
    Auto,
    /// The worker starts only if the whole sandbox works.
    Required,
    /// Tasks run as the worker's user and see what it sees. Each task's result says so.
    Off,
}

/// Which network a task has, where bubblewrap works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum TaskNetwork {
    /// None, apart from the proxy to the API.
    #[default]
    Off,
    /// Public addresses, through a proxy of the worker. No service of this machine or its network.
    On,
    /// The network of this machine, with all its services, such as Temporal and the cloud's metadata service.
    Host,
}

/// The limits of one task.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TaskLimits {
    /// Memory in bytes.
    pub(crate) memory: u64,
    /// CPUs.
    pub(crate) cpus: u32,
    /// Processes and threads.
    pub(crate) processes: u64,
    /// The task's folders on disk, in bytes.
    pub(crate) disk: u64,
}

impl Default for TaskLimits {
    fn default() -> Self {
        Self {
            memory: 4 << 30,
            cpus: 2,
            processes: 1024,
            disk: 10 << 30,
        }
    }
}

/// The operator's settings of the sandbox.
#[derive(Clone, Debug, Default)]
pub(crate) struct SandboxSettings {
    /// Whether tasks run in a sandbox.
    pub(crate) mode: SandboxMode,
    /// Which network a task has.
    pub(crate) network: TaskNetwork,
    /// Folders and files that tasks may read, beside the system's programs.
    pub(crate) readable: Vec<PathBuf>,
    /// The limits of one task.
    pub(crate) limits: TaskLimits,
}

//! The options of `worker` about what a task may see, reach and use.

use std::path::PathBuf;

use bytesize::ByteSize;
use clap::Args;

use super::units;
use crate::{
    proxy::{ClosedPlace, EgressSettings},
    sandbox::{SandboxMode, SandboxSettings, TaskLimits, TaskNetwork},
    webhook::{AddressPolicy, AllowedAddress},
};

/// The options.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Sandbox")]
pub(super) struct SandboxArgs {
    /// Whether tasks run in a sandbox (bubblewrap, and users of their own where the worker is root). `auto` uses what works
    /// here, and each task's result says what does not. With `required` the worker starts only if bubblewrap works.
    #[arg(
        long,
        env = "CLAUDE_TASKS_SANDBOX",
        value_enum,
        default_value_t,
        value_name = "MODE"
    )]
    pub sandbox: SandboxMode,
    /// What tasks reach by the network, where bubblewrap works. `off`: only the API, through the worker. `on`: also public
    /// addresses at the ports 80 and 443, through a proxy of the worker that programs find by `HTTPS_PROXY`, but no service of
    /// this machine or its network. `host`: all that this machine reaches, such as Temporal and the cloud's metadata service.
    /// The worker's own git commands always have the network.
    #[arg(
        long,
        env = "CLAUDE_TASKS_NETWORK",
        value_enum,
        default_value_t,
        value_name = "WHEN"
    )]
    pub task_network: TaskNetwork,
    /// An address that tasks may reach with `--task-network on` although it is not public: a network such as 10.1.0.0/16, an
    /// address, or a host name; may be given several times.
    #[arg(
        long,
        env = "CLAUDE_TASKS_NETWORK_ALLOW",
        value_delimiter = ',',
        value_name = "ADDRESS"
    )]
    pub task_network_allow: Vec<AllowedAddress>,
    /// A port that tasks may reach with `--task-network on` beside 80 and 443, such as 22; may be given several times.
    #[arg(
        long,
        env = "CLAUDE_TASKS_NETWORK_PORTS",
        value_delimiter = ',',
        value_name = "PORT",
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    pub task_network_port: Vec<u16>,
    /// A place that tasks must not reach with `--task-network on`, such as a codec server with a public address: a network, an
    /// address, a host name, or HOST:PORT; may be given several times. Temporal's address, and that of
    /// `--anthropic-base-url`, are always closed.
    #[arg(
        long,
        env = "CLAUDE_TASKS_NETWORK_DENY",
        value_delimiter = ',',
        value_name = "PLACE"
    )]
    pub task_network_deny: Vec<ClosedPlace>,
    /// A file or folder that tasks may read, beside the system's programs; may be given several times.
    #[arg(
        long = "task-readable",
        env = "CLAUDE_TASKS_READABLE",
        value_delimiter = ',',
        value_name = "PATH",
        value_parser = existing
    )]
    pub readable: Vec<PathBuf>,
    /// The most memory of a task. Without a control group of its own, the limit holds for each process.
    #[arg(long, env = "CLAUDE_TASKS_MEMORY", default_value = "4GiB", value_name = "SIZE", value_parser = units::size)]
    pub task_memory: ByteSize,
    /// The most CPUs of a task. This needs a control group of its own.
    #[arg(long, env = "CLAUDE_TASKS_CPUS", default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub task_cpus: u32,
    /// The most processes and threads of a task.
    #[arg(long, env = "CLAUDE_TASKS_PROCESSES", default_value_t = 1024, value_name = "N", value_parser = clap::value_parser!(u64).range(16..=1_000_000))]
    pub task_processes: u64,
    /// How much disk the folders of a task may use. A task that uses more is stopped and fails.
    #[arg(long, env = "CLAUDE_TASKS_DISK", default_value = "10GiB", value_name = "SIZE", value_parser = units::size)]
    pub task_disk: ByteSize,
}

impl SandboxArgs {
    /// The settings of the sandbox.
    pub(super) fn settings(&self) -> SandboxSettings {
        SandboxSettings {
            mode: self.sandbox,
            network: self.task_network,
            readable: self.readable.clone(),
            limits: TaskLimits {
                memory: self.task_memory.as_u64(),
                cpus: self.task_cpus,
                processes: self.task_processes,
                disk: self.task_disk.as_u64(),
            },
        }
    }

    /// Which servers tasks may reach with `--task-network on`.
    pub(super) fn egress(&self) -> EgressSettings {
        EgressSettings {
            addresses: AddressPolicy::new(self.task_network_allow.clone()),
            ports: self.task_network_port.clone(),
            closed: self.task_network_deny.clone(),
        }
    }
}

/// A path that exists, without links.
fn existing(text: &str) -> Result<PathBuf, String> {
    PathBuf::from(text)
        .canonicalize()
        .map_err(|e| format!("cannot use this path: {e}"))
}

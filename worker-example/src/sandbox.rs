//! The sandbox of a task: what it sees of the machine, its limits, its folders, and a supervisor that ends every process
//! that it starts.
//!
//! [`Sandbox`] finds out what works on this machine. Where bubblewrap works, a task sees only the system's programs and its
//! own folders, has process ids of its own, and no network but the proxies of the worker. A worker that runs as root gives each task a user of its own.
//!
//! The worker starts every program of a task through a small supervisor: this program again, with the hidden command
//! `supervise`. The supervisor is the subreaper of all processes below it. A process that leaves its session, its group and
//! its parent becomes a child of the supervisor, which kills it. The supervisor's standard input is a control pipe. When the
//! worker closes the pipe or dies, the supervisor sends SIGTERM to the program, and after a grace time SIGKILL to all
//! processes. The hidden command `confine` gives up rights and becomes the program.
//!
//! A task that runs without a sandbox as the supervisor's user can kill the supervisor with SIGKILL. Its processes then
//! survive.

mod bubblewrap;
mod cgroup;
mod confine;
mod deleted;
mod disk;
mod egress;
mod find;
#[cfg(test)]
mod for_tests;
mod place;
#[allow(dead_code, reason = "the steps before and after Claude Code use it")]
mod programs;
mod settings;
mod size;
mod spec;
mod supervised;
mod supervisor;
mod tree;
mod users;
mod workspace;

pub(crate) use confine::{Confine, confine};
pub(crate) use disk::DiskProblem;
pub(crate) use egress::{Forward, forward};
pub(crate) use find::SandboxError;
#[cfg(test)]
pub(crate) use for_tests::unconfined;
pub(crate) use place::Sandbox;
#[allow(
    unused_imports,
    reason = "the steps before and after Claude Code use them"
)]
pub(crate) use programs::{Finished, ProgramError, Programs, RunLimits};
pub(crate) use settings::{SandboxMode, SandboxSettings, TaskLimits, TaskNetwork};
pub use spec::{Network, ProgramSpec};
pub use supervised::{Launcher, Supervised};
pub(crate) use supervisor::supervise;
pub(crate) use workspace::{Workspace, is_older, private_file, private_folder, sweep};

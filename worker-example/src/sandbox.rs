//! The sandbox of a task: its folders, and a supervisor that ends every process that the task starts.
//!
//! The worker starts Claude Code through a small supervisor: this program again, with the hidden command `supervise`. The
//! supervisor is the subreaper of all processes below it. A process that leaves its session, its group and its parent
//! becomes a child of the supervisor, which kills it. The supervisor's standard input is a control pipe. When the worker
//! closes the pipe or dies, the supervisor sends SIGTERM to Claude Code, and after a grace time SIGKILL to all processes.
//!
//! A task that runs as the supervisor's user can kill the supervisor with SIGKILL. Its processes then survive. Run tasks as
//! a user of their own.

#[allow(dead_code, reason = "the steps before and after Claude Code use it")]
mod programs;
mod spec;
mod supervised;
mod supervisor;
mod tree;
mod workspace;

#[allow(
    unused_imports,
    reason = "the steps before and after Claude Code use them"
)]
pub(crate) use programs::{Finished, ProgramError, Programs, RunLimits};
pub use spec::{Network, ProgramSpec};
pub use supervised::{Launcher, Supervised};
pub(crate) use supervisor::supervise;
pub(crate) use workspace::{Workspace, private_file, private_folder, sweep};

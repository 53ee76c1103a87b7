//! A program with all the processes it starts, held so that none outlives its task.
//!
//! The worker starts the CLI through a small supervisor, this program again with the hidden command
//! `supervise`. The supervisor is the subreaper of everything below it: a process that leaves its
//! session, its group and its parent still ends up as the supervisor's child, and is killed. Its
//! standard input is the leash: when the worker closes it, or dies in whatever way, the supervisor
//! ends the CLI (SIGTERM, which lets it clean up; after a grace time SIGKILL to the whole tree).
//!
//! A task that runs as the supervisor's user can kill the supervisor with SIGKILL, and frees what is below it. Run tasks
//! as a user of their own.

mod spec;
mod supervised;
mod supervisor;
mod tree;

pub use spec::Spec;
pub use supervised::{Launcher, Supervised};
pub(crate) use supervisor::supervise;

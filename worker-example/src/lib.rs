//! Claude Code tasks as Temporal workflows. `temporal-kms-codec` encrypts what a task is given (its
//! prompt, the caller's credential, the secrets of its environment) and what it answers, before
//! Temporal stores it.
//!
//! - [`TaskRequest`] is a task as its caller describes it, [`ClaudeTask`] the workflow that runs it,
//!   [`TaskResult`] how it ended. The workflow's id is the [`TaskId`].
//! - `claude-tasks worker` runs tasks with the real Claude Code CLI. `claude-tasks submit` starts one
//!   and follows it. `follow`, `result`, `status` and `cancel` are for tasks that were submitted before.
//!
//! ## What happens to a task
//! The workflow checks its input and runs one activity, once: a session costs money and changes
//! things, so nothing repeats it by itself. The activity makes a workspace, a `HOME` and a `TMPDIR`
//! that only the worker's user may enter, starts the CLI in it with the prompt on standard input and
//! the credential in its environment, and removes all of it afterwards. A supervisor holds the CLI
//! and everything it starts, and kills what is left when the task ends, is cancelled, runs out of
//! time, or loses its worker. The CLI's events are appended to
//! `sessions/{taskId}/NNN-YYYYMMDD-HHMMSS.jsonl` under the worker's folder, with the task's own
//! secrets replaced.
//!
//! ## How events reach the caller
//! The activity's heartbeats carry the newest events (at most 256 KiB, each at most 32 KiB), through
//! the codec like every payload. `submit` reads them from the description of the pending activity,
//! and after the end asks the workflow by a query for those that no heartbeat told. A heartbeat
//! replaces the one before: the history does not grow with the output, and the follower connects to
//! Temporal only. A task never waits for its followers. They miss events of a task that prints
//! faster, and are told how many. The log has them all, and the answer is part of the result.
//!
//! ## What Temporal stores in the clear
//! The task's id, the task queue, the names of workflow, activity and query, the types of failures
//! ([`FailureKind`]), sizes and times. Nothing is put into summaries, headers or search attributes.
//!
//! ## When a worker ends
//! SIGTERM or Ctrl-C: it takes no new tasks, gives running ones `--drain-time`, then stops them;
//! they fail with `WorkerShutdown`. When it is killed, the supervisor ends the CLI: by SIGTERM, and by
//! SIGKILL after `--grace-time`. When its heartbeat is overdue (30 s), the next worker fails the task
//! with `WorkerLost`, and removes what the lost one left in its folder.
//!
//! ## What this version leaves to a sandbox
//! Tasks run as the worker's user: they can read what that user can read, the keyring and other
//! tasks' folders among it, and the tools of a task see its environment with the credential. Give
//! the worker a user and a machine of its own, and tasks only of callers you trust that far.

#[allow(missing_docs, reason = "the SDK's macros make constants")]
mod activities;
mod claude;
mod cli;
mod connect;
mod failure;
mod follow;
mod json_size;
mod log_store;
mod outcome;
mod print;
mod process;
mod progress;
mod queue;
mod render;
mod request;
mod secret;
mod submit;
mod task_id;
mod tasks;
mod units;
mod worker;
#[allow(missing_docs, reason = "the SDK's macros make constants")]
mod workflow;
mod workspace;

use temporal_kms_codec_service::deadline;

pub use activities::ClaudeActivities;
pub use claude::ResultEvent;
#[doc(hidden)]
pub use cli::command;
pub use cli::main;
pub use connect::{Address, AddressError, ConnectError, ConnectionArgs, connect};
pub use failure::FailureKind;
pub use follow::{Follower, Seen, Stage, TaskHandle};
pub use outcome::{SessionOutcome, TaskResult};
pub use process::{Launcher, Spec, Supervised};
pub use progress::Progress;
pub use request::{
    Credential, MAX_REQUEST_BYTES, PermissionMode, RequestError, TaskInput, TaskRequest,
};
pub use secret::Secret;
pub use task_id::{TaskId, TaskIdError};
pub use workflow::ClaudeTask;

//! Claude Code tasks as Temporal workflows. `temporal-kms-codec` encrypts the input of a task (its prompt, the caller's
//! credential, the secrets of its environment) and its answer before Temporal stores them.
//!
//! - [`TaskClient`] submits tasks, follows them as a stream of [`TaskEvent`]s, and cancels them. The commands `submit`,
//!   `follow`, `result`, `status` and `cancel` are made of it.
//! - [`TaskRequest`] is a task as its caller describes it, [`ClaudeTask`] the workflow that runs it, and [`TaskResult`] its
//!   result. The workflow's id is the [`TaskId`].
//! - `claude-tasks worker` runs tasks with Claude Code, and `claude-tasks api` serves the HTTP API.
//!
//! ## How a task runs
//! The workflow checks that the request belongs to it, and runs the steps of the task as activities: prepare, run, clean up,
//! close. A session costs money and changes things, so nothing repeats a session that has begun. The first step creates a
//! workspace, a `HOME` and a `TMPDIR` that only the worker's user may enter, and holds a place at the worker until the task has
//! left. The next step starts Claude Code in the workspace, in a sandbox, with the prompt on standard input, and removes the
//! folders afterwards. The credential stays in the worker: Claude Code calls the API through a proxy on a Unix socket. A
//! supervisor kills all processes of the task when the task ends, is
//! cancelled, reaches its time limit, or loses its worker. The events are appended to
//! `sessions/{taskId}/NNN-YYYYMMDD-HHMMSS.jsonl` below the worker's folder, without the task's secrets.
//!
//! ## How events reach the caller
//! The activity's heartbeats carry the newest events: at most 256 KiB, and each at most 32 KiB. The codec encrypts them like
//! every payload. The client reads them from the description of the pending activity. After the end, it asks the workflow by
//! a query for the events that no heartbeat has carried. Each heartbeat replaces the one before, so the history does not grow
//! with the output, and the client connects only to Temporal. A task never waits for its followers. If it prints faster than
//! heartbeats carry events, followers miss some and learn how many. The log has all events, and the result has the answer.
//!
//! ## What Temporal stores unencrypted
//! The task's id, the task queues, the names of workflows, activities, queries and versions of the workflow's code, the types
//! of failures ([`FailureKind`]), sizes and times. Summaries and headers stay empty. The search attributes hold the status and
//! the repository's host, if the namespace has them, and the SDK's `TemporalChangeVersion`.
//!
//! ## How a worker ends
//! After SIGTERM or Ctrl-C, it takes no new tasks, lets running tasks continue for `--drain-time`, and then stops them. They
//! fail with `WorkerShutdown`. If the worker is killed, its supervisors send SIGTERM to Claude Code, and SIGKILL to all
//! processes after `--grace-time`. When a heartbeat is 30 seconds overdue, the next worker fails the task with `WorkerLost`
//! and removes its folders.
//!
//! ## How a task is isolated
//! Where bubblewrap works, a task sees only the system's programs and its own folders and processes, and has no network but
//! the worker's proxies. A
//! worker that runs as root gives each task a Unix user of its own. Memory, processes, CPUs and disk are limited. What does
//! not work on a machine is in the worker's log and in the `warnings` of each result. Then a task can read what the worker's
//! user can read: give the worker a user and a machine of its own, and accept tasks only from callers whom you trust that far.

mod api;
mod cli;
mod client;
mod files;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod git;
mod print;
mod proxy;
mod redact;
mod sandbox;
mod signed;
mod store;
mod task;
mod webhook;
mod worker;

#[doc(hidden)]
pub use cli::command;
pub use cli::main;
pub use client::{
    Address, AddressError, Cancellation, ClientError, ConnectError, ConnectOptions,
    ConnectionError, EndKind, KeyUse, MissingNamespace, Stage, SubmitOptions, Task, TaskClient,
    TaskEnd, TaskEvent, TaskProgress, TaskStatus,
};
pub use sandbox::{Launcher, Network, ProgramSpec, Supervised};
pub use signed::RequestKeyError;
pub use store::{LocationError, StoreLocation};
pub use task::{
    ConflictStrategy, Credential, FailureKind, GitAction, GitCommit, LastProgress,
    MAX_REQUEST_BYTES, PermissionMode, PostExecutionActions, Progress, PromptFile, Recovery,
    RecoveryMethod, RequestError, RequestRules, ResultEvent, Secret, SecretJson, SessionOutcome,
    State, Step, TaskId, TaskIdError, TaskInput, TaskRequest, TaskResult, TaskState, TaskWorkflow,
    UploadAction, UploadedFile,
};
pub use worker::{ClaudeActivities, ClaudeTask};

/// The Rust in the README compiles when the documentation tests run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

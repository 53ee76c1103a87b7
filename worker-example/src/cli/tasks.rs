//! `claude-tasks follow`, `result`, `status` and `cancel`: for a task that was submitted before.

use clap::Args;
use serde_json::json;
use temporal_kms_codec_service::terminal;

use super::{
    connection::ConnectionArgs,
    exit::{CommandEnd, CommandError},
    screen::{Screen, note_cut},
    server::{AnyTask, ServerArgs},
    watch::{OnSignal, watch},
};
use crate::{
    client::{Cancellation, KeyUse},
    print,
    task::TaskId,
};

pub(super) const FOLLOW_EXAMPLES: &str = "\
Examples:
  claude-tasks follow --keyring keys nightly-1
  claude-tasks follow --json nightly-1

This needs the key with which the task was submitted.";

pub(super) const RESULT_EXAMPLES: &str = "\
Examples:
  claude-tasks result --keyring keys nightly-1
  claude-tasks result --json nightly-1

This needs the key with which the task was submitted.";

pub(super) const STATUS_EXAMPLES: &str = "\
Examples:
  claude-tasks status nightly-1
  claude-tasks status --json --namespace prod nightly-1

The status is one of: waiting for a worker, running, paused, completed,
failed, cancelled, terminated, timed out. This needs no key.";

pub(super) const CANCEL_EXAMPLES: &str = "\
Examples:
  claude-tasks cancel nightly-1
  claude-tasks cancel --json --namespace prod nightly-1

This needs no key.";

/// The options of a command for one task.
#[derive(Clone, Debug, Args)]
pub(super) struct TaskArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    server: ServerArgs,
    /// The task's id, as `submit` printed it.
    #[arg(value_name = "TASK")]
    task: TaskId,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Shows a task's events from now on, and waits for its end. Ctrl-C does not cancel the task.
///
/// # Errors
/// When the task does not exist or cannot be followed.
pub(super) async fn follow(args: TaskArgs) -> Result<CommandEnd, CommandError> {
    let task = connect(&args, KeyUse::Decrypt).await?;
    // An error here is clearer than one that follows the task's first events.
    task.status().await?;
    let screen = Screen::new(args.task, args.connection.task_queue(), args.json);
    watch(&task, screen, OnSignal::Leave).await
}

/// Waits for a task's end, and prints Claude's answer.
///
/// # Errors
/// When the task does not exist, or its result cannot be read.
pub(super) async fn result(args: TaskArgs) -> Result<CommandEnd, CommandError> {
    let end = connect(&args, KeyUse::Decrypt).await?.result().await?;
    if args.json {
        let line = json!({"taskId": args.task, "status": end.kind().as_str(), "error": end.problem(),
            "result": end.result()});
        print::line(&terminal::json(&line.to_string()));
    } else {
        if let Some(answer) = end.answer() {
            print::line(&terminal::lines(answer));
        }
        note_cut(&end);
        if let Some(problem) = end.problem() {
            print::note(&terminal::lines(problem));
        }
    }
    Ok(CommandEnd::of_task(end.kind()))
}

/// Prints whether a task waits, runs, or how it ended.
///
/// # Errors
/// When the task does not exist, or Temporal does not answer.
pub(super) async fn status(args: TaskArgs) -> Result<CommandEnd, CommandError> {
    let status = connect(&args, KeyUse::None).await?.status().await?;
    if args.json {
        print::line(&json!({"taskId": args.task, "status": status}).to_string());
    } else {
        print::line(status.as_str());
    }
    Ok(CommandEnd::Done)
}

/// Cancels a task, and does not wait for its end.
///
/// # Errors
/// When the task does not exist, or Temporal does not answer.
pub(super) async fn cancel(args: TaskArgs) -> Result<CommandEnd, CommandError> {
    let cancellation = connect(&args, KeyUse::None).await?.cancel().await?;
    let task = &args.task;
    let (status, note) = match cancellation {
        Cancellation::Accepted => ("cancelling", format!("task {task} is being cancelled")),
        Cancellation::AlreadyEnded(status) => (
            status.as_str(),
            format!("task {task} has already ended: {status}"),
        ),
    };
    if args.json {
        print::line(&json!({"taskId": task, "status": status}).to_string());
    } else {
        print::note(&note);
    }
    Ok(CommandEnd::Done)
}

async fn connect(args: &TaskArgs, keys: KeyUse) -> Result<AnyTask, CommandError> {
    args.server.task(&args.connection, keys, &args.task).await
}

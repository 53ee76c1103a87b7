//! `claude-tasks follow`, `result`, `status` and `cancel`: for a task that was submitted before.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use temporal_kms_codec_service::terminal;
use tokio::time::timeout;

use super::{
    connection::ConnectionArgs,
    exit::{CommandEnd, CommandError},
    render,
    screen::{Screen, note_cut, note_failure},
    server::{AnyTask, ServerArgs},
    watch::{OnSignal, watch},
};
use crate::{
    client::{Cancellation, EndKind, KeyUse, TaskProgress, TaskStatus},
    print,
    task::TaskId,
};

/// How long `status` waits for the key. The status itself needs none.
const KEY_TIME: Duration = Duration::from_secs(5);

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
failed, cancelled, terminated, timed out. This needs no key.

The step of a running task is told on stderr, and by --json as `step`. With the
key, or with --server, the turns and the cost so far are told, too.";

pub(super) const CANCEL_EXAMPLES: &str = "\
Examples:
  claude-tasks cancel nightly-1
  claude-tasks cancel --json --namespace prod nightly-1

This needs no key.";

/// The options of a command for one task.
#[derive(Clone, Debug, Args)]
pub(super) struct TaskArgs {
    /// The task's id, as `submit` printed it.
    #[arg(value_name = "TASK")]
    task: TaskId,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    server: ServerArgs,
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
        note_failure(&end);
        if end.kind() == EndKind::Cancelled {
            print::note(&format!("task {} cancelled", args.task));
        }
    }
    Ok(CommandEnd::of_task(end.kind()))
}

/// Prints whether a task waits, runs, or how it ended. Of a running task it also tells the step, and with the key the turns and
/// the cost so far.
///
/// # Errors
/// When the task does not exist, or Temporal does not answer.
pub(super) async fn status(args: TaskArgs) -> Result<CommandEnd, CommandError> {
    let (status, mut progress) = connect(&args, KeyUse::None).await?.progress().await?;
    if status == TaskStatus::Running && args.server.server.is_none() && progress.turns.is_none() {
        progress = progress_with_key(&args).await.unwrap_or(progress);
    }
    if args.json {
        let mut line = json!({"taskId": args.task, "status": status});
        if let (Some(line), Ok(Value::Object(progress))) =
            (line.as_object_mut(), serde_json::to_value(&progress))
        {
            line.extend(progress);
        }
        print::line(&line.to_string());
    } else {
        print::line(status.as_str());
        if status == TaskStatus::Running
            && let Some(progress) = render::progress(&progress)
        {
            print::note(&progress);
        }
    }
    Ok(CommandEnd::Done)
}

/// How far a task is, if the key is there and answers soon.
async fn progress_with_key(args: &TaskArgs) -> Option<TaskProgress> {
    let looked = async {
        let task = connect(args, KeyUse::Decrypt).await.ok()?;
        Some(task.progress().await.ok()?.1)
    };
    timeout(KEY_TIME, looked).await.ok().flatten()
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

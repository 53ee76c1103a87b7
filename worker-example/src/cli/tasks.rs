//! `claude-tasks follow`, `result`, `status` and `cancel`: a task that was submitted earlier.

use clap::Args;
use serde_json::json;
use temporal_kms_codec_service::terminal;
use temporalio_client::{
    Client, WorkflowCancelOptions, WorkflowDescribeOptions, WorkflowExecutionStatus,
    WorkflowGetResultOptions, errors::WorkflowInteractionError,
};

use crate::{
    connect::{ConnectionArgs, Keys, connect_with},
    follow::TaskHandle,
    print,
    submit::{End, OnSignal, Outcome, Screen, SubmitError, Watch, lost},
    task_id::TaskId,
};

/// Options of the commands for one task.
#[derive(Clone, Debug, Args)]
pub(crate) struct TaskArgs {
    /// Where Temporal is.
    #[command(flatten)]
    pub connection: ConnectionArgs,
    /// The task's id, as `submit` printed it.
    #[arg(value_name = "TASK")]
    pub task: TaskId,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Shows a task's events from now on, and waits for its end. Ctrl-C leaves the task alone.
///
/// # Errors
/// When the task is not known or cannot be followed.
pub(crate) async fn follow(args: TaskArgs) -> Result<Outcome, SubmitError> {
    let (client, handle) = open(&args, Keys::Opened).await?;
    describe(&args.task, &handle).await?;
    let watch = Watch {
        client: &client,
        queue: &args.connection.task_queue,
        task: &args.task,
        handle: &handle,
        on_signal: OnSignal::Leave,
    };
    watch.run(Screen::new(args.json)).await
}

/// Waits for a task's end and prints Claude's answer.
///
/// # Errors
/// When the task is not known.
pub(crate) async fn result(args: TaskArgs) -> Result<Outcome, SubmitError> {
    let (_, handle) = open(&args, Keys::Opened).await?;
    let ended = handle.get_result(WorkflowGetResultOptions::default()).await;
    let end = End::of(&args.task, ended)?;
    if args.json {
        let line = json!({"taskId": args.task, "status": end.status(), "error": end.problem, "result": end.result});
        print::line(&terminal::json(&line.to_string()));
        return Ok(end.outcome);
    }
    if let Some(answer) = end.answer() {
        print::line(&terminal::lines(answer));
    }
    end.note_the_cut();
    if let Some(problem) = &end.problem {
        print::note(&terminal::lines(problem));
    }
    Ok(end.outcome)
}

/// Prints whether a task runs or how it ended.
///
/// # Errors
/// When the task is not known.
pub(crate) async fn status(args: TaskArgs) -> Result<Outcome, SubmitError> {
    let (_, handle) = open(&args, Keys::Unused).await?;
    let status = status_name(describe(&args.task, &handle).await?);
    if args.json {
        print::line(&json!({"taskId": args.task, "status": status}).to_string());
    } else {
        print::line(status);
    }
    Ok(Outcome::Completed)
}

/// Asks for a task's end, and does not wait for it. It needs no key: a task can be cancelled while the key service is
/// unreachable.
///
/// # Errors
/// When the task is not known.
pub(crate) async fn cancel(args: TaskArgs) -> Result<Outcome, SubmitError> {
    let (_, handle) = open(&args, Keys::Unused).await?;
    // Temporal may accept the cancellation of a task that has ended.
    let before = describe(&args.task, &handle).await?;
    let is_open = before == WorkflowExecutionStatus::Running
        && match handle.cancel(WorkflowCancelOptions::default()).await {
            Ok(()) => true,
            Err(WorkflowInteractionError::NotFound(_)) => false,
            Err(error) => return Err(problem(&args.task, &error)),
        };
    if !is_open {
        let status = status_name(describe(&args.task, &handle).await?);
        if args.json {
            print::line(&json!({"taskId": args.task, "status": status}).to_string());
        } else {
            print::note(&format!("task {} has ended before: {status}", args.task));
        }
        return Ok(Outcome::Completed);
    }
    if args.json {
        print::line(&json!({"taskId": args.task, "status": "cancelling"}).to_string());
    } else {
        print::note(&format!("task {} is being cancelled", args.task));
    }
    Ok(Outcome::Completed)
}

async fn open(args: &TaskArgs, keys: Keys) -> Result<(Client, TaskHandle), SubmitError> {
    let identity = "claude-tasks-client".to_owned();
    let client = connect_with(&args.connection, identity, keys).await?;
    let handle = client.get_workflow_handle(args.task.to_string());
    Ok((client, handle))
}

async fn describe(
    task: &TaskId,
    handle: &TaskHandle,
) -> Result<WorkflowExecutionStatus, SubmitError> {
    let described = handle.describe(WorkflowDescribeOptions::default()).await;
    Ok(described.map_err(|error| problem(task, &error))?.status())
}

fn problem(task: &TaskId, error: &WorkflowInteractionError) -> SubmitError {
    match error {
        WorkflowInteractionError::NotFound(_) => SubmitError::Unknown(task.clone()),
        error => lost(task, error),
    }
}

fn status_name(status: WorkflowExecutionStatus) -> &'static str {
    match status {
        WorkflowExecutionStatus::Running => "running",
        WorkflowExecutionStatus::Completed => "completed",
        WorkflowExecutionStatus::Failed => "failed",
        WorkflowExecutionStatus::Canceled => "cancelled",
        WorkflowExecutionStatus::Terminated => "terminated",
        WorkflowExecutionStatus::TimedOut => "timed out",
        WorkflowExecutionStatus::Paused => "paused",
        _ => "unknown",
    }
}

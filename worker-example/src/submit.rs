//! `claude-tasks submit`: starts a task, shows its events as they come, and waits for its end.

mod input;

use crate::{
    connect::{ConnectError, ConnectionArgs, chain, connect},
    follow::{Follower, Seen, TaskHandle},
    outcome::TaskResult,
    print, render,
    request::TaskInput,
    task_id::TaskId,
    workflow::ClaudeTask,
};
use clap::Args;
pub(crate) use input::{InputArgs, InputError};
use serde_json::json;
use std::time::Duration;
use temporalio_client::{
    WorkflowCancelOptions, WorkflowGetResultOptions, WorkflowIdReusePolicy, WorkflowStartOptions,
    errors::{WorkflowGetResultError, WorkflowInteractionError, WorkflowStartError},
};
use temporalio_common::error::IncomingError;
use thiserror::Error;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{MissedTickBehavior, interval},
};

const POLL: Duration = Duration::from_millis(400);

/// Options of a submission.
#[derive(Clone, Debug, Args)]
pub(crate) struct SubmitArgs {
    /// Where Temporal is.
    #[command(flatten)]
    pub connection: ConnectionArgs,
    /// What to do.
    #[command(flatten)]
    pub input: InputArgs,
    /// The task's id, letters, digits, `_` and `-`; a random one when absent. Stands in Temporal in the clear.
    #[arg(long, value_name = "ID")]
    pub task_id: Option<TaskId>,
    /// Print every event as a line of JSON, between a `task_started` and a `task_ended`.
    #[arg(long)]
    pub json: bool,
    /// Start the task, print its id, and do not wait for it.
    #[arg(long)]
    pub detach: bool,
}

/// A submission failed by itself; a task that failed is an [`Outcome`].
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum SubmitError {
    /// Not what it takes to make a task.
    #[error(transparent)]
    Input(#[from] InputError),
    /// No Temporal, or no key.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// There is, or was, a task of this id.
    #[error("there is or was a task `{0}` already; choose another --task-id")]
    Exists(TaskId),
    /// Temporal refused the task.
    #[error("the task cannot be started: {0}")]
    Start(String),
    /// The task was started and its end is not known.
    #[error("the task `{task}` was started and can no longer be followed: {problem}")]
    Lost {
        /// The task.
        task: TaskId,
        /// Why.
        problem: String,
    },
    /// Signals cannot be handled.
    #[error("signals cannot be handled: {0}")]
    Signals(#[from] std::io::Error),
}

/// How a submission went on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The task did well.
    Completed,
    /// The task failed.
    Failed,
    /// The task was cancelled.
    Cancelled,
    /// The task was started and left alone.
    Detached,
}

/// Submits a task and, unless detached, follows it to its end. Ctrl-C or SIGTERM cancels the task;
/// a second one leaves it to end by itself.
///
/// # Errors
/// When the task cannot be started or not be followed.
pub(crate) async fn run(args: SubmitArgs) -> Result<Outcome, SubmitError> {
    let request = args.input.request()?;
    let task = args.task_id.unwrap_or_else(TaskId::random);
    let client = connect(&args.connection, "claude-tasks-submit".to_owned(), false).await?;
    let options = WorkflowStartOptions::new(args.connection.task_queue.clone(), task.to_string())
        // An id names one task for good: its log, its webhook, its bill.
        .id_reuse_policy(WorkflowIdReusePolicy::RejectDuplicate)
        .build();
    let input = TaskInput::from(request);
    let handle = match client.start_workflow(ClaudeTask::run, input, options).await {
        Err(WorkflowStartError::AlreadyStarted { .. }) => return Err(SubmitError::Exists(task)),
        Err(error) => return Err(SubmitError::Start(chain(&error))),
        Ok(handle) => handle,
    };
    let screen = Screen { json: args.json };
    screen.started(&task, args.detach);
    if args.detach {
        return Ok(Outcome::Detached);
    }
    follow(&handle, &task, screen).await
}

async fn follow(
    handle: &TaskHandle,
    task: &TaskId,
    screen: Screen,
) -> Result<Outcome, SubmitError> {
    let mut follower = Follower::default();
    let mut signals = Signals::listen()?;
    let mut cancelled = false;
    let mut polls = interval(POLL);
    polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let result = handle.get_result(WorkflowGetResultOptions::default());
    let mut result = std::pin::pin!(result);
    let ended = loop {
        tokio::select! {
            ended = &mut result => break ended,
            () = signals.recv() => {
                if cancelled {
                    print::note("left the task while it is being cancelled");
                    return Ok(Outcome::Cancelled);
                }
                cancelled = true;
                print::note("cancelling the task; once more to leave without waiting");
                cancel(handle).await.map_err(|e| lost(task, &chain(&e)))?;
            }
            _ = polls.tick() => match follower.poll(handle).await {
                Ok(seen) => screen.seen(&seen),
                Err(error) => tracing::warn!(error = chain(&error), "events cannot be read"),
            },
        }
    };
    match follower.finish(handle).await {
        Ok(seen) => screen.seen(&seen),
        Err(error) => tracing::warn!(error = chain(&error), "the last events cannot be read"),
    }
    screen.ended(task, ended)
}

async fn cancel(handle: &TaskHandle) -> Result<(), WorkflowInteractionError> {
    handle.cancel(WorkflowCancelOptions::default()).await
}

fn lost(task: &TaskId, problem: &str) -> SubmitError {
    SubmitError::Lost {
        task: task.clone(),
        problem: problem.to_owned(),
    }
}

/// What the caller gets to see.
#[derive(Clone, Copy)]
struct Screen {
    json: bool,
}

impl Screen {
    fn started(self, task: &TaskId, detached: bool) {
        if self.json {
            print::line(
                &json!({"type": "claude_tasks", "subtype": "task_started", "taskId": task})
                    .to_string(),
            );
        } else if detached {
            print::line(task.as_str());
        } else {
            print::note(&format!("task {task} started"));
        }
    }

    fn seen(self, seen: &[Seen]) {
        for seen in seen {
            let shown = match (self.json, seen) {
                (true, Seen::Event(json)) => Some(json.clone()),
                (true, Seen::Missed(count)) => Some(
                    json!({"type": "claude_tasks", "subtype": "events_missed", "count": count})
                        .to_string(),
                ),
                (false, seen) => render::seen(seen),
            };
            if let Some(shown) = shown {
                print::line(&shown);
            }
        }
    }

    fn ended(
        self,
        task: &TaskId,
        ended: Result<TaskResult, WorkflowGetResultError>,
    ) -> Result<Outcome, SubmitError> {
        let (outcome, result, problem) = match ended {
            Ok(result) => (Outcome::Completed, Some(result), None),
            Err(WorkflowGetResultError::Failed(error)) => {
                let details = match &*error {
                    IncomingError::Application(failure) => failure.details().ok().flatten(),
                    _ => None,
                };
                (Outcome::Failed, details, Some(error.to_string()))
            }
            Err(WorkflowGetResultError::Cancelled { details }) => (
                Outcome::Cancelled,
                details.deserialize().ok(),
                Some("the task was cancelled".into()),
            ),
            Err(
                error @ (WorkflowGetResultError::Terminated { .. }
                | WorkflowGetResultError::TimedOut),
            ) => (Outcome::Failed, None, Some(error.to_string())),
            Err(error) => return Err(lost(task, &chain(&error))),
        };
        self.show(task, outcome, result.as_ref(), problem.as_deref());
        Ok(outcome)
    }

    fn show(
        self,
        task: &TaskId,
        outcome: Outcome,
        result: Option<&TaskResult>,
        problem: Option<&str>,
    ) {
        let status = match outcome {
            Outcome::Completed => "completed",
            Outcome::Cancelled => "cancelled",
            Outcome::Failed | Outcome::Detached => "failed",
        };
        if self.json {
            let end = json!({"type": "claude_tasks", "subtype": "task_ended", "taskId": task,
                "status": status, "error": problem, "result": result});
            print::line(&end.to_string());
            return;
        }
        if let Some(problem) = problem {
            print::note(&render::harmless(problem));
        }
        let facts = result.map(|result| format!(": {}", render::summary(result)));
        print::note(&format!(
            "task {task} {status}{}",
            facts.unwrap_or_default()
        ));
    }
}

struct Signals([Signal; 2]);

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        ]))
    }

    async fn recv(&mut self) {
        let [interrupt, terminate] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

//! `claude-tasks submit`: starts a task, shows its events as they come, and waits for its end.

mod input;
mod screen;
mod watch;

use std::time::Duration;

use clap::Args;
use temporal_kms_codec_service::exit::Status;
use temporalio_client::{WorkflowIdReusePolicy, WorkflowStartOptions, errors::WorkflowStartError};
use thiserror::Error;

use crate::{
    connect::{ConnectError, ConnectionArgs, Keys, chain, connect_with},
    print, queue,
    request::TaskInput,
    task_id::TaskId,
    units,
    workflow::ClaudeTask,
};
pub(crate) use input::{InputArgs, InputError};
pub(crate) use screen::{End, Screen};
pub(crate) use watch::{OnSignal, Watch};

/// What a task may take in Temporal beyond its own time and its time in the queue: attempts that never began, cleaning
/// up, and a worker that restarts.
const MARGIN: Duration = Duration::from_mins(30);

/// Options of a submission.
#[derive(Clone, Debug, Args)]
pub(crate) struct SubmitArgs {
    /// Where Temporal is.
    #[command(flatten)]
    pub connection: ConnectionArgs,
    /// What to do.
    #[command(flatten)]
    pub input: InputArgs,
    /// The task's id: letters, digits, `_` and `-`. Without it, a random one. Temporal stores it unencrypted.
    #[arg(long, value_name = "ID")]
    pub task_id: Option<TaskId>,
    /// How long the task may wait for a worker, such as 30m. Then it fails.
    #[arg(long, value_name = "TIME", default_value = "1d", value_parser = units::time)]
    pub queue_time: Duration,
    /// Submit nothing when no worker polls the task queue.
    #[arg(long)]
    pub require_worker: bool,
    /// Print every event as one line of JSON, between a `task_submitted` and a `task_ended`.
    #[arg(long)]
    pub json: bool,
    /// Submit the task, print its id, and do not wait for it.
    #[arg(long)]
    pub detach: bool,
}

/// A submission failed by itself; a task that failed is an [`Outcome`].
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum SubmitError {
    /// The options and files do not make a task.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Temporal or the key cannot be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The id is taken.
    #[error("a task `{0}` already exists or existed; choose another --task-id")]
    Exists(TaskId),
    /// The id is not known.
    #[error("there is no task `{0}` in this namespace; check the id and --namespace")]
    Unknown(TaskId),
    /// The end that Temporal has is not of this task.
    #[error(
        "what Temporal has as the result of task `{0}` is the result of another task. Somebody who can write to Temporal \
         replaced it"
    )]
    Foreign(TaskId),
    /// `--require-worker`, and none is there.
    #[error("{}", watch::no_worker(.0))]
    NoWorker(String),
    /// Temporal refused the task.
    #[error("the task cannot be started: {0}")]
    Start(String),
    /// The task's end is not known.
    #[error("task `{task}` can no longer be followed: {problem}")]
    Lost {
        /// The task.
        task: TaskId,
        /// Why.
        problem: String,
    },
    /// What Temporal stores of the task cannot be decrypted here.
    #[error("task `{task}` cannot be read: {problem}")]
    Unreadable {
        /// The task.
        task: TaskId,
        /// Why.
        problem: String,
    },
    /// Signals cannot be handled.
    #[error("signals cannot be handled: {0}")]
    Signals(#[from] std::io::Error),
}

impl SubmitError {
    /// The program's exit status.
    pub(crate) fn status(&self) -> Status {
        match self {
            Self::Input(error) => error.status(),
            Self::Connect(error) => error.status(),
            Self::Exists(_) => Status::Usage,
            Self::Unknown(_) => Status::NoInput,
            Self::Foreign(_) | Self::Unreadable { .. } => Status::Data,
            Self::NoWorker(_) | Self::Start(_) | Self::Lost { .. } => Status::Unavailable,
            Self::Signals(_) => Status::Software,
        }
    }
}

/// How a submission went on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The task succeeded.
    Completed,
    /// The task failed.
    Failed,
    /// The task was cancelled.
    Cancelled,
    /// The task goes on without us.
    Left,
}

/// Submits a task and, unless detached, follows it to its end. Ctrl-C or SIGTERM cancels the task;
/// a second one leaves it to end by itself.
///
/// # Errors
/// When the task cannot be started or not be followed.
pub(crate) async fn run(args: SubmitArgs) -> Result<Outcome, SubmitError> {
    let request = args.input.request()?;
    let task = args.task_id.unwrap_or_else(TaskId::random);
    let client = connect_with(
        &args.connection,
        "claude-tasks-submit".to_owned(),
        Keys::Answering,
    )
    .await?;
    let queue = args.connection.task_queue;
    if args.require_worker {
        let has_workers = queue::has_workers(&client, &queue).await;
        if !has_workers.map_err(|e| SubmitError::Start(chain(&e)))? {
            return Err(SubmitError::NoWorker(queue));
        }
    }
    let options = WorkflowStartOptions::new(queue.clone(), task.to_string())
        // An id names one task for good: its log, its webhook, its bill.
        .id_reuse_policy(WorkflowIdReusePolicy::RejectDuplicate)
        .execution_timeout(args.queue_time + request.timeout() + MARGIN)
        .build();
    let input = TaskInput::new(request, &task);
    let handle = match client.start_workflow(ClaudeTask::run, input, options).await {
        Err(WorkflowStartError::AlreadyStarted { .. }) => return Err(SubmitError::Exists(task)),
        Err(error) => return Err(SubmitError::Start(chain(&error))),
        Ok(handle) => handle,
    };
    let screen = Screen::new(args.json);
    screen.submitted(&task, args.detach);
    if args.detach {
        if let Ok(false) = queue::has_workers(&client, &queue).await {
            print::note(&watch::no_worker(&queue));
        }
        return Ok(Outcome::Left);
    }
    let watch = Watch {
        client: &client,
        queue: &queue,
        task: &task,
        handle: &handle,
        on_signal: OnSignal::Cancel,
    };
    watch.run(screen).await
}

/// Why nothing more is known of a task: what Temporal stores cannot be decrypted here, or Temporal or the key's service
/// cannot be reached.
pub(crate) fn lost(task: &TaskId, error: &(dyn std::error::Error + 'static)) -> SubmitError {
    let (task, problem) = (task.clone(), chain(error));
    if is_unreadable(error) {
        SubmitError::Unreadable { task, problem }
    } else {
        SubmitError::Lost { task, problem }
    }
}

fn is_unreadable(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<temporal_kms_codec::Error>() {
            return !error.is_transient();
        }
        cause = error.source();
    }
    false
}

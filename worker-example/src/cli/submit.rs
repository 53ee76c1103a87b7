//! `claude-tasks submit`: submits a task, shows its events, and waits for its end.

use std::time::Duration;

use clap::Args;
use temporal_kms_codec_service::terminal;

use super::{
    connection::ConnectionArgs,
    exit::{CommandEnd, CommandError},
    input::{InputArgs, TASK},
    screen::Screen,
    server::{AnyTask, ServerArgs},
    units,
    watch::{OnSignal, watch},
};
use crate::{
    client::{KeyUse, SubmitOptions, TaskClient, no_worker},
    print,
    task::TaskId,
};

/// What `submit` says when it has no store, and was not told so.
const INLINE: &str = "\
no store is named: the request's credential and prompt become a part of the history, where people who may decrypt see them.
Name the store of the workers with --store (CLAUDE_TASKS_STORE), submit with --server, or set --store none if this is intended";

pub(super) const EXAMPLES: &str = "\
Examples:
  ANTHROPIC_API_KEY=sk-ant-... \\
    claude-tasks submit --server http://127.0.0.1:8080 \\
    --prompt 'Write a haiku'
  claude-tasks submit --keyring keys --store data/store \\
    --prompt-file prompt.txt --allowed-tool Bash --json
  claude-tasks submit --request task.json --task-id nightly-1 --detach

Without --server, name the store of the workers with --store. Otherwise the
credential and the prompt become a part of the history.

The credential comes from ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN, or is
in the request file. If both variables are set, the API key counts. The
credential is never an option, because all users of a machine can read the
options of its programs.

Ctrl-C or SIGTERM cancels the task, and waits up to 30 seconds for its end. A
second signal stops waiting.";

/// The options of `submit`.
#[derive(Clone, Debug, Args)]
pub(super) struct SubmitArgs {
    /// Submit nothing if no worker polls the task queue.
    #[arg(long, conflicts_with = "server")]
    require_worker: bool,
    /// Print every event as one line of JSON, between `task_submitted` and `task_ended`.
    #[arg(long)]
    json: bool,
    /// Submit the task, print its id, and do not wait for its end.
    #[arg(long)]
    detach: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    input: InputArgs,
    /// The task's id: letters, digits, `_` and `-` [default: a random id]. Temporal stores it unencrypted.
    #[arg(long, value_name = "ID", help_heading = TASK)]
    task_id: Option<TaskId>,
    /// How long the task may wait for a worker, such as 30m. Then it fails.
    #[arg(long, value_name = "TIME", default_value = "1d", conflicts_with = "server", help_heading = TASK, value_parser = units::time)]
    queue_time: Duration,
    /// The key that signs the request, such as `local://requests`. Workers with `--request-key` run signed requests only.
    #[arg(long, env = "CLAUDE_TASKS_SIGNING_KEY", value_name = "URI", help_heading = TASK)]
    sign_with: Option<String>,
}

/// Submits a task and, without `--detach`, shows its events until its end.
///
/// # Errors
/// When the request is not valid, or the task cannot be submitted or followed.
pub(super) async fn run(args: SubmitArgs) -> Result<CommandEnd, CommandError> {
    let mut request = args.input.request()?;
    if let Some(client) = args.server.client()? {
        // The service gets the request as it was read, so it cannot tell them.
        for warning in request.warnings() {
            print::warning(&terminal::line(&warning));
        }
        request.task_id = args.task_id.or(request.task_id);
        let task = AnyTask::Remote(client.submit(&request).await?);
        let screen = Screen::new(task.id().clone(), "", args.json);
        screen.submitted(args.detach);
        if args.detach {
            return Ok(CommandEnd::Done);
        }
        return watch(&task, screen, OnSignal::Cancel).await;
    }
    let mut options = args.connection.options(KeyUse::Encrypt)?;
    if let Some(key) = &args.sign_with {
        options = options.with_signing_key(key);
    }
    let client = TaskClient::connect(&options.with_identity("claude-tasks-submit")).await?;
    if args.connection.store()?.is_none() {
        print::warning(INLINE);
    }
    let mut options = SubmitOptions::new()
        .with_queue_time(args.queue_time)
        .require_worker(args.require_worker);
    if let Some(id) = args.task_id {
        options = options.with_task_id(id);
    }
    let task = client.submit(request, options).await?;
    let screen = Screen::new(task.id().clone(), client.task_queue(), args.json);
    screen.submitted(args.detach);
    if args.detach {
        if client.has_workers().await == Some(false) {
            print::warning(&no_worker(client.task_queue()));
        }
        return Ok(CommandEnd::Done);
    }
    watch(&AnyTask::Direct(Box::new(task)), screen, OnSignal::Cancel).await
}

//! `claude-tasks logs`: the log of a task, from the store or from a task service.

use std::{collections::HashSet, time::Duration};

use clap::Args;
use tokio::time::sleep;

use super::{
    connection::ConnectionArgs,
    exit::{CommandEnd, CommandError},
    screen::Screen,
    server::ServerArgs,
};
use crate::{
    client::{KeyUse, RemoteTask, TaskClient, TaskEvent, TaskStatus},
    store::Vault,
    task::TaskId,
};

pub(super) const EXAMPLES: &str = "\
Examples:
  claude-tasks logs --keyring keys --store data/store nightly-1
  claude-tasks logs --follow --json --store s3://tasks nightly-1
  claude-tasks logs --server https://tasks.example.com nightly-1

A task service opens the log for the caller that submitted the task, as long as
Temporal knows the task. Without --server, the log needs the keys with which the
worker sealed it, and the same store: that of `claude-tasks all` is the folder
`store` in its --workdir. Workers without a store have the log in their own
folder.";

/// How often the store is asked for new chunks.
const POLL: Duration = Duration::from_secs(2);

/// The options of `logs`.
#[derive(Clone, Debug, Args)]
pub(super) struct LogsArgs {
    /// The task's id, as `submit` printed it.
    #[arg(value_name = "TASK")]
    task: TaskId,
    /// Wait for new events until the task ends.
    #[arg(long, short)]
    follow: bool,
    /// Print the events as they are stored: one line of JSON each.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    server: ServerArgs,
}

/// Prints the log of a task.
///
/// # Errors
/// When no store is named, the store has no log of the task, or the log cannot be read.
pub(super) async fn run(args: LogsArgs) -> Result<CommandEnd, CommandError> {
    if let Some(client) = args.server.client()? {
        return of_service(&client.task(args.task.clone()), &args).await;
    }
    let options = args.connection.options(KeyUse::Decrypt)?;
    let client = TaskClient::connect(&options).await?;
    let vault = client.vault().ok_or(CommandError::NoStore)?;
    let mut log = Log {
        vault,
        screen: Screen::new(args.task.clone(), client.task_queue(), args.json),
        printed: HashSet::new(),
    };
    loop {
        // The end is looked up first: chunks that are stored before it are printed below.
        let has_ended = !args.follow || vault.metadata(&args.task).await?.is_some() || {
            let status = client.task(&args.task).status().await;
            !status.is_ok_and(TaskStatus::is_open)
        };
        log.print(&args.task).await?;
        if has_ended {
            break;
        }
        sleep(POLL).await;
    }
    if log.printed.is_empty() {
        return Err(CommandError::NoLog(args.task));
    }
    Ok(CommandEnd::Done)
}

/// Prints the log that a task service opens.
async fn of_service(task: &RemoteTask, args: &LogsArgs) -> Result<CommandEnd, CommandError> {
    let mut screen = Screen::new(task.id().clone(), "", args.json);
    let show = |line: &str| screen.show(&TaskEvent::Printed(line.to_owned()));
    let lines = if args.follow {
        task.follow_log(show).await?
    } else {
        task.read_log(show).await?
    };
    if lines == 0 {
        return Err(CommandError::NoLog(args.task.clone()));
    }
    Ok(CommandEnd::Done)
}

struct Log<'a> {
    vault: &'a Vault,
    screen: Screen,
    printed: HashSet<String>,
}

impl Log<'_> {
    /// Prints the chunks that were not printed before.
    async fn print(&mut self, task: &TaskId) -> Result<(), CommandError> {
        for name in self.vault.chunks(task).await? {
            if self.printed.contains(&name) {
                continue;
            }
            let chunk = self.vault.chunk(&name).await?;
            for line in String::from_utf8_lossy(&chunk).lines() {
                self.screen.show(&TaskEvent::Printed(line.to_owned()));
            }
            self.printed.insert(name);
        }
        Ok(())
    }
}

//! `claude-tasks list`: the newest tasks.

use std::time::SystemTime;

use clap::Args;
use serde_json::{Value, json};
use temporal_kms_codec_service::terminal;

use super::{
    connection::ConnectionArgs,
    exit::{CommandEnd, CommandError},
    server::ServerArgs,
};
use crate::{
    client::{KeyUse, Look, TaskClient},
    print,
    task::TaskId,
};

pub(super) const EXAMPLES: &str = "\
Examples:
  claude-tasks list
  claude-tasks list --json --limit 5
  claude-tasks list --server https://tasks.example.com

This needs no key. A task service lists the tasks of its caller.";

/// The options of `list`.
#[derive(Clone, Debug, Args)]
pub(super) struct ListArgs {
    /// The most tasks to list.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// Print one JSON object in each line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    server: ServerArgs,
}

/// Lists the newest tasks.
///
/// # Errors
/// When Temporal or the task service does not answer.
pub(super) async fn run(args: ListArgs) -> Result<CommandEnd, CommandError> {
    let limit = usize::from(args.limit);
    let tasks = if let Some(client) = args.server.client()? {
        client.list().await?
    } else {
        let client = TaskClient::connect(&args.connection.options(KeyUse::None)?).await?;
        let listed = client.list(limit, |look| look.is_task).await?;
        listed.iter().map(|(id, look)| task(id, look)).collect()
    };
    for task in tasks.iter().take(limit) {
        if args.json {
            print::line(&terminal::json(&task.to_string()));
        } else {
            let text = |name: &str| task.get(name).and_then(Value::as_str).unwrap_or("-");
            print::line(&terminal::line(&format!(
                "{}  {:<9}  {}",
                text("createdAt"),
                text("status"),
                text("taskId")
            )));
        }
    }
    Ok(CommandEnd::Done)
}

fn task(id: &TaskId, look: &Look) -> Value {
    let time = |time: Option<SystemTime>| time.map(crate::api::timestamp);
    json!({
        "taskId": id,
        "status": look.status,
        "createdAt": time(look.created),
        "completedAt": time(look.closed),
    })
}

//! Reads the log of a task at the service.

use std::time::Duration;

use reqwest::Method;
use tokio::time::timeout;

use super::{MAX_LINE, RemoteTask};
use crate::client::{chain::error_chain, error::ClientError};

/// How long the service may be silent.
const SILENCE: Duration = Duration::from_mins(1);

/// Hands each line of the log to `each`, from line `next` on. Returns the number of the line after the last one.
///
/// # Errors
/// When the task does not exist, the service cannot open its log, or the connection is lost.
pub(super) async fn read(
    task: &RemoteTask,
    next: u64,
    mut each: impl FnMut(&str),
) -> Result<u64, ClientError> {
    let lost = |problem: String| ClientError::Server { problem };
    let of_call = |error: reqwest::Error| lost(error_chain(&error.without_url()));
    let silent = |_| lost("it sends nothing".to_owned());
    let mut url = task.client.url(&["tasks", task.id.as_str(), "logs"]);
    url.set_query(Some(&format!("next={next}")));
    let call = task.client.call_url(Method::GET, url);
    let answer = timeout(SILENCE, call.send()).await.map_err(silent)?;
    let mut answer = task.long_answer(answer.map_err(of_call)?, "log").await?;
    let (mut next, mut line) = (next, Vec::new());
    while let Some(part) = timeout(SILENCE, answer.chunk())
        .await
        .map_err(silent)?
        .map_err(of_call)?
    {
        for piece in part.split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(piece);
            if line.ends_with(b"\n") {
                each(String::from_utf8_lossy(&line).trim_end_matches('\n'));
                next = next.saturating_add(1);
                line.clear();
            } else if line.len() > MAX_LINE {
                return Err(lost("a line of the log is too large".to_owned()));
            }
        }
    }
    if line.is_empty() {
        return Ok(next);
    }
    Err(lost("the log ends within a line".to_owned()))
}

//! Reads the log of a task at the service.

use std::time::Duration;

use reqwest::Method;
use tokio::time::timeout;

use super::{MAX_LINE, RemoteTask};
use crate::client::{chain::error_chain, error::ClientError};

/// How long the service may be silent.
const SILENCE: Duration = Duration::from_mins(1);
/// The last chunk of an answer. Services of earlier versions do not name it.
const LAST_CHUNK: &str = "x-log-chunk";

/// Up to where a log was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogPosition {
    /// The number of the next line.
    pub(crate) next: u64,
    /// The service's name of the last chunk that was read, so that it does not read the chunks before again.
    chunk: Option<String>,
}

/// Hands each line of the log to `each`, from a position on. Returns the position after the last line.
///
/// # Errors
/// When the task does not exist, the service cannot open its log, or the connection is lost.
pub(super) async fn read(
    task: &RemoteTask,
    from: LogPosition,
    mut each: impl FnMut(&str),
) -> Result<LogPosition, ClientError> {
    let lost = |problem: String| ClientError::Server { problem };
    let of_call = |error: reqwest::Error| lost(error_chain(&error.without_url()));
    let silent = |_| lost("it sends nothing".to_owned());
    let mut url = task.client.url(&["tasks", task.id.as_str(), "logs"]);
    url.query_pairs_mut()
        .clear()
        .append_pair("next", &from.next.to_string())
        .extend_pairs(from.chunk.iter().map(|chunk| ("chunk", chunk)));
    let call = task.client.call_url(Method::GET, url);
    let answer = timeout(SILENCE, call.send()).await.map_err(silent)?;
    let mut answer = task.long_answer(answer.map_err(of_call)?, "log").await?;
    let chunk = answer.headers().get(LAST_CHUNK);
    let chunk = chunk.and_then(|chunk| chunk.to_str().ok().map(str::to_owned));
    let (mut next, mut line) = (from.next, Vec::new());
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
        return Ok(LogPosition { next, chunk });
    }
    Err(lost("the log ends within a line".to_owned()))
}

//! Reads the log of a task at the service.

use std::time::Duration;

use reqwest::Method;
use tokio::time::{sleep, timeout};

use super::{MAX_LINE, RemoteTask, retries::Retries};
use crate::client::{chain::error_chain, error::ClientError};

/// How long the service may be silent.
const SILENCE: Duration = Duration::from_mins(1);
/// How often the service is asked for new lines.
const POLL: Duration = Duration::from_secs(2);
/// The last chunk of an answer. Services of earlier versions do not name it.
const LAST_CHUNK: &str = "x-log-chunk";

/// Hands each line of the log that is stored now to `each`. Returns how many there are.
///
/// # Errors
/// When the task does not exist, the service cannot open its log, or the connection is lost.
pub(super) async fn read(task: &RemoteTask, each: impl FnMut(&str)) -> Result<u64, ClientError> {
    let mut reader = LogReader::of(task);
    reader.read(each).await?;
    Ok(reader.next)
}

/// As [`read`], until the task ends. What fails is tried again.
///
/// # Errors
/// When another attempt would fail, too, or there were many.
pub(super) async fn follow(
    task: &RemoteTask,
    mut each: impl FnMut(&str),
) -> Result<u64, ClientError> {
    let (mut reader, mut retries) = (LogReader::of(task), Retries::default());
    loop {
        let before = reader.next;
        let read = reader.read_new(&mut each).await;
        if read.is_ok() || reader.next > before {
            retries.restart();
        }
        match read {
            Ok(true) => return Ok(reader.next),
            Ok(false) => sleep(POLL).await,
            Err(error) => retries.wait_after(error).await?,
        }
    }
}

/// A log, and up to where it was read.
struct LogReader<'a> {
    task: &'a RemoteTask,
    /// The number of the next line.
    next: u64,
    /// The service's name of the chunk before that line, so that it does not read the chunks up to it again.
    chunk: Option<String>,
}

impl<'a> LogReader<'a> {
    fn of(task: &'a RemoteTask) -> Self {
        Self {
            task,
            next: 0,
            chunk: None,
        }
    }

    /// Reads what is new. Returns whether the task has ended.
    async fn read_new(&mut self, each: impl FnMut(&str)) -> Result<bool, ClientError> {
        // The end is looked up first: lines that are stored before it are read below.
        let has_ended = !self.task.status().await?.is_open();
        self.read(each).await?;
        Ok(has_ended)
    }

    /// Reads the lines from `next` on. After an error, `next` is the line after the last one that `each` has got.
    async fn read(&mut self, mut each: impl FnMut(&str)) -> Result<(), ClientError> {
        let lost = |problem: String| ClientError::Server { problem };
        let of_call = |error: reqwest::Error| lost(error_chain(&error.without_url()));
        let silent = |_| lost("it sends nothing".to_owned());
        let task = self.task;
        let mut url = task.client.url(&["tasks", task.id.as_str(), "logs"]);
        url.query_pairs_mut()
            .clear()
            .append_pair("next", &self.next.to_string())
            .extend_pairs(self.chunk.iter().map(|chunk| ("chunk", chunk)));
        let call = task.client.call_url(Method::GET, url);
        let answer = timeout(SILENCE, call.send()).await.map_err(silent)?;
        let mut answer = task.long_answer(answer.map_err(of_call)?, "log").await?;
        let last_chunk = answer.headers().get(LAST_CHUNK);
        let last_chunk = last_chunk.and_then(|chunk| chunk.to_str().ok().map(str::to_owned));
        let mut line = Vec::new();
        while let Some(part) = timeout(SILENCE, answer.chunk())
            .await
            .map_err(silent)?
            .map_err(of_call)?
        {
            for piece in part.split_inclusive(|byte| *byte == b'\n') {
                line.extend_from_slice(piece);
                if line.ends_with(b"\n") {
                    each(String::from_utf8_lossy(&line).trim_end_matches('\n'));
                    self.next = self.next.saturating_add(1);
                    // `next` is within a chunk until the answer ends.
                    self.chunk = None;
                    line.clear();
                } else if line.len() > MAX_LINE {
                    return Err(lost("a line of the log is too large".to_owned()));
                }
            }
        }
        if !line.is_empty() {
            return Err(lost("the log ends within a line".to_owned()));
        }
        self.chunk = last_chunk;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::{super::RemoteClient, *};

    const RUNNING: &str = r#"{"status":"running"}"#;

    /// A service that gives each connection the next answer. Returns the paths that were asked for.
    async fn serve(listener: TcpListener, answers: Vec<String>) -> Vec<String> {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            asked.push(head.split(' ').nth(1).unwrap().to_owned());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        asked
    }

    /// An answer. Its body can be shorter than it says.
    fn answer(head: &str, length: usize, body: &str) -> String {
        format!("HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
    }

    fn whole(head: &str, body: &str) -> String {
        answer(head, body.len(), body)
    }

    #[tokio::test]
    async fn a_log_goes_on_after_refusals_and_lost_connections() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let busy = "503 Service Unavailable\r\nretry-after: 7";
        let answers = vec![
            whole(busy, r#"{"error":"busy"}"#),
            whole("200 OK", RUNNING),
            answer("200 OK\r\nx-log-chunk: one", 100, "a\nb\nc"),
            whole("200 OK", RUNNING),
            whole("200 OK\r\nx-log-chunk: two", "c\n"),
            whole("200 OK", RUNNING),
            whole("429 Too Many Requests\r\nretry-after: 9", "{}"),
            whole("200 OK", r#"{"status":"completed"}"#),
            whole("200 OK\r\nx-log-chunk: three", "d\n"),
        ];
        let serving = tokio::spawn(serve(listener, answers));
        let client = RemoteClient::new(url.parse().unwrap(), None).unwrap();
        let task = client.task("t".parse().unwrap());
        let (mut reader, mut lines) = (LogReader::of(&task), Vec::new());
        let mut rounds = Vec::new();
        for _ in 0..5 {
            let read = reader.read_new(|line| lines.push(line.to_owned())).await;
            rounds.push(match read {
                Ok(has_ended) => format!("{has_ended}"),
                Err(ClientError::Refused {
                    status,
                    retry_after,
                    ..
                }) => {
                    format!("{status} {:?}", retry_after.unwrap())
                }
                Err(ClientError::Server { .. }) => "lost".to_owned(),
                Err(error) => format!("{error}"),
            });
        }
        assert_eq!(rounds, ["503 7s", "lost", "false", "429 9s", "true"]);
        assert_eq!(lines, ["a", "b", "c", "d"]);
        let logs: Vec<String> = serving.await.unwrap();
        let logs: Vec<&str> = logs
            .iter()
            .filter_map(|path| path.strip_prefix("/tasks/t/logs"))
            .collect();
        assert_eq!(
            logs,
            [
                "?next=0",
                "?next=2",
                "?next=3&chunk=two",
                "?next=3&chunk=two"
            ]
        );
    }
}

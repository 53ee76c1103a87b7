//! Follows a task at the service, and goes on after a lost connection.

use std::collections::VecDeque;

use futures::{Stream, stream};
use reqwest::{Method, Response};
use serde_json::Value;

use super::{
    RemoteTask,
    retries::Retries,
    sse::{SseEvent, SseReader},
};
use crate::client::{
    chain::error_chain, error::ClientError, follow::TaskEvent, honest_event::one_line,
    task_end::TaskEnd,
};

/// The events of a task. The last one is its end, or an error.
pub(super) fn follow(
    task: RemoteTask,
) -> impl Stream<Item = Result<TaskEvent, ClientError>> + Send + use<> {
    let following = Following {
        task,
        last: None,
        stream: None,
        ready: VecDeque::new(),
        retries: Retries::default(),
    };
    stream::unfold(Some(following), |following| async {
        let mut following = following?;
        let next = following.next().await;
        let is_last = matches!(next, Ok(TaskEvent::Ended(_)) | Err(_));
        Some((next, (!is_last).then_some(following)))
    })
}

struct Following {
    task: RemoteTask,
    /// The id of the last event.
    last: Option<String>,
    stream: Option<(Response, SseReader)>,
    ready: VecDeque<TaskEvent>,
    retries: Retries,
}

impl Following {
    async fn next(&mut self) -> Result<TaskEvent, ClientError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(event);
            }
            match self.read().await {
                Ok(()) => {}
                Err(error) => {
                    self.stream = None;
                    self.retries.wait_after(error).await?;
                }
            }
        }
    }

    /// Reads the next piece of the stream.
    async fn read(&mut self) -> Result<(), ClientError> {
        let lost = |problem: String| ClientError::Server { problem };
        let (mut response, mut reader) = match self.stream.take() {
            Some(open) => open,
            None => (self.open().await?, SseReader::default()),
        };
        let part = response
            .chunk()
            .await
            .map_err(|error| lost(error_chain(&error.without_url())))?
            .ok_or_else(|| lost("the stream has ended before the task".to_owned()))?;
        let events = reader
            .read(&part)
            .map_err(|_| lost("an event is too large".to_owned()))?;
        for event in events {
            self.retries.restart();
            self.take(event);
        }
        self.stream = Some((response, reader));
        Ok(())
    }

    async fn open(&self) -> Result<Response, ClientError> {
        let id = self.task.id.as_str();
        let mut call = self.task.client.call(Method::GET, &["tasks", id, "events"]);
        if let Some(last) = &self.last {
            call = call.header("last-event-id", last);
        }
        let response = call.send().await.map_err(|error| ClientError::Server {
            problem: error_chain(&error.without_url()),
        })?;
        self.task.long_answer(response, "stream").await
    }

    fn take(&mut self, event: SseEvent) {
        let json = || serde_json::from_str::<Value>(&event.data).unwrap_or_default();
        match event.name.as_str() {
            "" => {
                self.last = event.id.or(self.last.take());
                self.ready
                    .push_back(TaskEvent::Printed(one_line(event.data)));
            }
            "missed" => {
                let event = json();
                let number = |name: &str| event.get(name).and_then(Value::as_u64).unwrap_or(0);
                let count = number("count");
                let end = number("first").saturating_add(count);
                self.last = Some(end.saturating_sub(1).to_string());
                self.ready.push_back(TaskEvent::Missed(count));
            }
            "end" => {
                if let Some(end) = TaskEnd::of_state(&self.task.id, &json()) {
                    self.ready.push_back(TaskEvent::Ended(Box::new(end)));
                }
            }
            // The end of the task follows.
            _ => {}
        }
    }
}

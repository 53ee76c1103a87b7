//! A task's events as a stream of server-sent events (HTML Living Standard, section 9.2).

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    time::{Duration, SystemTime},
};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{Stream, StreamExt as _, stream};
use http::{HeaderName, HeaderValue, header};
use serde_json::{Value, json};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::{access::Caller, clients::Client, log_gap::LogGap, task_state};
use crate::{
    client::{ClientError, EndKind, Stage, Task, TaskEnd, TaskEvent, error_chain},
    store::Vault,
    task::OWN_TYPE,
};

/// How often a silent stream shows that it is alive, so that proxies keep it open.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How often Temporal is asked again while it does not answer, and the pause between two attempts.
const ATTEMPTS: u32 = 60;
const PAUSE: Duration = Duration::from_secs(2);

/// Which events of a task are streamed, and how.
pub(super) struct Follow {
    pub(super) task: Task,
    pub(super) created: SystemTime,
    /// The number of the first event.
    pub(super) next: u64,
    /// Whether events have ids. `/run` streams what Claude Code prints, and nothing else.
    pub(super) is_resumable: bool,
    /// What the end of the connection means for the task.
    pub(super) client: Client,
    /// The store with the logs of tasks.
    pub(super) vault: Option<Vault>,
    /// Holds the caller's place.
    pub(super) caller: Caller,
    pub(super) stop: CancellationToken,
}

/// The answer, whose body follows the task.
pub(super) fn answer(follow: Follow) -> Response {
    let mut response = Response::new(Body::from_stream(events(follow)));
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache, no-store"),
        // nginx collects answers otherwise.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

type Events = Pin<Box<dyn Stream<Item = Result<TaskEvent, ClientError>> + Send>>;

/// One client that follows a task.
struct Following {
    task: Task,
    created: DateTime<Utc>,
    events: Events,
    next: u64,
    is_resumable: bool,
    ready: VecDeque<String>,
    vault: Option<Vault>,
    /// Events that the heartbeats have not carried.
    gap: Option<LogGap>,
    is_ended: bool,
    failures: u32,
    alive: Interval,
    stop: CancellationToken,
    client: Client,
    _caller: Caller,
}

fn events(follow: Follow) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    let Follow {
        task,
        created,
        next,
        is_resumable,
        client,
        vault,
        caller,
        stop,
    } = follow;
    let mut alive = interval(KEEP_ALIVE);
    alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let following = Following {
        events: Box::pin(task.follow_from(next)),
        next,
        is_resumable,
        ready: VecDeque::new(),
        vault,
        gap: None,
        is_ended: false,
        failures: 0,
        alive,
        client,
        task,
        created: created.into(),
        stop,
        _caller: caller,
    };
    stream::unfold(following, |mut following| async move {
        let text = following.next_text().await?;
        Some((Ok(Bytes::from(text)), following))
    })
}

impl Following {
    /// The next piece of the stream. `None` at its end.
    async fn next_text(&mut self) -> Option<String> {
        loop {
            if let Some(text) = self.ready.pop_front() {
                return Some(text);
            }
            if let Some(gap) = self.gap.take() {
                self.read_gap(gap).await;
                continue;
            }
            if self.is_ended {
                self.client.is_done();
                return None;
            }
            tokio::select! {
                biased;
                event = self.events.next() => match event {
                    Some(Ok(event)) => self.take(event),
                    Some(Err(error)) => self.fail(&error).await,
                    None => self.is_ended = true,
                },
                // The client asks another process, or this one after its restart.
                () = self.stop.cancelled() => return None,
                _ = self.alive.tick() => return Some(": alive\n\n".to_owned()),
            }
        }
    }

    fn take(&mut self, event: TaskEvent) {
        self.failures = 0;
        match event {
            TaskEvent::Printed(json) => self.print(&json),
            TaskEvent::Missed(count) => {
                let (task, end) = (self.task.id().clone(), self.next.saturating_add(count));
                match self.vault.clone() {
                    Some(vault) => self.gap = Some(LogGap::before(vault, task, self.created, end)),
                    None => self.miss(end),
                }
            }
            TaskEvent::Stage(stage) => self.note(match stage {
                Stage::Running => "the task runs",
                Stage::WaitingForPlace => "the task waits for a place at a worker",
                _ => "the task waits for a worker",
            }),
            TaskEvent::AttemptFailed { .. } => {
                self.note("the task could not begin; it is tried again");
            }
            TaskEvent::NoWorker => self.note("no worker runs"),
            TaskEvent::WorkerLost => self.note("the task's worker is lost"),
            TaskEvent::Unreadable(problem) => {
                tracing::warn!(task = %self.task.id(), problem, "cannot read the task's events");
            }
            TaskEvent::Ended(end) => self.end(&end),
        }
    }

    fn print(&mut self, json: &str) {
        let id = self.id();
        self.next = self.next.saturating_add(1);
        self.ready.push_back(format!("{id}data: {json}\n\n"));
    }

    /// Reads events from the log. Those that are not there are missed.
    async fn read_gap(&mut self, mut gap: LogGap) {
        match gap.read(self.next).await {
            Ok(found) if found.is_empty() && gap.may_wait() => sleep(PAUSE).await,
            Ok(found) if found.is_empty() => return self.miss(gap.end()),
            Ok(found) => found.iter().for_each(|json| self.print(json)),
            Err(error) => {
                tracing::warn!(task = %self.task.id(), %error, "cannot read the log of a task");
                return self.miss(gap.end());
            }
        }
        if self.next < gap.end() {
            self.gap = Some(gap);
        }
    }

    /// Tells that the events before `end` are missing.
    fn miss(&mut self, end: u64) {
        let (first, count) = (self.next, end.saturating_sub(self.next));
        self.next = end;
        let event =
            json!({"type": OWN_TYPE, "subtype": "events_missed", "first": first, "count": count});
        let name = if self.is_resumable {
            "event: missed\n"
        } else {
            ""
        };
        self.ready.push_back(format!("{name}data: {event}\n\n"));
    }

    /// The id of the next event.
    fn id(&self) -> String {
        if self.is_resumable {
            format!("id: {}\n", self.next)
        } else {
            String::new()
        }
    }

    /// A comment, which clients skip.
    fn note(&mut self, text: &str) {
        self.ready.push_back(format!(": {text}\n\n"));
    }

    fn end(&mut self, end: &TaskEnd) {
        self.is_ended = true;
        match end.kind() {
            EndKind::Completed => {}
            EndKind::Failed => {
                let problem = end.problem().unwrap_or("the task failed");
                self.push("error", &json!({"error": problem}));
            }
            EndKind::Cancelled => {
                self.push("cancelled", &json!({"message": "Task cancelled by user"}));
            }
        }
        if self.is_resumable {
            let state = task_state::of_end(self.task.id(), end);
            self.push("end", &state);
        }
    }

    fn push(&mut self, name: &str, data: &Value) {
        self.ready
            .push_back(format!("event: {name}\ndata: {data}\n\n"));
    }

    /// Follows again from where the stream is, unless the task cannot be followed at all.
    async fn fail(&mut self, error: &ClientError) {
        self.failures += 1;
        let problem = error_chain(error);
        tracing::warn!(task = %self.task.id(), problem, "cannot follow a task");
        if !matches!(error, ClientError::Unreachable { .. }) || self.failures > ATTEMPTS {
            self.is_ended = true;
            let data =
                json!({"error": "the events of the task cannot be read now; the task continues"});
            return self.push("error", &data);
        }
        sleep(PAUSE).await;
        self.events = Box::pin(self.task.follow_from(self.next));
    }
}

//! A task's events as a stream of server-sent events (HTML Living Standard, section 9.2).

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use http::{HeaderName, HeaderValue, header};
use serde_json::{Value, json};
use temporal_kms_codec_service::request_id::RequestId;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

use super::{
    access::Caller,
    app::App,
    chunk_fetch::{ChunkFetch, Fetched, Reader},
    clients::Client,
    held_chunk::HeldChunk,
    logged::{Gap, LoggedEvents},
    task_state,
};
use crate::{
    client::{ClientError, EndKind, Stage, Task, TaskEnd, TaskEvent, error_chain},
    task::{Event, OWN_TYPE},
};

/// How often a silent stream shows that it is alive, so that proxies keep it open.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const ALIVE: &str = ": alive\n\n";
/// How often Temporal is asked again while it does not answer, and the pause between two attempts.
const ATTEMPTS: u32 = 60;
const PAUSE: Duration = Duration::from_secs(2);

/// Which events of a task are streamed, and how.
pub(super) struct Follow {
    pub(super) app: Arc<App>,
    pub(super) task: Task,
    pub(super) created: SystemTime,
    /// The number of the first event.
    pub(super) next: u64,
    /// Whether events have ids. `/run` streams what Claude Code prints, and nothing else.
    pub(super) is_resumable: bool,
    /// What the end of the connection means for the task.
    pub(super) client: Client,
    /// Holds the caller's place.
    pub(super) caller: Caller,
    /// The request that calls of keys are for.
    pub(super) request: RequestId,
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
    app: Arc<App>,
    task: Task,
    events: Events,
    /// The number of the next event of the stream.
    next: u64,
    /// The number of the next event of `events`. The log can be ahead of it.
    next_of_heartbeats: u64,
    is_resumable: bool,
    ready: VecDeque<String>,
    /// The log, while nothing is fetched from it.
    log: Option<LoggedEvents>,
    /// The next chunk of the log, while it is fetched, and for whom.
    fetch: Option<ChunkFetch>,
    reader: Reader,
    /// Events of the log that are not streamed yet.
    chunk: Option<HeldChunk>,
    /// Events that the heartbeats have not carried.
    gap: Option<Gap>,
    /// The end, which is told after the last events.
    end: Option<Box<TaskEnd>>,
    is_ended: bool,
    failures: u32,
    alive: Interval,
    client: Client,
    /// Holds the caller's place.
    _caller: Caller,
}

fn events(follow: Follow) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    let Follow {
        app,
        task,
        created,
        next,
        is_resumable,
        client,
        caller,
        request,
    } = follow;
    let audit = app.audit.clone();
    let vault = app.client.vault().cloned();
    let mut alive = interval(KEEP_ALIVE);
    alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let following = Following {
        events: Box::pin(task.follow_from(next)),
        next,
        next_of_heartbeats: next,
        is_resumable,
        ready: VecDeque::new(),
        log: vault.map(|vault| LoggedEvents::new(vault, task.id().clone(), created.into())),
        fetch: None,
        reader: Reader {
            places: Arc::clone(&app.streams),
            caller: caller.id().cloned(),
            audit: audit.clone(),
            request,
        },
        chunk: None,
        gap: None,
        end: None,
        is_ended: false,
        failures: 0,
        alive,
        client,
        app,
        task,
        _caller: caller,
    };
    stream::unfold(
        (following, audit),
        move |(mut following, audit)| async move {
            let text = audit.within(request, following.next_text()).await?;
            Some((Ok(Bytes::from(text)), (following, audit)))
        },
    )
}

impl Following {
    /// The next piece of the stream. `None` at its end.
    async fn next_text(&mut self) -> Option<String> {
        loop {
            if let Some(text) = self.ready.pop_front() {
                return Some(text);
            }
            if let Some(json) = self.next_of_chunk() {
                self.print(&json);
                continue;
            }
            if let Some(fetch) = &mut self.fetch {
                tokio::select! {
                    biased;
                    fetched = fetch => self.take_fetched(fetched),
                    () = self.app.stop.cancelled() => return None,
                    _ = self.alive.tick() => return Some(ALIVE.to_owned()),
                }
                continue;
            }
            if let Some(gap) = self.gap.take() {
                self.fetch(gap, Duration::ZERO);
                continue;
            }
            if let Some(end) = self.end.take() {
                self.end(&end);
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
                () = self.app.stop.cancelled() => return None,
                _ = self.alive.tick() => return Some(ALIVE.to_owned()),
            }
        }
    }

    fn take(&mut self, event: TaskEvent) {
        self.failures = 0;
        match event {
            TaskEvent::Printed(json) => self.take_printed(json),
            TaskEvent::Missed(count) => {
                self.need(self.next_of_heartbeats.saturating_add(count));
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
            TaskEvent::Ended(end) => {
                let events = end.result().map_or(0, |result| result.events);
                self.need(events);
                self.end = Some(end);
            }
        }
    }

    /// Streams an event of a heartbeat, unless the log has told it already. A large one is only announced there.
    fn take_printed(&mut self, json: String) {
        let number = self.next_of_heartbeats;
        self.next_of_heartbeats = number.saturating_add(1);
        if number < self.next {
            return;
        }
        if self.log.is_some() && Event::is_announced(&json) {
            self.gap = Some(Gap::of_announced(self.next_of_heartbeats, json));
        } else {
            self.print(&json);
        }
    }

    /// Takes the events before `end` from the log. Without a log they are missed.
    fn need(&mut self, end: u64) {
        self.next_of_heartbeats = self.next_of_heartbeats.max(end);
        if end <= self.next {
            return;
        }
        if self.log.is_some() {
            self.gap = Some(Gap::before(end));
        } else {
            self.miss(end);
        }
    }

    fn print(&mut self, json: &str) {
        let id = self.id();
        self.next = self.next.saturating_add(1);
        self.ready.push_back(format!("{id}data: {json}\n\n"));
    }

    /// The next event of the log that is in memory. The memory of a client that reads slowly is given to others, and the log is
    /// read again.
    fn next_of_chunk(&mut self) -> Option<String> {
        let chunk = self.chunk.as_mut()?;
        let json = chunk.next();
        if json.is_none()
            && chunk.is_left()
            && let Some(log) = &mut self.log
        {
            log.again();
        }
        if json.is_none() || !chunk.is_left() {
            self.chunk = None;
        }
        json
    }

    /// Begins to fetch the next events of a gap.
    fn fetch(&mut self, gap: Gap, pause: Duration) {
        if gap.end <= self.next {
            return;
        }
        let Some(log) = self.log.take() else {
            return self.give_up(gap);
        };
        let reader = self.reader.clone();
        self.fetch = Some(ChunkFetch::begin(reader, log, self.next, pause));
        self.gap = Some(gap);
    }

    fn take_fetched(&mut self, fetched: Option<Fetched>) {
        self.fetch = None;
        let Some(mut gap) = self.gap.take() else {
            return;
        };
        let Some(Fetched { log, chunk, took }) = fetched else {
            return self.give_up(gap);
        };
        self.log = Some(log);
        match chunk {
            Ok(Some(chunk)) => {
                gap.found();
                self.chunk = Some(chunk);
                self.gap = Some(gap);
                return;
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(task = %self.task.id(), %error, "cannot read the log of a task");
                if error.is_final() {
                    return self.give_up(gap);
                }
            }
        }
        if gap.missed_for(took) {
            self.fetch(gap, PAUSE);
        } else {
            self.give_up(gap);
        }
    }

    /// Goes on without the events of a gap.
    fn give_up(&mut self, gap: Gap) {
        match gap.announcement {
            Some(announcement) => self.print(&announcement),
            None => self.miss(gap.end),
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
        self.next_of_heartbeats = self.next;
        self.events = Box::pin(self.task.follow_from(self.next));
    }
}

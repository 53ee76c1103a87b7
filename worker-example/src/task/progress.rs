//! How a task's events reach whoever follows it: the newest ones travel in the activity's heartbeat,
//! encrypted like every payload, and are replaced by the next heartbeat. Nothing of it grows the
//! workflow's history, and the follower needs no connection to the worker.

use crate::{claude::Event, json_size, task_id::TaskId};
use serde::{Deserialize, Serialize};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// A heartbeat carries at most so many bytes of events, as JSON has them: quotes within an event count twice.
const WINDOW_BYTES: usize = 256 * 1024;
/// A larger event is announced only; the log has it.
const EVENT_BYTES: usize = 32 * 1024;
/// What was published so long ago has been seen by everybody who looks.
const KEPT: Duration = Duration::from_secs(10);

/// What a heartbeat says: the events `first .. first + events.len()` of the task, and totals. It names its task: a copy in
/// another task is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// The task.
    #[serde(default)]
    pub task_id: String,
    /// The number of the first event in `events`; events count from 0.
    pub first: u64,
    /// The newest events, each one line of JSON exactly as it stands in the log.
    pub events: Vec<String>,
    /// How many bytes the CLI has printed.
    pub bytes: u64,
}

impl Progress {
    /// That of a task which begins.
    pub(crate) fn of(task: &TaskId) -> Self {
        let task_id = task.to_string();
        Self {
            task_id,
            ..Self::default()
        }
    }

    /// Whether it was written for this task.
    pub(crate) fn is_of(&self, task: &str) -> bool {
        self.task_id == task
    }

    /// How many events there have been.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.first.saturating_add(self.events.len() as u64)
    }
}

/// The worker's side: keeps the newest events, bounded in bytes and age.
#[derive(Debug, Default)]
pub(crate) struct Window {
    task_id: String,
    entries: VecDeque<Entry>,
    first: u64,
    size: usize,
    unpublished: usize,
    bytes: u64,
}

#[derive(Debug)]
struct Entry {
    json: String,
    size: usize,
    published: Option<Instant>,
}

impl Window {
    /// Empty, for a task.
    pub(crate) fn of(task: &TaskId) -> Self {
        let task_id = task.to_string();
        Self {
            task_id,
            ..Self::default()
        }
    }

    /// Whether a heartbeat should go out before its time, so that followers miss less.
    pub(crate) fn is_filling(&self) -> bool {
        self.unpublished >= WINDOW_BYTES / 2
    }

    /// Adds an event; `bytes` is what the CLI printed for it. The task never waits for those who follow it: when
    /// events come faster than heartbeats carry them, the oldest are dropped, and followers are told how many.
    pub(crate) fn push(&mut self, event: &Event, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        let size = json_size::of(&event.json);
        let (json, size) = if size > EVENT_BYTES {
            let announced = Event::left_out(&event.kind, event.json.len() as u64, true).json;
            let size = json_size::of(&announced);
            (announced, size)
        } else {
            (event.json.clone(), size)
        };
        self.size += size;
        self.unpublished += size;
        self.entries.push_back(Entry {
            json,
            size,
            published: None,
        });
        while self.size > WINDOW_BYTES && self.drop_first() {}
    }

    /// What the next heartbeat is to say.
    pub(crate) fn publish(&mut self, now: Instant) -> Progress {
        let old = |entry: &Entry| {
            entry
                .published
                .is_some_and(|at| now.duration_since(at) > KEPT)
        };
        while self.entries.front().is_some_and(old) && self.drop_first() {}
        for entry in &mut self.entries {
            entry.published.get_or_insert(now);
        }
        self.unpublished = 0;
        Progress {
            task_id: self.task_id.clone(),
            first: self.first,
            events: self
                .entries
                .iter()
                .map(|entry| entry.json.clone())
                .collect(),
            bytes: self.bytes,
        }
    }

    fn drop_first(&mut self) -> bool {
        let Some(entry) = self.entries.pop_front() else {
            return false;
        };
        self.size -= entry.size;
        if entry.published.is_none() {
            self.unpublished -= entry.size;
        }
        self.first += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(json: &str) -> Event {
        Event::parse(json)
    }

    #[test]
    fn publishes_until_everybody_has_seen_it() {
        let start = Instant::now();
        let mut window = Window::default();
        window.push(&event(r#"{"type":"a"}"#), 12);
        let first = window.publish(start);
        assert_eq!((first.first, first.total(), first.bytes), (0, 1, 12));
        window.push(&event(r#"{"type":"b"}"#), 12);
        assert_eq!(
            window.publish(start + Duration::from_secs(5)).events.len(),
            2
        );
        let later = window.publish(start + Duration::from_secs(11));
        assert_eq!(
            (later.first, later.events),
            (1, vec![r#"{"type":"b"}"#.to_owned()])
        );
    }

    #[test]
    fn drops_the_oldest_and_keeps_counting() {
        let mut window = Window::default();
        // Quotes and backslashes double, control characters become six bytes.
        let events = [r#"{"type":"user","x":""}"#, r#"{"x":"\\\"\u0007"}"#];
        let mut pushed = 0_u64;
        while pushed < 100_000 {
            let json = events[usize::from(pushed.is_multiple_of(2))];
            window.push(&event(json), 1);
            pushed += 1;
        }
        assert!(window.is_filling());
        let progress = window.publish(Instant::now());
        assert_eq!((progress.total(), progress.bytes), (pushed, pushed));
        let encoded = serde_json::to_vec(&progress).unwrap().len();
        assert!(
            (WINDOW_BYTES / 2..=WINDOW_BYTES * 6 / 5).contains(&encoded),
            "{encoded}"
        );
        assert!(!window.is_filling(), "everything is published");
    }

    #[test]
    fn forged_numbers_do_not_overflow() {
        let forged = Progress {
            task_id: String::new(),
            first: u64::MAX,
            events: vec![String::new(); 3],
            bytes: u64::MAX,
        };
        assert_eq!(forged.total(), u64::MAX);
    }

    #[test]
    fn announces_what_is_too_large() {
        let mut window = Window::default();
        window.push(
            &event(&format!(
                r#"{{"type":"user","x":"{}"}}"#,
                "x".repeat(EVENT_BYTES)
            )),
            1,
        );
        let progress = window.publish(Instant::now());
        assert!(
            progress.events[0].contains("event_left_out"),
            "{:?}",
            progress.events
        );
        assert!(progress.events[0].contains(r#""event_type":"user""#));
    }
}

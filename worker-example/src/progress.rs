//! How a task's events reach whoever follows it: the newest ones travel in the activity's heartbeat,
//! encrypted like every payload, and are replaced by the next heartbeat. Nothing of it grows the
//! workflow's history, and the follower needs no connection to the worker.

use crate::claude::Event;
use serde::{Deserialize, Serialize};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// A heartbeat carries at most so many bytes of events.
const WINDOW_BYTES: usize = 128 * 1024;
/// A larger event is announced only; the log has it.
const EVENT_BYTES: usize = 32 * 1024;
/// What was published so long ago has been seen by everybody who looks.
const KEPT: Duration = Duration::from_secs(10);

/// What a heartbeat says: the events `first .. first + events.len()` of the task, and totals.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// The number of the first event in `events`; events count from 0.
    pub first: u64,
    /// The newest events, each one line of JSON exactly as it stands in the log.
    pub events: Vec<String>,
    /// How many bytes the CLI has printed.
    pub bytes: u64,
}

impl Progress {
    /// How many events there have been.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.first + self.events.len() as u64
    }
}

/// The worker's side: keeps the newest events, bounded in bytes and age.
#[derive(Debug, Default)]
pub(crate) struct Window {
    entries: VecDeque<Entry>,
    first: u64,
    size: usize,
    unpublished: usize,
    bytes: u64,
}

#[derive(Debug)]
struct Entry {
    json: String,
    published: Option<Instant>,
}

impl Window {
    /// Whether another event fits without dropping one that was never published. The CLI is made to
    /// wait for the next heartbeat where not.
    pub(crate) fn has_room(&self) -> bool {
        self.unpublished + EVENT_BYTES <= WINDOW_BYTES
    }

    /// Adds an event; `bytes` is what the CLI printed for it.
    pub(crate) fn push(&mut self, event: &Event, bytes: u64) {
        self.bytes += bytes;
        let json = if event.json.len() > EVENT_BYTES {
            Event::left_out(&event.kind, event.json.len() as u64).json
        } else {
            event.json.clone()
        };
        self.size += json.len();
        self.unpublished += json.len();
        self.entries.push_back(Entry {
            json,
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
        self.size -= entry.json.len();
        if entry.published.is_none() {
            self.unpublished -= entry.json.len();
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
    fn holds_its_bounds_and_keeps_counting() {
        let mut window = Window::default();
        let large = format!(
            r#"{{"type":"user","x":"{}"}}"#,
            "x".repeat(EVENT_BYTES - 100)
        );
        let mut pushed = 0;
        while window.has_room() {
            window.push(&event(&large), 1);
            pushed += 1;
        }
        assert!(pushed >= 3, "{pushed}");
        for _ in 0..10 {
            window.push(&event(&large), 1);
        }
        let progress = window.publish(Instant::now());
        assert_eq!(progress.total(), pushed + 10);
        assert!(progress.events.iter().map(String::len).sum::<usize>() <= WINDOW_BYTES);
        assert!(window.has_room(), "everything is published");
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

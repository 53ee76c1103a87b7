//! The newest events of a running task, which the next heartbeat will carry.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::task::{Event, Progress, TaskId, json_length};

/// The most bytes of events in one heartbeat, counted as JSON strings: a quote within an event counts twice.
const WINDOW_BYTES: usize = 256 * 1024;
/// A larger event is only announced. The log has the event itself.
const EVENT_BYTES: usize = 32 * 1024;
/// How long heartbeats repeat an event. Every follower has seen it by then.
const KEPT: Duration = Duration::from_secs(10);

/// The newest events of a task, bounded in bytes and age.
#[derive(Debug)]
pub(crate) struct EventWindow {
    task: TaskId,
    entries: VecDeque<Entry>,
    first: u64,
    size: usize,
    unpublished: usize,
    bytes: u64,
    turns: u64,
    cost_usd: Option<f64>,
    errors: u64,
}

#[derive(Debug)]
struct Entry {
    json: String,
    size: usize,
    published: Option<Instant>,
}

impl EventWindow {
    /// An empty window for a task.
    pub(crate) fn new(task: &TaskId) -> Self {
        Self {
            task: task.clone(),
            entries: VecDeque::new(),
            first: 0,
            size: 0,
            unpublished: 0,
            bytes: 0,
            turns: 0,
            cost_usd: None,
            errors: 0,
        }
    }

    /// Whether a heartbeat should be sent early, so that followers miss fewer events.
    pub(crate) fn is_filling(&self) -> bool {
        self.unpublished >= WINDOW_BYTES / 2
    }

    /// Adds an event. `bytes` is the length of what Claude Code printed for it. A task never waits for its followers: when
    /// events come faster than heartbeats can carry them, the oldest are dropped, and followers learn how many.
    pub(crate) fn push(&mut self, event: &Event, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.count(event);
        let size = json_length(&event.json);
        let (json, size) = if size > EVENT_BYTES {
            let announced = Event::left_out(&event.kind, event.json.len() as u64, true).json;
            let size = json_length(&announced);
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

    /// The details of the next heartbeat.
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
        let events = self.entries.iter().map(|entry| entry.json.clone());
        let mut progress = Progress::new(&self.task, self.first, events.collect(), self.bytes);
        (progress.turns, progress.cost_usd, progress.errors) =
            (self.turns, self.cost_usd, self.errors);
        progress
    }

    /// Claude Code tells the turns and the cost in its result. Until then, each message of Claude counts as a turn.
    fn count(&mut self, event: &Event) {
        match (&event.result, event.kind.as_str()) {
            (Some(result), _) => {
                self.turns = result.num_turns.unwrap_or(self.turns);
                self.cost_usd = result.total_cost_usd.or(self.cost_usd);
                self.errors += u64::from(result.is_error);
            }
            (None, "assistant") => self.turns += 1,
            (None, "error") => self.errors += 1,
            _ => {}
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

    fn window() -> EventWindow {
        EventWindow::new(&"t".parse().unwrap())
    }

    #[test]
    fn publishes_until_everybody_has_seen_it() {
        let start = Instant::now();
        let mut window = window();
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
        let mut window = window();
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
    fn announces_what_is_too_large() {
        let mut window = window();
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

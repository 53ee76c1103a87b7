//! Where a payload is in its document.

use super::key::Key;

/// Where a payload is in its document, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundAt {
    /// The names and indices of the containers around it, such as `events[2].input.payloads[0]`. Empty at the top.
    pub path: String,
    /// The `eventId` of the history event that it belongs to.
    pub event_id: Option<u64>,
    /// The `eventTime` of that event, where it comes before the payload.
    pub event_time: Option<String>,
}

/// An event of a history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryEvent {
    /// `eventId`.
    pub id: u64,
    /// `eventType`, such as `EVENT_TYPE_WORKFLOW_EXECUTION_STARTED`.
    pub kind: Option<String>,
    /// `eventTime`, in the form of RFC 3339.
    pub time: Option<String>,
}

/// Where a container's current entry is.
#[derive(Default)]
pub(super) struct Place {
    /// The text of the key in an object.
    pub(super) name: String,
    /// The number of the entry.
    pub(super) index: usize,
    pub(super) event: Option<HistoryEvent>,
}

impl Place {
    /// Notes a field of a history event. Its id comes first.
    pub(super) fn note(&mut self, key: Key, value: &[u8]) {
        /// Longer than any type or time.
        const MOST: usize = 128;
        let value = std::str::from_utf8(value).unwrap_or_default();
        let value = value.trim_matches('"');
        let text = || Some(value.to_owned()).filter(|value| value.len() <= MOST);
        match (key, &mut self.event) {
            (Key::EventId, event) => {
                *event = value.parse().ok().map(|id| HistoryEvent {
                    id,
                    ..HistoryEvent::default()
                });
            }
            (Key::EventType, Some(event)) => event.kind = text(),
            (Key::EventTime, Some(event)) => event.time = text(),
            _ => {}
        }
    }
}

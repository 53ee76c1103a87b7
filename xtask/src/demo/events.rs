//! Reads a stream of server-sent events.

use serde_json::Value;

/// One event.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Event {
    pub(super) id: Option<u64>,
    /// Empty for an event without a name.
    pub(super) name: String,
    pub(super) data: String,
}

impl Event {
    /// The data as JSON, or null.
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_default()
    }

    /// What Claude Code calls it, such as `assistant`.
    pub(super) fn kind(&self) -> String {
        let json = self.json();
        let kind = json.get("type").and_then(Value::as_str);
        kind.unwrap_or_default().to_owned()
    }

    /// The event in one line.
    pub(super) fn shown(&self) -> String {
        match self.id {
            Some(id) => format!("{id:>2} {}", self.data),
            None => format!("{} {}", self.name, self.data),
        }
    }
}

/// The events in lines.
pub(super) struct Events<L>(L);

impl<L> Events<L> {
    pub(super) fn new(lines: L) -> Self {
        Self(lines)
    }
}

impl<L: Iterator<Item = anyhow::Result<String>>> Iterator for Events<L> {
    type Item = anyhow::Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut event = Event::default();
        for line in self.0.by_ref() {
            let line = match line {
                Ok(line) => line,
                Err(error) => return Some(Err(error)),
            };
            match line.split_once(": ") {
                Some(("id", id)) => event.id = id.parse().ok(),
                Some(("event", name)) => name.clone_into(&mut event.name),
                Some(("data", data)) => event.data.push_str(data),
                // An empty line ends an event. Comments have no event.
                _ if line.is_empty() && event != Event::default() => return Some(Ok(event)),
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_told_from_comments() {
        let text = ": the task runs\n\nid: 0\ndata: {\"a\":1}\n\n: alive\n\nevent: end\ndata: {}\n\ndata: cut";
        let lines = text.lines().map(|line| Ok(line.to_owned()));
        let events: Vec<Event> = Events::new(lines).map(Result::unwrap).collect();
        let [first, end] = events.try_into().unwrap();
        assert_eq!((first.id, first.json()["a"].as_u64()), (Some(0), Some(1)));
        assert_eq!((end.id, end.name.as_str()), (None, "end"));
    }
}

//! Reads server-sent events from pieces of bytes.

use super::MAX_LINE;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SseEvent {
    /// The name; empty for a message.
    pub(super) name: String,
    pub(super) data: String,
    pub(super) id: Option<String>,
}

/// A line is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// Collects bytes until an event is complete.
#[derive(Debug, Default)]
pub(super) struct SseReader {
    line: Vec<u8>,
    event: SseEvent,
    has_data: bool,
}

impl SseReader {
    /// The events that are complete with these bytes.
    ///
    /// # Errors
    /// When a line is too long.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<Vec<SseEvent>, TooLong> {
        let mut events = Vec::new();
        for byte in bytes {
            match byte {
                b'\n' => {
                    let line = std::mem::take(&mut self.line);
                    let line = String::from_utf8_lossy(&line);
                    events.extend(self.take(line.trim_end_matches('\r')));
                }
                _ if self.line.len() + self.event.data.len() >= MAX_LINE => return Err(TooLong),
                byte => self.line.push(*byte),
            }
        }
        Ok(events)
    }

    fn take(&mut self, line: &str) -> Option<SseEvent> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "id" => self.event.id = Some(value.to_owned()),
            "data" => {
                if self.has_data {
                    self.event.data.push('\n');
                }
                self.has_data = true;
                self.event.data.push_str(value);
            }
            // A comment, or a field of a later version.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_complete_at_its_empty_line() {
        let mut reader = SseReader::default();
        assert_eq!(reader.read(b": note\n\nid: 4\nda").unwrap(), []);
        let events = reader
            .read(b"ta: {\"a\":1}\n\nevent: end\r\ndata: x\ndata: y\r\n\r\n")
            .unwrap();
        assert_eq!(events.len(), 2);
        assert_eq!(
            (events[0].id.as_deref(), events[0].data.as_str()),
            (Some("4"), "{\"a\":1}")
        );
        assert_eq!(
            (events[1].name.as_str(), events[1].data.as_str()),
            ("end", "x\ny")
        );
        assert_eq!(reader.read(&vec![b'x'; MAX_LINE + 1]), Err(TooLong));
    }
}

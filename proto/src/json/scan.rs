//! Finds the objects of a JSON text that have the shape of a payload, in one pass and without recursion.

use std::ops::Range;

use base64::Engine as _;

use super::base64::{STANDARD, URL_SAFE};

/// Deeper than any history. Each open level takes memory.
pub(super) const MAX_DEPTH: usize = 10_000;

/// The objects with the shape of a payload, in order. An object inside of another is part of it.
///
/// [`find_payloads`](super::find_payloads) says what the shape is. `text` must be valid JSON.
///
/// # Errors
/// The offset at which `text` is nested too deeply.
pub(super) fn payload_shapes(text: &str) -> Result<Vec<Range<usize>>, usize> {
    let mut shapes = Shapes::default();
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'{' | b'[' if shapes.depth() >= MAX_DEPTH => return Err(at),
            b'{' | b'[' => shapes.open(at, byte == b'{'),
            b'}' | b']' => shapes.close(at + 1),
            b'"' => {
                let end = end_of_string(&mut bytes).unwrap_or(text.len());
                shapes.string(text.as_bytes().get(at..end).unwrap_or_default());
            }
            b',' => shapes.next_entry(),
            b'n' => shapes.scalar(b"null"),
            b't' | b'f' | b'-' | b'0'..=b'9' => shapes.scalar(b""),
            _ => {}
        }
    }
    Ok(shapes.found.into_iter().map(|found| found.range).collect())
}

/// Whether `encoding` is the name of an encoding in base64. Tools that show histories to people write the name without
/// base64.
fn is_encoding(encoding: &str) -> bool {
    let name = STANDARD
        .decode(encoding)
        .or_else(|_| URL_SAFE.decode(encoding));
    name.is_ok_and(|name| !name.is_empty() && name.iter().all(u8::is_ascii_graphic))
}

/// The containers that are open at one place of a JSON text, and the payloads that were found before it. It is told each
/// token in order.
#[derive(Default)]
pub(super) struct Shapes {
    open: Vec<Container>,
    pub(super) found: Vec<Shape>,
    /// The last history event that was closed.
    pub(super) last_event: Option<HistoryEvent>,
    /// How many objects had the shape of a payload and were ruled out, since this was asked for.
    too_long: usize,
    /// Whether to note where payloads are.
    tracks_places: bool,
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

/// An object that has the shape of a payload.
pub(super) struct Shape {
    pub(super) range: Range<usize>,
    pub(super) place: FoundAt,
}

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

/// An object or a list that is not closed yet.
struct Container {
    start: usize,
    is_object: bool,
    /// The key whose value comes next; `None` where a key comes next.
    key: Option<Key>,
    /// The container holds only strings and nulls.
    is_flat: bool,
    fields: Fields,
    length: Length,
    place: Place,
}

/// Whether an object is too long for a payload.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    /// It may be a payload.
    Fits,
    /// It is too long, and nothing of a payload was in it so far.
    TooLong,
    /// It is too long, and counted as a payload that was ruled out.
    Counted,
}

/// Where a container's current entry is.
#[derive(Default)]
struct Place {
    /// The text of the key in an object.
    name: String,
    /// The number of the entry.
    index: usize,
    event: Option<HistoryEvent>,
}

/// The parts of an object that were found so far.
#[derive(Default)]
struct Fields {
    encoding: bool,
    metadata: bool,
    other_data: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Metadata,
    Data,
    Encoding,
    EventId,
    EventType,
    EventTime,
    Other,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Value<'t> {
    Null,
    /// With its quotes.
    Text(&'t [u8]),
    Number(&'t [u8]),
    /// An object of strings and nulls with an `encoding`.
    Metadata,
    Other,
}

impl Place {
    /// Notes a field of a history event. Its id comes first.
    fn note(&mut self, key: Key, value: &[u8]) {
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

impl Container {
    fn new(start: usize, is_object: bool) -> Self {
        Self {
            start,
            is_object,
            key: None,
            is_flat: true,
            fields: Fields::default(),
            length: Length::Fits,
            place: Place::default(),
        }
    }

    fn is_payload(&self) -> bool {
        self.length == Length::Fits && self.has_shape()
    }

    fn has_shape(&self) -> bool {
        self.is_object && self.fields.metadata && !self.fields.other_data
    }
}

impl Shapes {
    /// Notes the place of each payload too.
    pub(super) fn with_places() -> Self {
        Self {
            tracks_places: true,
            ..Self::default()
        }
    }

    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// Whether a key comes next.
    pub(super) fn expects_key(&self) -> bool {
        let open = self.open.last();
        open.is_some_and(|container| container.is_object && container.key.is_none())
    }

    /// Whether the innermost container is an object; `None` outside of all containers.
    pub(super) fn is_in_object(&self) -> Option<bool> {
        self.open.last().map(|container| container.is_object)
    }

    /// The start of the outermost object that may become a payload.
    pub(super) fn first_candidate(&self) -> Option<usize> {
        let mut open = self.open.iter();
        open.find(|container| container.is_object && container.length == Length::Fits)
            .map(|container| container.start)
    }

    /// Rules out the objects that begin before `at`.
    pub(super) fn rule_out_before(&mut self, at: usize) {
        let open = self.open.iter_mut();
        for container in open.take_while(|container| container.start < at) {
            if container.is_payload() {
                container.length = Length::Counted;
                self.too_long += 1;
            } else if container.length == Length::Fits {
                container.length = Length::TooLong;
            }
        }
    }

    /// How many objects with the shape of a payload were ruled out since the last call.
    pub(super) fn take_too_long(&mut self) -> usize {
        std::mem::take(&mut self.too_long)
    }

    pub(super) fn open(&mut self, at: usize, is_object: bool) {
        self.open.push(Container::new(at, is_object));
    }

    /// A key or a value, with its quotes.
    pub(super) fn string(&mut self, quoted: &[u8]) {
        match self.open.last_mut() {
            Some(container) if container.is_object && container.key.is_none() => {
                let name = Unquoted::of(quoted);
                container.key = Some(name.key());
                if self.tracks_places {
                    container.place.name.clear();
                    container.place.name.push_str(name.shown());
                }
            }
            _ => self.value(Value::Text(quoted)),
        }
    }

    /// A number, `true`, `false` or `null`.
    pub(super) fn scalar(&mut self, text: &[u8]) {
        self.value(match text {
            b"null" => Value::Null,
            number => Value::Number(number),
        });
    }

    /// A value of the container that is currently open.
    fn value(&mut self, value: Value<'_>) {
        let Some(container) = self.open.last_mut() else {
            return;
        };
        container.is_flat &= matches!(value, Value::Null | Value::Text(_));
        match (container.key, value) {
            (Some(Key::Encoding), Value::Text(quoted)) => {
                let encoding = serde_json::from_slice::<String>(quoted).unwrap_or_default();
                container.fields.encoding = is_encoding(&encoding);
            }
            (Some(Key::Metadata), value) => container.fields.metadata = value == Value::Metadata,
            (Some(Key::Data), value) => {
                container.fields.other_data = !matches!(value, Value::Null | Value::Text(_));
            }
            (
                Some(key @ (Key::EventId | Key::EventType | Key::EventTime)),
                Value::Text(text) | Value::Number(text),
            ) if self.tracks_places => container.place.note(key, text),
            _ => {}
        }
    }

    pub(super) fn next_entry(&mut self) {
        if let Some(container) = self.open.last_mut() {
            container.key = None;
            container.place.index += 1;
        }
    }

    pub(super) fn close(&mut self, end: usize) {
        let Some(closed) = self.open.pop() else {
            return;
        };
        if let Some(event) = &closed.place.event {
            self.last_event = Some(event.clone());
        }
        // Its metadata came after it was ruled out.
        if closed.length == Length::TooLong && closed.has_shape() {
            self.too_long += 1;
        }
        if closed.is_payload() {
            while self
                .found
                .pop_if(|inner| inner.range.start > closed.start)
                .is_some()
            {}
            let place = if self.tracks_places {
                self.place()
            } else {
                FoundAt::default()
            };
            self.found.push(Shape {
                range: closed.start..end,
                place,
            });
        }
        let is_metadata = closed.is_object && closed.is_flat && closed.fields.encoding;
        self.value(if is_metadata {
            Value::Metadata
        } else {
            Value::Other
        });
    }

    /// Where the current value of the innermost container is.
    fn place(&self) -> FoundAt {
        use std::fmt::Write as _;

        let mut found = FoundAt::default();
        for container in &self.open {
            let Place { name, index, event } = &container.place;
            if container.is_object {
                if !found.path.is_empty() {
                    found.path.push('.');
                }
                found.path.push_str(name);
            } else {
                let _ = write!(found.path, "[{index}]");
            }
            if let Some(event) = event {
                found.event_id = Some(event.id);
                found.event_time.clone_from(&event.time);
            }
        }
        found
    }
}

/// The text of a key.
enum Unquoted<'t> {
    Plain(&'t str),
    Escaped(String),
}

impl<'t> Unquoted<'t> {
    fn of(quoted: &'t [u8]) -> Self {
        if quoted.contains(&b'\\') {
            return Self::Escaped(serde_json::from_slice(quoted).unwrap_or_default());
        }
        let inner = quoted.strip_prefix(b"\"").unwrap_or_default();
        let inner = inner.strip_suffix(b"\"").unwrap_or_default();
        Self::Plain(std::str::from_utf8(inner).unwrap_or_default())
    }

    fn text(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Escaped(text) => text,
        }
    }

    fn key(&self) -> Key {
        match self.text() {
            "metadata" => Key::Metadata,
            "data" => Key::Data,
            "encoding" => Key::Encoding,
            "eventId" => Key::EventId,
            "eventType" => Key::EventType,
            "eventTime" => Key::EventTime,
            _ => Key::Other,
        }
    }

    /// What a place shows of the key: names of fields are short, and those of users need not be shown whole.
    fn shown(&self) -> &str {
        const MOST: usize = 64;
        let text = self.text();
        match text.char_indices().nth(MOST) {
            Some((end, _)) => text.get(..end).unwrap_or_default(),
            None => text,
        }
    }
}

/// The end of the string in which `bytes` starts, after its closing quote.
fn end_of_string(bytes: &mut impl Iterator<Item = (usize, u8)>) -> Option<usize> {
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some(at + 1),
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        payload_shapes(text)
            .unwrap()
            .into_iter()
            .map(|range| &text[range])
            .collect()
    }

    #[test]
    fn the_shape_is_found_at_any_depth_and_with_any_other_field() {
        for payload in [
            r#"{"metadata":{"encoding":"YQ=="}}"#,
            r#"{"data":null,"metadata":{"encoding":"YQ","x":null}}"#,
            r#"{"met\u0061data":{"encoding":"\u0059Q=="},"data":"?"}"#,
            r#"{"metadata":{"encoding":"YQ=="},"new":[{"a":{"b":1e4}}],"data":""}"#,
            r#"{"metadata":{"encoding":"YQ=="},"inner":{"metadata":{"encoding":"Yg=="}}}"#,
        ] {
            assert_eq!(found(payload), [payload]);
            assert_eq!(
                found(&format!("[{{\"a\":[{payload},1,{payload}]}}]")),
                [payload; 2]
            );
        }
    }

    #[test]
    fn other_objects_are_left_alone() {
        for other in [
            r#"{"metadata":{"encoding":"json/plain"},"data":"hello"}"#,
            r#"{"metadata":{"encoding":"binary/plain"},"data":"hello"}"#,
            r#"{"metadata":{"encoding":""}}"#,
            r#"{"metadata":{"encoding":null}}"#,
            r#"{"metadata":{"encoding":{"a":"YQ=="}}}"#,
            r#"{"metadata":{"encoding":"YQ==","n":1}}"#,
            r#"{"metadata":["encoding","YQ=="]}"#,
            r#"{"metadata":{"encoding":"YQ=="},"data":{"a":1}}"#,
            r#"{"metadata":{"encoding":"YQ=="},"data":false}"#,
            r#"{"a":"metadata","b":{"encoding":"YQ=="}}"#,
            r#""{\"metadata\":{\"encoding\":\"YQ==\"}}""#,
            "1",
            "",
        ] {
            assert!(found(other).is_empty(), "{other}");
        }
    }

    #[test]
    fn deep_nesting_is_followed_to_a_limit() {
        let depth = MAX_DEPTH - 2;
        let payload = r#"{"metadata":{"encoding":"YQ=="}}"#;
        let text = format!("{}{payload}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(found(&text), [payload]);
        let nested = r#"{"metadata":{"encoding":"YQ=="},"x":"#;
        let text = format!("{}1{}", nested.repeat(depth), "}".repeat(depth));
        assert_eq!(found(&text), [text.as_str()]);
        let text = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(payload_shapes(&text), Err(MAX_DEPTH));
    }
}

//! Which open containers of a JSON text have the shape of a payload so far.

use std::ops::Range;

use base64::Engine as _;

use super::{
    super::base64::{STANDARD, URL_SAFE},
    key::{Key, Unquoted},
    place::{FoundAt, HistoryEvent, Place},
};

/// The containers that are open at one place of a JSON text, and the payloads that were found before it. It is told each
/// token in order.
#[derive(Default)]
pub(in crate::json) struct Shapes {
    open: Vec<Container>,
    pub(in crate::json) found: Vec<Shape>,
    /// The last history event that was closed.
    pub(in crate::json) last_event: Option<HistoryEvent>,
    /// How many objects had the shape of a payload and were ruled out, since this was asked for.
    too_long: usize,
    /// Whether to note where payloads are.
    tracks_places: bool,
}

/// An object that has the shape of a payload.
pub(in crate::json) struct Shape {
    pub(in crate::json) range: Range<usize>,
    pub(in crate::json) place: FoundAt,
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

/// The parts of an object that were found so far.
#[derive(Default)]
struct Fields {
    encoding: bool,
    metadata: bool,
    other_data: bool,
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
    pub(in crate::json) fn with_places() -> Self {
        Self {
            tracks_places: true,
            ..Self::default()
        }
    }

    pub(in crate::json) fn depth(&self) -> usize {
        self.open.len()
    }

    /// Whether a key comes next.
    pub(in crate::json) fn expects_key(&self) -> bool {
        let open = self.open.last();
        open.is_some_and(|container| container.is_object && container.key.is_none())
    }

    /// Whether the innermost container is an object; `None` outside of all containers.
    pub(in crate::json) fn is_in_object(&self) -> Option<bool> {
        self.open.last().map(|container| container.is_object)
    }

    /// The start of the outermost object that may become a payload.
    pub(in crate::json) fn first_candidate(&self) -> Option<usize> {
        let mut open = self.open.iter();
        open.find(|container| container.is_object && container.length == Length::Fits)
            .map(|container| container.start)
    }

    /// Rules out the objects that begin before `at`.
    pub(in crate::json) fn rule_out_before(&mut self, at: usize) {
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
    pub(in crate::json) fn take_too_long(&mut self) -> usize {
        std::mem::take(&mut self.too_long)
    }

    pub(in crate::json) fn open(&mut self, at: usize, is_object: bool) {
        self.open.push(Container::new(at, is_object));
    }

    /// A key or a value, with its quotes.
    pub(in crate::json) fn string(&mut self, quoted: &[u8]) {
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
    pub(in crate::json) fn scalar(&mut self, text: &[u8]) {
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

    pub(in crate::json) fn next_entry(&mut self) {
        if let Some(container) = self.open.last_mut() {
            container.key = None;
            container.place.index += 1;
        }
    }

    pub(in crate::json) fn close(&mut self, end: usize) {
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

/// Whether `encoding` is the name of an encoding in base64. Tools that show histories to people write the name without
/// base64.
fn is_encoding(encoding: &str) -> bool {
    let name = STANDARD
        .decode(encoding)
        .or_else(|_| URL_SAFE.decode(encoding));
    name.is_ok_and(|name| !name.is_empty() && name.iter().all(u8::is_ascii_graphic))
}

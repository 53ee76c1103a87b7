//! Finds the objects of a JSON text that have the shape of a payload, in one pass and without recursion.

use std::ops::Range;

use base64::Engine as _;

use super::read::{STANDARD, URL_SAFE};

/// Deeper than any history. Each open level takes memory.
const MAX_DEPTH: usize = 10_000;

/// The objects with the shape of a payload, in order. An object inside of another is part of it.
///
/// [`find_payloads`](super::find_payloads) says what the shape is. `text` must be valid JSON.
///
/// # Errors
/// The offset at which `text` is nested too deeply.
pub(super) fn payload_shapes(text: &str) -> Result<Vec<Range<usize>>, usize> {
    let mut scan = Scan {
        text,
        open: Vec::new(),
        found: Vec::new(),
    };
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'{' | b'[' if scan.open.len() >= MAX_DEPTH => return Err(at),
            b'{' | b'[' => scan.open.push(Container::new(at, byte == b'{')),
            b'}' | b']' => scan.close(at + 1),
            b'"' => {
                let end = end_of_string(&mut bytes).unwrap_or(text.len());
                scan.string(at..end);
            }
            b',' => scan.next_entry(),
            b'n' => scan.value(Value::Null),
            b't' | b'f' | b'-' | b'0'..=b'9' => scan.value(Value::Other),
            _ => {}
        }
    }
    Ok(scan.found)
}

/// Whether `encoding` is the name of an encoding in base64. Tools that show histories to people write the name without
/// base64.
fn is_encoding(encoding: &str) -> bool {
    let name = STANDARD
        .decode(encoding)
        .or_else(|_| URL_SAFE.decode(encoding));
    name.is_ok_and(|name| !name.is_empty() && name.iter().all(u8::is_ascii_graphic))
}

struct Scan<'t> {
    text: &'t str,
    open: Vec<Container>,
    found: Vec<Range<usize>>,
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
    Other,
}

#[derive(Clone, PartialEq, Eq)]
enum Value {
    Null,
    Text(Range<usize>),
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
        }
    }

    fn is_payload(&self) -> bool {
        self.is_object && self.fields.metadata && !self.fields.other_data
    }
}

impl Scan<'_> {
    fn string(&mut self, quoted: Range<usize>) {
        let key = self.key_of(&quoted);
        match self.open.last_mut() {
            Some(container) if container.is_object && container.key.is_none() => {
                container.key = Some(key);
            }
            _ => self.value(Value::Text(quoted)),
        }
    }

    fn key_of(&self, quoted: &Range<usize>) -> Key {
        let raw = self.text.get(quoted.clone()).unwrap_or_default();
        let unescaped;
        let name = if raw.contains('\\') {
            unescaped = serde_json::from_str::<String>(raw).unwrap_or_default();
            unescaped.as_str()
        } else {
            raw.trim_matches('"')
        };
        match name {
            "metadata" => Key::Metadata,
            "data" => Key::Data,
            "encoding" => Key::Encoding,
            _ => Key::Other,
        }
    }

    /// A value of the container that is currently open.
    fn value(&mut self, value: Value) {
        let text = self.text;
        let Some(container) = self.open.last_mut() else {
            return;
        };
        container.is_flat &= matches!(value, Value::Null | Value::Text(_));
        match (container.key, value) {
            (Some(Key::Encoding), Value::Text(quoted)) => {
                let raw = text.get(quoted).unwrap_or_default();
                let encoding = serde_json::from_str::<String>(raw).unwrap_or_default();
                container.fields.encoding = is_encoding(&encoding);
            }
            (Some(Key::Metadata), value) => container.fields.metadata = value == Value::Metadata,
            (Some(Key::Data), value) => {
                container.fields.other_data = !matches!(value, Value::Null | Value::Text(_));
            }
            _ => {}
        }
    }

    fn next_entry(&mut self) {
        if let Some(container) = self.open.last_mut() {
            container.key = None;
        }
    }

    fn close(&mut self, end: usize) {
        let Some(closed) = self.open.pop() else {
            return;
        };
        if closed.is_payload() {
            while self
                .found
                .pop_if(|inner| inner.start > closed.start)
                .is_some()
            {}
            self.found.push(closed.start..end);
        }
        let is_metadata = closed.is_object && closed.is_flat && closed.fields.encoding;
        self.value(if is_metadata {
            Value::Metadata
        } else {
            Value::Other
        });
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

//! What happened, as the inside of a line: names and values of a bounded size.

use std::{io::Write as _, time::SystemTime};

/// The most characters of a text. A namespace is longer only if it is escaped.
const MOST_CHARS: usize = 512;
/// The most items of a list.
const MOST_ITEMS: usize = 8;
/// The most bytes of an event. The longest allowed values are below it together, unless every character is escaped.
pub(crate) const MOST_BYTES: usize = 24 << 10;

/// What happened. Its values come from outside: each is escaped as JSON, cut to 512 characters, and free of characters
/// that steer a terminal.
#[derive(Clone, Debug)]
pub struct Event {
    body: Vec<u8>,
    is_cut: bool,
}

impl Event {
    /// An event of a kind, such as `start`, that happens now.
    #[must_use]
    pub fn new(kind: &'static str) -> Self {
        let mut body = Vec::with_capacity(384);
        let now = humantime::format_rfc3339_micros(SystemTime::now());
        let _ = write!(body, "\"time\":\"{now}\",\"event\":\"{kind}\"");
        Self {
            body,
            is_cut: false,
        }
    }

    /// Adds a text.
    #[must_use]
    pub fn text(mut self, name: &'static str, value: &str) -> Self {
        self.field(name, |body| write_text(body, value));
        self
    }

    /// Adds a text, if there is one.
    #[must_use]
    pub fn maybe(self, name: &'static str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    /// Adds a number.
    #[must_use]
    pub fn number(mut self, name: &'static str, value: u64) -> Self {
        self.field(name, |body| {
            let _ = write!(body, "{value}");
        });
        self
    }

    /// Adds a list of texts: the first eight.
    #[must_use]
    pub fn list<T: AsRef<str>>(mut self, name: &'static str, values: &[T]) -> Self {
        self.field(name, |body| {
            body.push(b'[');
            for (index, value) in values.iter().take(MOST_ITEMS).enumerate() {
                if index > 0 {
                    body.push(b',');
                }
                write_text(body, value.as_ref());
            }
            body.push(b']');
        });
        self
    }

    /// The inside of the line behind `seq` and `prev`.
    pub(crate) fn into_body(mut self) -> Vec<u8> {
        if self.is_cut {
            self.body.extend_from_slice(b",\"cut\":true");
        }
        self.body
    }

    /// Adds a field, unless the event gets too long.
    fn field(&mut self, name: &'static str, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.body.len();
        self.body.extend_from_slice(b",\"");
        self.body.extend_from_slice(name.as_bytes());
        self.body.extend_from_slice(b"\":");
        write(&mut self.body);
        if self.body.len() > MOST_BYTES {
            self.body.truncate(before);
            self.is_cut = true;
        }
    }
}

/// A JSON string. A text that is cut ends with `…`.
fn write_text(body: &mut Vec<u8>, text: &str) {
    body.push(b'"');
    if text.len() <= MOST_CHARS && text.bytes().all(is_plain) {
        body.extend_from_slice(text.as_bytes());
    } else {
        write_escaped(body, text);
    }
    body.push(b'"');
}

/// Whether a character is itself in a JSON string.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

/// As [`write_text`], without the quotes, for any text.
fn write_escaped(body: &mut Vec<u8>, text: &str) {
    let mut rest = text.chars();
    for c in rest.by_ref().take(MOST_CHARS) {
        match c {
            '"' => body.extend_from_slice(b"\\\""),
            '\\' => body.extend_from_slice(b"\\\\"),
            ' '..='~' => body.push(c as u8),
            // All of them are in the Basic Multilingual Plane.
            c if steers(c) => {
                let _ = write!(body, "\\u{:04x}", u32::from(c));
            }
            c => body.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    if rest.next().is_some() {
        body.extend_from_slice("…".as_bytes());
    }
}

/// Whether a terminal acts on a character instead of showing it: controls, line separators, and the marks that change the
/// direction of writing (Unicode TR 36, "Bidirectional Text Spoofing").
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether a request was allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// It was refused by a rule: origin, caller, namespace or role.
    #[default]
    Refused,
    /// The rules allowed it. It may still have failed.
    Allowed,
}

/// A request to a server, and what came of it. It holds no payload, no token and no header.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RequestEvent<'a> {
    /// The id of the request, as the answer and the log name it.
    pub request: &'a str,
    /// Who asked: the subject of the token or certificate.
    pub subject: Option<&'a str>,
    /// Who says so: the issuer of the token or certificate.
    pub issuer: Option<&'a str>,
    /// The address of the client.
    pub client: Option<&'a str>,
    /// What was asked for, such as `decode`.
    pub operation: Option<&'a str>,
    /// The namespace.
    pub namespace: Option<&'a str>,
    /// The task that it was about, at a server of tasks.
    pub task: Option<&'a str>,
    /// How many payloads there were.
    pub payloads: usize,
    /// How many of them were not decoded.
    pub undecoded: usize,
    /// The bytes of the request's body.
    pub bytes: usize,
    /// The keys that the payloads name.
    pub keys: &'a [String],
    /// Whether it was allowed.
    pub decision: Decision,
    /// `ok`, or how it failed.
    pub result: &'a str,
    /// Why it was refused or failed.
    pub error: Option<&'a str>,
    /// The HTTP status.
    pub status: u16,
}

impl From<&RequestEvent<'_>> for Event {
    fn from(request: &RequestEvent<'_>) -> Self {
        let decision = match request.decision {
            Decision::Allowed => "allowed",
            Decision::Refused => "refused",
        };
        Self::new("request")
            .text("request", request.request)
            .maybe("subject", request.subject)
            .maybe("issuer", request.issuer)
            .maybe("client", request.client)
            .maybe("operation", request.operation)
            .maybe("namespace", request.namespace)
            .maybe("task", request.task)
            .number("payloads", request.payloads as u64)
            .number("undecoded", request.undecoded as u64)
            .number("bytes", request.bytes as u64)
            .list("keys", request.keys)
            .text("decision", decision)
            .text("result", request.result)
            .number("status", request.status.into())
            .maybe("error", request.error)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn parsed(event: Event) -> Value {
        let body = event.into_body();
        assert!(body.len() < MOST_BYTES + 16, "{}", body.len());
        let text = String::from_utf8(body).unwrap();
        assert!(!text.contains('\n'));
        serde_json::from_str(&format!("{{{text}}}")).unwrap()
    }

    #[test]
    fn values_cannot_leave_their_place() {
        let hostile = "a\",\"decision\":\"allowed\"}\n{\"seq\":1\u{1b}[2J\u{202e}\u{2028}\u{7f}\\";
        let request = RequestEvent {
            request: "1a2b3c4d",
            subject: Some(hostile),
            namespace: Some(hostile),
            keys: &[hostile.to_owned()],
            result: "forbidden",
            ..RequestEvent::default()
        };
        let event = Event::from(&request);
        let text = String::from_utf8(event.clone().into_body()).unwrap();
        assert!(!text.chars().any(steers), "{text}");
        let value = parsed(event);
        assert_eq!(value["subject"], hostile);
        assert_eq!(value["namespace"], hostile);
        assert_eq!(value["keys"][0], hostile);
        assert_eq!(value["decision"], "refused");
    }

    proptest! {
        /// A text without special characters is written in one piece, and any text in the same form.
        #[test]
        fn texts_have_one_form(text in "[ -~]{0,20}|.{0,9}|[a-z]{500,530}") {
            let (mut whole, mut escaped) = (Vec::new(), Vec::new());
            write_text(&mut whole, &text);
            write_escaped(&mut escaped, &text);
            prop_assert_eq!(whole, [b"\"", escaped.as_slice(), b"\""].concat());
        }
    }

    #[test]
    fn huge_values_are_cut() {
        let huge = "\u{1b}".repeat(1 << 20);
        let keys = vec![huge.clone(); 1000];
        let request = RequestEvent {
            subject: Some(&huge),
            issuer: Some(&huge),
            client: Some(&huge),
            namespace: Some(&huge),
            keys: &keys,
            error: Some(&huge),
            ..RequestEvent::default()
        };
        let value = parsed((&request).into());
        assert_eq!(value["subject"].as_str().unwrap().chars().count(), 513);
        assert_eq!(value["cut"], true);
        let keys = vec!["k".repeat(600); 1000];
        let value = parsed(Event::new("x").list("keys", &keys));
        assert_eq!(value["keys"].as_array().unwrap().len(), 8);
    }
}

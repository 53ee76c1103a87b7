//! The keys of objects that tell whether an object is a payload, and where it is.

/// A key by its meaning.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Metadata,
    Data,
    Encoding,
    EventId,
    EventType,
    EventTime,
    Other,
}

/// The text of a key.
pub(super) enum Unquoted<'t> {
    Plain(&'t str),
    Escaped(String),
}

impl<'t> Unquoted<'t> {
    pub(super) fn of(quoted: &'t [u8]) -> Self {
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

    pub(super) fn key(&self) -> Key {
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
    pub(super) fn shown(&self) -> &str {
        const MOST: usize = 64;
        let text = self.text();
        match text.char_indices().nth(MOST) {
            Some((end, _)) => text.get(..end).unwrap_or_default(),
            None => text,
        }
    }
}

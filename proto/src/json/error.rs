//! What can be wrong with a body. The texts may be shown to any client.

use std::fmt;

/// Why JSON could not be read as payloads. `Display` holds positions and this crate's field names, never content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// The body is empty.
    #[error("the body is empty; send JSON such as {{\"payloads\":[…]}}")]
    Empty,
    /// The body is not UTF-8, which JSON must be (RFC 8259).
    #[error("not JSON: the bytes are not UTF-8, from byte {offset} on; send UTF-8")]
    NotUtf8 {
        /// The first byte that is wrong, counted from 0.
        offset: usize,
    },
    /// The JSON is malformed, or more text follows it.
    #[error("not JSON: unexpected character at {at}; correct the JSON there")]
    Syntax {
        /// Where reading stopped.
        at: Position,
    },
    /// The JSON stops before it is complete.
    #[error("not JSON: it ends too early, at {at}; send the whole document")]
    Incomplete {
        /// Where it ends.
        at: Position,
    },
    /// Objects and lists are nested more deeply than in any real document.
    #[error("the JSON is nested too deeply, at {at}; send payloads as a client writes them")]
    TooDeep {
        /// Where the limit is exceeded.
        at: Position,
    },
    /// A value has the wrong type for its field.
    #[error("{place} is not {}, at {at}; correct its type", place.field.expected())]
    Shape {
        /// The field.
        place: Place,
        /// Where it is.
        at: Position,
    },
    /// A bytes field does not hold base64.
    #[error("{place} is not base64, at {at}; encode its bytes in base64")]
    NotBase64 {
        /// The field.
        place: Place,
        /// Where it is.
        at: Position,
    },
    /// A payload is `null`.
    #[error("{place} is null; expected a payload object, at {at}; remove it, or send a payload")]
    NullPayload {
        /// The payload.
        place: Place,
        /// Where it is.
        at: Position,
    },
    /// The body has more payloads than one request may hold.
    #[error(
        "the body has more than {limit} payloads, which is the limit for one request; send fewer at a time"
    )]
    TooManyPayloads {
        /// How many are allowed.
        limit: usize,
    },
    /// A list or map has more entries than any payload of Temporal.
    #[error("{place} has more than {limit} entries, which is the limit, at {at}; send fewer")]
    TooMany {
        /// The field.
        place: Place,
        /// How many are allowed.
        limit: usize,
        /// Where reading stopped.
        at: Position,
    },
    /// A field is given twice, so that two readers could see two different values.
    #[error("{place} is given twice, at {at}; give it once")]
    Duplicate {
        /// The field.
        place: Place,
        /// Where the second one is.
        at: Position,
    },
}

impl JsonError {
    /// The same error for a text that begins at `start` of a larger one.
    pub(super) fn moved(mut self, start: Position) -> Self {
        match &mut self {
            Self::Syntax { at }
            | Self::Incomplete { at }
            | Self::TooDeep { at }
            | Self::Shape { at, .. }
            | Self::NotBase64 { at, .. }
            | Self::NullPayload { at, .. }
            | Self::TooMany { at, .. }
            | Self::Duplicate { at, .. } => *at = at.within(start),
            Self::Empty | Self::NotUtf8 { .. } | Self::TooManyPayloads { .. } => {}
        }
        self
    }
}

/// A place in the text, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in bytes.
    pub column: usize,
}

impl Position {
    fn within(self, start: Self) -> Self {
        let column = match self.line {
            1 => self.column + start.column - 1,
            _ => self.column,
        };
        Self {
            line: self.line + start.line - 1,
            column,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// A field, and the payload that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// Which payload of a list, counted from 0.
    pub payload: Option<usize>,
    /// Which field.
    pub field: Field,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.payload, self.field.path()) {
            (None, "") => f.write_str("the body"),
            (None, path) => write!(f, "`{path}`"),
            (Some(index), "") => write!(f, "`payloads[{index}]`"),
            (Some(index), path) => write!(f, "`payloads[{index}].{path}`"),
        }
    }
}

/// The fields that the parser reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Field {
    /// The object around the list of payloads.
    Body,
    /// The list of payloads.
    Payloads,
    /// One payload.
    Payload,
    /// A payload's metadata.
    Metadata,
    /// One value of the metadata. Its key comes from the client, so it is not named.
    MetadataValue,
    /// A payload's data.
    Data,
    /// A payload's list of externally stored parts.
    ExternalPayloads,
    /// One externally stored part.
    ExternalPayload,
    /// The size of an externally stored part.
    SizeBytes,
}

impl Field {
    fn path(self) -> &'static str {
        match self {
            Self::Body | Self::Payload => "",
            Self::Payloads => "payloads",
            Self::Metadata => "metadata",
            Self::MetadataValue => "metadata.*",
            Self::Data => "data",
            Self::ExternalPayloads => "externalPayloads",
            Self::ExternalPayload => "externalPayloads[]",
            Self::SizeBytes => "externalPayloads[].sizeBytes",
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Body => "an object with a list `payloads`",
            Self::Payload => "a payload object",
            Self::Metadata => "an object of base64 strings",
            Self::Payloads | Self::ExternalPayloads => "a list",
            Self::ExternalPayload => "an object",
            Self::MetadataValue | Self::Data => "a base64 string",
            Self::SizeBytes => "a 64-bit integer",
        }
    }
}

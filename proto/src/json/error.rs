//! What can be wrong with a body, in words that can be shown to anybody.

use std::fmt;

/// Why JSON could not be read as payloads. `Display` holds positions and field names of ours, never content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// Nothing was sent.
    #[error("the body is empty; expected JSON such as {{\"payloads\":[…]}}")]
    Empty,
    /// JSON is UTF-8 only (RFC 8259).
    #[error("not JSON: the bytes are not UTF-8, from byte {offset} on")]
    NotUtf8 {
        /// The first byte that is wrong, counted from 0.
        offset: usize,
    },
    /// The JSON itself is malformed, or something follows it.
    #[error("not JSON: unexpected character at {at}")]
    Syntax {
        /// Where reading stopped.
        at: Position,
    },
    /// The JSON stops before it is complete.
    #[error("not JSON: it ends too early, at {at}")]
    Incomplete {
        /// Where it ends.
        at: Position,
    },
    /// Objects and lists inside of each other, more than any real document has.
    #[error("nested too deeply, at {at}")]
    TooDeep {
        /// Where the limit is exceeded.
        at: Position,
    },
    /// A value of another type than the field has.
    #[error("{place} is not {}, at {at}", place.field.expected())]
    Shape {
        /// The field.
        place: Place,
        /// Where it is.
        at: Position,
    },
    /// A bytes field holds something else than base64.
    #[error("{place} is not base64, at {at}")]
    NotBase64 {
        /// The field.
        place: Place,
        /// Where it is.
        at: Position,
    },
    /// A payload is `null`.
    #[error("{place} is null; expected a payload object, at {at}")]
    NullPayload {
        /// The payload.
        place: Place,
        /// Where it is.
        at: Position,
    },
    /// More payloads than one request may carry.
    #[error("more than {limit} payloads, which is the limit for one request")]
    TooManyPayloads {
        /// How many are allowed.
        limit: usize,
    },
    /// More entries than any payload of Temporal has.
    #[error("{place} has more than {limit} entries, which is the limit, at {at}")]
    TooMany {
        /// The field.
        place: Place,
        /// How many are allowed.
        limit: usize,
        /// Where reading stopped.
        at: Position,
    },
    /// Two readers could take two different values for it.
    #[error("{place} is given twice, at {at}")]
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

/// The fields that are read.
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
    /// One value of the metadata; its key is the client's, and so not named.
    MetadataValue,
    /// A payload's data.
    Data,
    /// What a payload says of externally stored parts.
    ExternalPayloads,
    /// One such part.
    ExternalPayload,
    /// Its size.
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

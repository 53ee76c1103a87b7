//! Payloads in a document of any length, which comes in pieces. The memory that this takes does not depend on the
//! document's length.

use std::ops::Range;

use serde::de::IgnoredAny;

use super::{
    error::{JsonError, Position},
    scan::FoundAt,
    scan::{HistoryEvent, MAX_DEPTH, Shapes},
};

/// Longer numbers are not read.
const MAX_NUMBER: usize = 4096;

/// A part of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// Text without a payload, as it is in the document.
    Text(Vec<u8>),
    /// An object that has the shape of a payload, and where it is.
    Payload {
        /// The object as it is in the document.
        json: Vec<u8>,
        /// Where it is.
        at: FoundAt,
    },
    /// An object with the shape of a payload was passed on as text, because it is longer than any payload may be.
    TooLong,
}

/// Divides one or several JSON documents into payloads and the text between them: put together again, the parts are the
/// documents.
///
/// [`find_payloads`](super::find_payloads) says what the shape of a payload is.
pub struct PayloadStream {
    shapes: Shapes,
    /// The part of the document from `start` on that was not handed out.
    pub(super) window: Vec<u8>,
    /// All places are counted from the beginning of the document.
    start: usize,
    /// Up to here the tokens are known.
    at: usize,
    /// Up to here it is UTF-8.
    valid: usize,
    token: Token,
    expected: Expected,
    line: usize,
    line_start: usize,
    max_object: usize,
    parts: Vec<Part>,
    has_value: bool,
}

/// A token that was begun at the end of what has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    None,
    Text { start: usize },
    Scalar { start: usize },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    Colon,
    CommaOrEnd,
}

impl PayloadStream {
    /// `max_object` bytes is the longest object that counts as a payload. About so much of the document is kept in memory.
    #[must_use]
    pub fn new(max_object: usize) -> Self {
        Self {
            shapes: Shapes::with_places(),
            window: Vec::new(),
            start: 0,
            at: 0,
            valid: 0,
            token: Token::None,
            expected: Expected::Value,
            line: 1,
            line_start: 0,
            max_object,
            parts: Vec::new(),
            has_value: false,
        }
    }

    /// Reads more of the document, and returns the parts that are complete.
    ///
    /// # Errors
    /// When the text is not JSON.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Part>, JsonError> {
        self.window.extend_from_slice(bytes);
        self.check_utf8()?;
        self.tokens()?;
        self.hand_out(false);
        Ok(std::mem::take(&mut self.parts))
    }

    /// The last event of a history that has come whole.
    #[must_use]
    pub fn last_event(&self) -> Option<&HistoryEvent> {
        self.shapes.last_event.as_ref()
    }

    /// Ends the document, and returns its last parts.
    ///
    /// # Errors
    /// When the document ends too early.
    pub fn finish(mut self) -> Result<Vec<Part>, JsonError> {
        let end = self.start + self.window.len();
        if self.valid < end {
            return Err(JsonError::NotUtf8 { offset: self.valid });
        }
        if let Token::Scalar { start } = self.token {
            self.scalar(start..end)?;
        }
        let is_between = self.token == Token::None
            && self.shapes.depth() == 0
            && self.expected == Expected::Value;
        if is_between && !self.has_value {
            return Err(JsonError::Empty);
        }
        if !is_between {
            return Err(JsonError::Incomplete {
                at: self.position(end),
            });
        }
        self.hand_out(true);
        Ok(self.parts)
    }

    fn check_utf8(&mut self) -> Result<(), JsonError> {
        let unknown = self.window.get(self.valid - self.start..);
        match std::str::from_utf8(unknown.unwrap_or_default()) {
            Ok(text) => self.valid += text.len(),
            Err(error) => {
                self.valid += error.valid_up_to();
                // A character may be cut in two at the end.
                if error.error_len().is_some() {
                    return Err(JsonError::NotUtf8 { offset: self.valid });
                }
            }
        }
        Ok(())
    }

    /// Reads the tokens of what has come.
    fn tokens(&mut self) -> Result<(), JsonError> {
        loop {
            match self.token {
                Token::None => {}
                Token::Text { start } => {
                    if !self.end_of_text(start)? {
                        return Ok(());
                    }
                    continue;
                }
                Token::Scalar { start } => {
                    if !self.end_of_scalar(start)? {
                        return Ok(());
                    }
                    continue;
                }
            }
            let Some(&byte) = self.window.get(self.at - self.start) else {
                return Ok(());
            };
            self.token(byte)?;
        }
    }

    fn token(&mut self, byte: u8) -> Result<(), JsonError> {
        use Expected::{Colon, CommaOrEnd, Key, KeyOrEnd, Value, ValueOrEnd};

        let at = self.at;
        match (byte, self.expected) {
            (b' ' | b'\t' | b'\r', _) => {}
            (b'\n', _) => {
                self.line += 1;
                self.line_start = at + 1;
            }
            (b'{' | b'[', Value | ValueOrEnd) => {
                if self.shapes.depth() >= MAX_DEPTH {
                    return Err(JsonError::TooDeep {
                        at: self.position(at),
                    });
                }
                let is_object = byte == b'{';
                self.shapes.open(at, is_object);
                self.expected = if is_object { KeyOrEnd } else { ValueOrEnd };
            }
            (b'}', KeyOrEnd | CommaOrEnd) if self.shapes.is_in_object() == Some(true) => {
                self.shapes.close(at + 1);
                self.after_value();
            }
            (b']', ValueOrEnd | CommaOrEnd) if self.shapes.is_in_object() == Some(false) => {
                self.shapes.close(at + 1);
                self.after_value();
            }
            (b'"', Value | ValueOrEnd | Key | KeyOrEnd) => self.token = Token::Text { start: at },
            (b'-' | b'0'..=b'9' | b't' | b'f' | b'n', Value | ValueOrEnd) => {
                self.token = Token::Scalar { start: at };
                return Ok(());
            }
            (b':', Colon) => self.expected = Value,
            (b',', CommaOrEnd) => {
                self.shapes.next_entry();
                self.expected = match self.shapes.is_in_object() {
                    Some(true) => Key,
                    _ => Value,
                };
            }
            _ => return Err(self.unexpected(at)),
        }
        self.at = at + 1;
        Ok(())
    }

    fn after_value(&mut self) {
        self.has_value = true;
        self.expected = match self.shapes.depth() {
            0 => Expected::Value,
            _ => Expected::CommaOrEnd,
        };
    }

    /// Reads on in a string; `false` when it is not complete.
    fn end_of_text(&mut self, start: usize) -> Result<bool, JsonError> {
        loop {
            let rest = self.window.get(self.at - self.start..).unwrap_or_default();
            let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
            let Some(skipped) = rest.iter().position(special) else {
                self.at += rest.len();
                return Ok(false);
            };
            let rest = rest.get(skipped..).unwrap_or_default();
            self.at += skipped;
            match rest {
                [b'"', ..] => {
                    self.at += 1;
                    break;
                }
                [b'\\', b'u', a, b, c, d, ..] => {
                    if ![a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()) {
                        return Err(self.unexpected(self.at));
                    }
                    self.at += 6;
                }
                [
                    b'\\',
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't',
                    ..,
                ] => self.at += 2,
                [b'\\'] | [b'\\', b'u', ..] => return Ok(false),
                _ => return Err(self.unexpected(self.at)),
            }
        }
        self.token = Token::None;
        let is_key = self.shapes.expects_key();
        // The start of a long text may be gone. Then it is neither a key nor an encoding.
        let text = match start.checked_sub(self.start) {
            Some(from) => self.window.get(from..self.at - self.start),
            None => None,
        };
        self.shapes.string(text.unwrap_or(b"\"\""));
        if is_key {
            self.expected = Expected::Colon;
        } else {
            self.after_value();
        }
        Ok(true)
    }

    /// Reads on in a number, `true`, `false` or `null`; `false` when it may go on.
    fn end_of_scalar(&mut self, start: usize) -> Result<bool, JsonError> {
        let rest = self.window.get(self.at - self.start..).unwrap_or_default();
        let ends = |byte: &u8| {
            matches!(
                byte,
                b',' | b':' | b'"' | b'[' | b']' | b'{' | b'}' | b' ' | b'\t' | b'\r' | b'\n'
            )
        };
        let end = rest.iter().position(ends);
        self.at += end.unwrap_or(rest.len());
        if self.at - start > MAX_NUMBER {
            return Err(self.unexpected(start));
        }
        if end.is_none() {
            return Ok(false);
        }
        self.scalar(start..self.at)?;
        Ok(true)
    }

    fn scalar(&mut self, range: Range<usize>) -> Result<(), JsonError> {
        let text = self
            .window
            .get(range.start - self.start..range.end - self.start)
            .unwrap_or_default();
        if serde_json::from_slice::<IgnoredAny>(text).is_err() {
            return Err(self.unexpected(range.start));
        }
        self.shapes.scalar(text);
        self.token = Token::None;
        self.after_value();
        Ok(())
    }

    /// Hands out what no open object can turn into a part of a payload any more.
    fn hand_out(&mut self, is_end: bool) {
        let oldest = self.at.saturating_sub(self.max_object);
        self.shapes.rule_out_before(oldest);
        let too_long = self.shapes.take_too_long();
        self.parts
            .extend(std::iter::repeat_n(Part::TooLong, too_long));
        let mut until = self.valid.min(self.at);
        if let Some(candidate) = self.shapes.first_candidate() {
            until = until.min(candidate);
        }
        match self.token {
            // Keys and encodings are short.
            Token::Text { start } if self.at - start < MAX_NUMBER => until = until.min(start),
            Token::Scalar { start } => until = until.min(start),
            Token::Text { .. } | Token::None => {}
        }
        if is_end {
            until = self.start + self.window.len();
        }
        let mut from = self.start;
        let complete = self
            .shapes
            .found
            .iter()
            .take_while(|shape| shape.range.end <= until)
            .count();
        for shape in self.shapes.found.drain(..complete) {
            let part = |range: Range<usize>| {
                let range = range.start - self.start..range.end - self.start;
                self.window.get(range).unwrap_or_default().to_vec()
            };
            if shape.range.start > from {
                self.parts.push(Part::Text(part(from..shape.range.start)));
            }
            from = shape.range.end;
            self.parts.push(Part::Payload {
                json: part(shape.range),
                at: shape.place,
            });
        }
        if until > from {
            let text = self.window.get(from - self.start..until - self.start);
            self.parts
                .push(Part::Text(text.unwrap_or_default().to_vec()));
        }
        self.window.drain(..until - self.start);
        self.start = until;
    }

    fn unexpected(&self, at: usize) -> JsonError {
        JsonError::Syntax {
            at: self.position(at),
        }
    }

    fn position(&self, at: usize) -> Position {
        Position {
            line: self.line,
            column: at.saturating_sub(self.line_start) + 1,
        }
    }
}

impl std::fmt::Debug for PayloadStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PayloadStream")
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

//! Payloads anywhere inside a document: the output of `temporal workflow show -o json`, or several documents in a row
//! (`-o jsonl`).

use std::ops::Range;

use serde::de::IgnoredAny;
use serde_json::error::Category;

use super::{
    error::{JsonError, Position},
    limits::Limits,
    read::{parse_payload, position, text},
    scan::payload_shapes,
    write::write_payload,
};
use crate::Payload;

/// An object with the shape of a payload.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Found {
    /// Its range in the document, from its opening brace to after its closing brace.
    pub range: Range<usize>,
    /// The payload, or why it cannot be read. Positions count from the start of the document.
    pub payload: Result<Payload, JsonError>,
}

/// Finds every payload in one or several JSON documents, in order.
///
/// An object has the shape of a payload if its `metadata` holds only strings and nulls, with an `encoding` that is a
/// name in base64, and its `data` is a string, `null` or absent. Further fields are ignored, as everywhere. A history
/// also has other objects with a `metadata` or `data`. They are not touched.
///
/// # Errors
/// When the text is not JSON, or when there are too many payloads.
pub fn find_payloads(document: &[u8], limits: &Limits) -> Result<Vec<Found>, JsonError> {
    let text = text(document)?;
    for part in serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>() {
        part.map_err(|error| match error.classify() {
            Category::Eof => JsonError::Incomplete {
                at: position(&error),
            },
            _ => JsonError::Syntax {
                at: position(&error),
            },
        })?;
    }
    let shapes = payload_shapes(text).map_err(|offset| JsonError::TooDeep {
        at: Places::of(document).at(offset),
    })?;
    if shapes.len() > limits.max_payloads {
        return Err(JsonError::TooManyPayloads {
            limit: limits.max_payloads,
        });
    }
    let mut places = Places::of(document);
    let found = shapes.into_iter().map(|range| {
        let object = document.get(range.clone()).unwrap_or_default();
        let payload = parse_payload(object).map_err(|error| error.moved(places.at(range.start)));
        Found { range, payload }
    });
    Ok(found.collect())
}

/// Finds lines and columns of ascending offsets in one pass.
#[derive(Clone, Debug)]
pub struct Places<'d> {
    document: &'d [u8],
    offset: usize,
    line: usize,
    line_start: usize,
}

impl<'d> Places<'d> {
    /// Places in `document`.
    #[must_use]
    pub fn of(document: &'d [u8]) -> Self {
        Self {
            document,
            offset: 0,
            line: 1,
            line_start: 0,
        }
    }

    /// The place of a byte. An offset that is smaller than the previous one counts as the previous one.
    pub fn at(&mut self, offset: usize) -> Position {
        let skipped = self.document.get(self.offset..offset).unwrap_or_default();
        for (index, byte) in skipped.iter().enumerate() {
            if *byte == b'\n' {
                self.line += 1;
                self.line_start = self.offset + index + 1;
            }
        }
        self.offset = self.offset.max(offset);
        Position {
            line: self.line,
            column: self.offset - self.line_start + 1,
        }
    }
}

/// Replaces payloads that were found. All bytes between them stay unchanged.
///
/// The ranges must come from [`find_payloads`]: in order, not overlapping, within the document.
#[must_use]
pub fn replace_payloads<'p>(
    document: &[u8],
    replacements: impl IntoIterator<Item = (Range<usize>, &'p Payload)>,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(document.len());
    let mut copied = 0;
    for (range, payload) in replacements {
        out.extend_from_slice(document.get(copied..range.start).unwrap_or_default());
        out.extend_from_slice(&write_payload(payload));
        copied = range.end;
    }
    out.extend_from_slice(document.get(copied..).unwrap_or_default());
    out
}

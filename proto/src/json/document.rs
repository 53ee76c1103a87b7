//! Payloads that stand somewhere inside a document: a whole `temporal workflow show -o json`, or several
//! documents one after the other (`-o jsonl`).

use std::ops::Range;

use serde::de::IgnoredAny;
use serde_json::{Value, error::Category};

use super::{
    error::JsonError,
    read::{Limits, parse_payload, position, text},
    write::write_payload,
};
use crate::Payload;

/// A payload and the bytes of the document that it takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// From its opening to behind its closing brace.
    pub range: Range<usize>,
    /// What stands there.
    pub payload: Payload,
}

/// Finds every payload in one or several JSON documents, in order.
///
/// A payload is an object with no other keys than a payload's, whose `metadata` holds strings only, `encoding` among
/// them: a history has more objects with a `metadata` or `data` of their own, and those are left alone.
///
/// # Errors
/// When the text is no JSON, when what looks like a payload is none, or when there are too many.
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
    let mut found = Vec::new();
    for range in innermost_parents(text) {
        let Some(object) = text.get(range.clone()) else {
            continue;
        };
        let Ok(value) = serde_json::from_str::<Value>(object) else {
            continue;
        };
        if !looks_like_payload(&value) {
            continue;
        }
        if found.len() >= limits.max_payloads {
            return Err(JsonError::TooManyPayloads {
                limit: limits.max_payloads,
            });
        }
        found.push(Found {
            range,
            payload: parse_payload(object.as_bytes())?,
        });
    }
    Ok(found)
}

/// Puts payloads in the place of those that were found. All bytes between them stay as they are.
///
/// Ranges are those of [`find_payloads`]: in order, not overlapping, within the document.
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

/// The payload that a JSON value is, if it looks like one (see [`find_payloads`]).
#[must_use]
pub fn payload_from_value(value: &Value) -> Option<Result<Payload, JsonError>> {
    looks_like_payload(value).then(|| parse_payload(value.to_string().as_bytes()))
}

/// A payload as a JSON value, in canonical proto-JSON.
#[must_use]
pub fn payload_to_value(payload: &Payload) -> Value {
    serde_json::from_slice(&write_payload(payload)).unwrap_or_default()
}

fn looks_like_payload(value: &Value) -> bool {
    let Some(object) = value.as_object() else {
        return false;
    };
    let known = |key: &str| {
        matches!(
            key,
            "metadata" | "data" | "externalPayloads" | "external_payloads"
        )
    };
    let Some(metadata) = object.get("metadata").and_then(Value::as_object) else {
        return false;
    };
    object.keys().all(|key| known(key))
        && metadata.contains_key("encoding")
        && metadata
            .values()
            .all(|value| value.is_string() || value.is_null())
        && object
            .get("data")
            .is_none_or(|data| data.is_string() || data.is_null())
}

/// The objects of a valid JSON text that hold objects which hold none: a payload is always one of them, and
/// as they do not overlap, looking at each of them takes linear time whatever the nesting.
fn innermost_parents(text: &str) -> Vec<Range<usize>> {
    struct Open {
        start: usize,
        height: usize,
    }

    let mut open: Vec<Open> = Vec::new();
    let mut ranges = Vec::new();
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => skip_string(&mut bytes),
            b'{' => open.push(Open {
                start: at,
                height: 0,
            }),
            b'}' => {
                let Some(closed) = open.pop() else { continue };
                if closed.height == 1 {
                    ranges.push(closed.start..at + 1);
                }
                if let Some(parent) = open.last_mut() {
                    parent.height = parent.height.max(closed.height + 1);
                }
            }
            _ => {}
        }
    }
    ranges
}

fn skip_string(bytes: &mut impl Iterator<Item = (usize, u8)>) {
    while let Some((_, byte)) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
}

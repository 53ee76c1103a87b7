//! Finds payloads in a message of Temporal without its definition: a payload has a shape of its own.
//!
//! Temporal's messages have hundreds of fields, and every version adds some. A payload is a message whose field 1 is a map
//! with the key `encoding`.

use prost::{
    Message as _,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};
use temporal_kms_codec::Payload;

/// Deeper than any message of Temporal.
const MAX_DEPTH: usize = 32;
const METADATA: u32 = 1;
const DATA: u32 = 2;
const EXTERNAL: u32 = 3;

/// Hands every payload inside of `message` to `each`. `None` is one that cannot be read.
pub(super) fn payloads(message: &[u8], each: &mut impl FnMut(Option<Payload>)) {
    walk(message, MAX_DEPTH, each);
}

fn walk(message: &[u8], depth: usize, each: &mut impl FnMut(Option<Payload>)) {
    if is_payload(message).unwrap_or(false) {
        each(Payload::decode(message).ok());
        return;
    }
    // A text or a number of bytes need not be a message. Then there is nothing to find in it.
    if depth == 0 || fields(message, |_, _| true).is_none() {
        return;
    }
    let _ = fields(message, |_, value| {
        if let Some(value) = value {
            walk(value, depth - 1, each);
        }
        true
    });
}

fn is_payload(message: &[u8]) -> Option<bool> {
    let mut has_encoding = false;
    let is_whole = fields(message, |tag, value| match (tag, value) {
        (METADATA, Some(entry)) => match entry_of(entry) {
            Some((key, value)) => {
                has_encoding |= key == b"encoding"
                    && !value.is_empty()
                    && value.iter().all(u8::is_ascii_graphic);
                true
            }
            None => false,
        },
        (DATA | EXTERNAL, Some(_)) => true,
        _ => false,
    })?;
    Some(is_whole && has_encoding)
}

/// The key and the value of an entry of a map.
fn entry_of(entry: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
    fields(entry, |tag, bytes| {
        match (tag, bytes) {
            (1, Some(bytes)) => key = bytes,
            (2, Some(bytes)) => value = bytes,
            _ => return false,
        }
        true
    })?;
    Some((key, value))
}

/// Hands each field to `each`: its tag, and its bytes where it has a length. `false` ends that early, and is returned.
/// `None` where the bytes are not a message.
fn fields<'m>(
    mut message: &'m [u8],
    mut each: impl FnMut(u32, Option<&'m [u8]>) -> bool,
) -> Option<bool> {
    while !message.is_empty() {
        let (tag, wire_type) = decode_key(&mut message).ok()?;
        let value = if wire_type == WireType::LengthDelimited {
            let len = decode_varint(&mut message).ok()?;
            let (value, rest) = message.split_at_checked(usize::try_from(len).ok()?)?;
            message = rest;
            Some(value)
        } else {
            skip_field(wire_type, tag, &mut message, DecodeContext::default()).ok()?;
            None
        };
        if !each(tag, value) {
            return Some(false);
        }
    }
    Some(true)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A message with fields of every kind around payloads.
    #[derive(Clone, PartialEq, prost::Message)]
    struct Event {
        #[prost(int64, tag = "1")]
        id: i64,
        #[prost(string, tag = "2")]
        text: String,
        #[prost(message, optional, tag = "15")]
        attributes: Option<Attributes>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Attributes {
        #[prost(message, repeated, tag = "1")]
        payloads: Vec<Payload>,
        #[prost(btree_map = "string, message", tag = "2")]
        header: BTreeMap<String, Payload>,
        #[prost(message, optional, tag = "3")]
        fields: Option<Fields>,
    }

    /// Has the shape of a payload's metadata, but for the values.
    #[derive(Clone, PartialEq, prost::Message)]
    struct Fields {
        #[prost(btree_map = "string, message", tag = "1")]
        fields: BTreeMap<String, Payload>,
    }

    fn payload(data: &str) -> Payload {
        Payload {
            metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
            data: data.as_bytes().to_vec(),
            ..Payload::default()
        }
    }

    #[test]
    fn payloads_are_found_by_their_shape() {
        let map = |name: &str, data: &str| BTreeMap::from([(name.to_owned(), payload(data))]);
        let event = Event {
            id: 7,
            text: "\n\u{8}encoding".to_owned(),
            attributes: Some(Attributes {
                payloads: vec![payload("1"), payload("2")],
                header: map("encoding", "3"),
                fields: Some(Fields {
                    fields: map("encoding", "4"),
                }),
            }),
        };
        let mut found = Vec::new();
        payloads(&event.encode_to_vec(), &mut |payload| found.extend(payload));
        assert_eq!(found, ["1", "2", "3", "4"].map(payload));
    }

    #[test]
    fn what_is_no_message_has_no_payload_and_deep_ones_end() {
        let mut count = 0;
        for bytes in [
            &b""[..],
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\n\xff\xff\xff\xff\x0f",
            b"plain text",
        ] {
            payloads(bytes, &mut |_| count += 1);
        }
        let mut deep = payload("1").encode_to_vec();
        for _ in 0..100 {
            let mut outer = vec![0x7a];
            prost::encoding::encode_varint(deep.len() as u64, &mut outer);
            outer.append(&mut deep);
            deep = outer;
        }
        payloads(&deep, &mut |_| count += 1);
        assert_eq!(count, 0);
    }
}

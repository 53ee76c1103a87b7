//! Writes canonical, compact proto-JSON into one buffer of the right size.

use std::{ops::Range, ptr};

use base64_simd::STANDARD;

use crate::{Metadata, Payload, PayloadParts, SharedPayload, payload::ExternalPayloadDetails};

/// Writes `{"payloads":[…]}`. An empty list is written too, because clients expect it.
#[must_use]
pub fn write_payloads(payloads: &[Payload]) -> Vec<u8> {
    write_body(payloads.iter().map(item), body_len(payloads))
}

/// As [`write_payloads`].
#[must_use]
pub fn write_shared_payloads(payloads: &[SharedPayload]) -> Vec<u8> {
    write_body(payloads.iter().map(item), body_len(payloads))
}

/// As [`write_shared_payloads`]. Data are handed to `erase` as soon as they are written, while the processor has them at hand.
#[must_use]
pub fn write_and_erase(mut payloads: Vec<SharedPayload>, erase: fn(&mut [u8])) -> Vec<u8> {
    let length = body_len(&payloads);
    let items = payloads.iter_mut().map(|payload| {
        let data = &mut *payload.data;
        Item {
            metadata: &payload.metadata,
            data: (!data.is_empty()).then_some(move |out: &mut Vec<u8>| {
                push_base64_and_erase(out, data, erase);
            }),
            external_payloads: &payload.external_payloads,
        }
    });
    write_body(items, length)
}

/// The bytes that [`write_shared_payloads`] needs, or a few more.
#[must_use]
pub fn shared_payloads_len(payloads: &[SharedPayload]) -> usize {
    body_len(payloads)
}

/// Writes a bare list, `[…]`.
#[must_use]
pub fn write_payload_list(payloads: &[Payload]) -> Vec<u8> {
    let mut out = Vec::with_capacity(list_len(payloads));
    push_list(&mut out, payloads.iter().map(item));
    out
}

/// Writes one payload object. Empty fields are left out.
#[must_use]
pub fn write_payload(payload: &Payload) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload_len(payload));
    push_payload(&mut out, item(payload), &mut Written::default());
    out
}

/// What is written of a payload.
struct Item<'p, D> {
    metadata: &'p Metadata,
    /// Writes the data. `None` when they are empty.
    data: Option<D>,
    external_payloads: &'p [ExternalPayloadDetails],
}

fn item<P: PayloadParts>(payload: &P) -> Item<'_, impl FnOnce(&mut Vec<u8>)> {
    let data = payload.data();
    Item {
        metadata: payload.metadata(),
        data: (!data.is_empty()).then_some(move |out: &mut Vec<u8>| push_base64(out, data)),
        external_payloads: payload.external_payloads(),
    }
}

fn write_body<'p, D: FnOnce(&mut Vec<u8>)>(
    payloads: impl Iterator<Item = Item<'p, D>>,
    length: usize,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(length);
    out.extend_from_slice(br#"{"payloads":"#);
    push_list(&mut out, payloads);
    out.push(b'}');
    out
}

fn body_len(payloads: &[impl PayloadParts]) -> usize {
    list_len(payloads) + r#"{"payloads":}"#.len()
}

fn list_len(payloads: &[impl PayloadParts]) -> usize {
    payloads
        .iter()
        .map(|payload| payload_len(payload) + 1)
        .sum::<usize>()
        + 2
}

/// An upper bound: a buffer that grows would leave copies of plaintext behind, and take more memory than was reserved.
fn payload_len(payload: &impl PayloadParts) -> usize {
    /// Quotes, colon and comma of a member, and the names of all fields.
    const MEMBER: usize = 6;
    const FIELDS: usize = 64;
    const EXTERNAL: usize = r#"{"sizeBytes":"-9223372036854775808"},"#.len();

    let metadata: usize = payload
        .metadata()
        .iter()
        .map(|(key, value)| string_len(key) + base64_len(value) + MEMBER)
        .sum();
    metadata + base64_len(payload.data()) + payload.external_payloads().len() * EXTERNAL + FIELDS
}

fn base64_len(bytes: &[u8]) -> usize {
    bytes.len().div_ceil(3) * 4
}

fn push_list<'p, D: FnOnce(&mut Vec<u8>)>(
    out: &mut Vec<u8>,
    payloads: impl Iterator<Item = Item<'p, D>>,
) {
    out.push(b'[');
    let mut separator = Separator::default();
    let mut written = Written::default();
    for payload in payloads {
        separator.push(out);
        push_payload(out, payload, &mut written);
    }
    out.push(b']');
}

/// The last metadata of a list, and where they are in the text: the payloads of one list mostly have the same.
#[derive(Default)]
struct Written<'p> {
    metadata: Option<&'p Metadata>,
    text: Range<usize>,
}

impl Written<'_> {
    fn is_of(&self, metadata: &Metadata) -> bool {
        let is_same = |last: &Metadata| ptr::eq(last, metadata) || last == metadata;
        self.metadata.is_some_and(is_same)
    }
}

fn push_payload<'p>(
    out: &mut Vec<u8>,
    payload: Item<'p, impl FnOnce(&mut Vec<u8>)>,
    written: &mut Written<'p>,
) {
    out.push(b'{');
    let mut field = Separator::default();
    let metadata = payload.metadata;
    if !metadata.is_empty() {
        field.push(out);
        if written.is_of(metadata) {
            out.extend_from_within(written.text.clone());
        } else {
            let start = out.len();
            push_metadata(out, metadata);
            written.metadata = Some(metadata);
            written.text = start..out.len();
        }
    }
    if let Some(push_data) = payload.data {
        field.push(out);
        out.extend_from_slice(br#""data":"#);
        push_data(out);
    }
    if !payload.external_payloads.is_empty() {
        field.push(out);
        out.extend_from_slice(br#""externalPayloads":["#);
        let mut member = Separator::default();
        for external in payload.external_payloads {
            member.push(out);
            out.push(b'{');
            if external.size_bytes != 0 {
                // 64-bit integers are strings in proto-JSON.
                let size = format!(r#""sizeBytes":"{}""#, external.size_bytes);
                out.extend_from_slice(size.as_bytes());
            }
            out.push(b'}');
        }
        out.push(b']');
    }
    out.push(b'}');
}

fn push_metadata(out: &mut Vec<u8>, metadata: &Metadata) {
    out.extend_from_slice(br#""metadata":{"#);
    let mut member = Separator::default();
    for (key, value) in metadata {
        member.push(out);
        push_string(out, key);
        out.push(b':');
        push_base64(out, value);
    }
    out.push(b'}');
}

/// Writes a comma before every member except the first.
#[derive(Default)]
struct Separator {
    started: bool,
}

impl Separator {
    fn push(&mut self, out: &mut Vec<u8>) {
        if self.started {
            out.push(b',');
        }
        self.started = true;
    }
}

fn push_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    STANDARD.encode_append(bytes, out);
    out.push(b'"');
}

/// As [`push_base64`], with bytes that are erased as they are written.
fn push_base64_and_erase(out: &mut Vec<u8>, bytes: &mut [u8], erase: fn(&mut [u8])) {
    /// A piece stays in the fastest memory. Without the last one, a piece is a multiple of three bytes, so it has no padding.
    const PIECE: usize = 12 << 10;

    out.push(b'"');
    for piece in bytes.chunks_mut(PIECE) {
        STANDARD.encode_append(&*piece, out);
        erase(piece);
    }
    out.push(b'"');
}

fn string_len(text: &str) -> usize {
    let len = |byte: u8| match byte {
        b'"' | b'\\' => 2,
        0..0x20 => 6,
        _ => 1,
    };
    text.bytes().map(len).sum()
}

fn push_string(out: &mut Vec<u8>, text: &str) {
    let is_plain = |byte: &u8| !matches!(byte, b'"' | b'\\' | 0..0x20);
    out.push(b'"');
    if text.as_bytes().iter().all(is_plain) {
        out.extend_from_slice(text.as_bytes());
    } else {
        push_escaped(out, text);
    }
    out.push(b'"');
}

fn push_escaped(out: &mut Vec<u8>, text: &str) {
    const HEX: [u8; 16] = *b"0123456789abcdef";
    let hex = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');

    for &byte in text.as_bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => {
                out.extend_from_slice(br"\u00");
                out.extend_from_slice(&[hex(byte >> 4), hex(byte & 0xf)]);
            }
            _ => out.push(byte),
        }
    }
}

//! Writes canonical, compact proto-JSON into one buffer of the right size.

use base64_simd::STANDARD;

use crate::{Metadata, OncePerMetadata, Payload, PayloadParts, payload::ExternalPayloadDetails};

/// What is before the payloads of a body, and behind them.
pub(super) const BEGINNING: &[u8] = br#"{"payloads":["#;
pub(super) const END: &[u8] = b"]}";

/// Writes `{"payloads":[…]}`. An empty list is written too, because clients expect it.
#[must_use]
pub fn write_payloads(payloads: &[Payload]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body_len(payloads));
    out.extend_from_slice(BEGINNING);
    push_all(&mut out, payloads);
    out.extend_from_slice(END);
    out
}

/// Writes a bare list, `[…]`.
#[must_use]
pub fn write_payload_list(payloads: &[Payload]) -> Vec<u8> {
    let mut out = Vec::with_capacity("[]".len() + all_len(payloads));
    out.push(b'[');
    push_all(&mut out, payloads);
    out.push(b']');
    out
}

/// Writes one payload object. Empty fields are left out.
#[must_use]
pub fn write_payload(payload: &Payload) -> Vec<u8> {
    let (metadata, external) = (&payload.metadata, &payload.external_payloads);
    let length = payload_len(payload, metadata_len(metadata), external_len(external));
    let mut out = Vec::with_capacity(length);
    push_payload(&mut out, payload);
    out
}

/// The length of a body with these payloads. It is exact: a buffer that grows would leave copies of plaintext behind, and take
/// more memory than was reserved.
pub(super) fn body_len(payloads: &[impl PayloadParts]) -> usize {
    Lengths::of(payloads).body()
}

/// The length of payloads and of the commas between them.
fn all_len(payloads: &[impl PayloadParts]) -> usize {
    Lengths::of(payloads).all
}

/// How long the text of payloads is.
#[derive(Clone, Copy)]
pub(super) struct Lengths {
    /// With the commas between them.
    all: usize,
    /// The longest metadata, or externally stored parts, of one payload.
    longest_member: usize,
}

impl Lengths {
    pub(super) fn of(payloads: &[impl PayloadParts]) -> Self {
        let mut metadata_lens = OncePerMetadata::default();
        let (mut all, mut longest_member) = (0, 0);
        for payload in payloads {
            let metadata = payload.metadata();
            let metadata = metadata_lens.get(metadata, || metadata_len(metadata));
            let external = external_len(payload.external_payloads());
            all += payload_len(payload, metadata, external) + ",".len();
            longest_member = longest_member.max(metadata).max(external);
        }
        Self {
            all: all.saturating_sub(",".len()),
            longest_member,
        }
    }

    /// The length of a body with these payloads.
    pub(super) const fn body(self) -> usize {
        BEGINNING.len() + self.all + END.len()
    }

    /// The length of the longest text that a payload has beside its data.
    pub(super) const fn longest_member(self) -> usize {
        self.longest_member
    }
}

fn payload_len(payload: &impl PayloadParts, metadata: usize, external: usize) -> usize {
    let data = match payload.data() {
        [] => 0,
        data => DATA.len() + base64_len(data) + "\"".len(),
    };
    let members = [metadata, data, external];
    let count = members.iter().filter(|length| **length > 0).count();
    "{}".len() + members.iter().sum::<usize>() + count.saturating_sub(1)
}

/// The length of the member, or 0 without metadata.
pub(super) fn metadata_len(metadata: &Metadata) -> usize {
    let entry =
        |(key, value): (&String, &Vec<u8>)| string_len(key) + ":\"\",".len() + base64_len(value);
    let entries: usize = metadata.iter().map(entry).sum();
    match entries {
        0 => 0,
        entries => METADATA.len() + entries - ",".len() + "}".len(),
    }
}

/// The length of the member, or 0 without externally stored parts.
pub(super) fn external_len(external: &[ExternalPayloadDetails]) -> usize {
    if external.is_empty() {
        return 0;
    }
    let detail = |detail: &ExternalPayloadDetails| match detail.size_bytes {
        0 => "{},".len(),
        size => r#"{"sizeBytes":""},"#.len() + decimal_len(size),
    };
    let details: usize = external.iter().map(detail).sum();
    EXTERNAL_PAYLOADS.len() + details - ",".len() + "]".len()
}

fn decimal_len(number: i64) -> usize {
    let digits = number.unsigned_abs().checked_ilog10().unwrap_or(0) + 1;
    digits as usize + usize::from(number < 0)
}

fn base64_len(bytes: &[u8]) -> usize {
    bytes.len().div_ceil(3) * 4
}

fn push_all(out: &mut Vec<u8>, payloads: &[Payload]) {
    let mut separator = Separator::default();
    for payload in payloads {
        separator.push(out);
        push_payload(out, payload);
    }
}

/// How the members of a payload begin.
const METADATA: &[u8] = br#""metadata":{"#;
const DATA: &[u8] = br#""data":""#;
const EXTERNAL_PAYLOADS: &[u8] = br#""externalPayloads":["#;

fn push_payload(out: &mut Vec<u8>, payload: &Payload) {
    let push = |out: &mut Vec<u8>| push_metadata(out, &payload.metadata);
    push_before_data(out, payload, push);
    STANDARD.encode_append(&payload.data, out);
    push_behind_data(out, payload);
}

/// Writes what is before the base64 of the data. `push_metadata` writes the member.
pub(super) fn push_before_data(
    out: &mut Vec<u8>,
    payload: &impl PayloadParts,
    push_metadata: impl FnOnce(&mut Vec<u8>),
) {
    out.push(b'{');
    let mut member = Separator::default();
    if !payload.metadata().is_empty() {
        member.push(out);
        push_metadata(out);
    }
    if !payload.data().is_empty() {
        member.push(out);
        out.extend_from_slice(DATA);
    }
}

/// Writes what is behind the base64 of the data.
pub(super) fn push_behind_data(out: &mut Vec<u8>, payload: &impl PayloadParts) {
    let has_data = !payload.data().is_empty();
    if has_data {
        out.push(b'"');
    }
    if !payload.external_payloads().is_empty() {
        let mut member = Separator {
            started: has_data || !payload.metadata().is_empty(),
        };
        member.push(out);
        push_external(out, payload.external_payloads());
    }
    out.push(b'}');
}

fn push_external(out: &mut Vec<u8>, external: &[ExternalPayloadDetails]) {
    out.extend_from_slice(EXTERNAL_PAYLOADS);
    let mut member = Separator::default();
    for external in external {
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

/// Writes the member.
pub(super) fn push_metadata(out: &mut Vec<u8>, metadata: &Metadata) {
    out.extend_from_slice(METADATA);
    let mut member = Separator::default();
    for (key, value) in metadata {
        member.push(out);
        push_string(out, key);
        out.push(b':');
        out.push(b'"');
        STANDARD.encode_append(value, out);
        out.push(b'"');
    }
    out.push(b'}');
}

/// Writes a comma before every member except the first.
#[derive(Default)]
pub(super) struct Separator {
    started: bool,
}

impl Separator {
    pub(super) fn push(&mut self, out: &mut Vec<u8>) {
        if self.started {
            out.push(b',');
        }
        self.started = true;
    }
}

/// With its quotes.
fn string_len(text: &str) -> usize {
    let len = |byte: u8| match byte {
        b'"' | b'\\' => 2,
        0..0x20 => 6,
        _ => 1,
    };
    text.bytes().map(len).sum::<usize>() + "\"\"".len()
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

//! Bodies of proto-JSON, whole and in parts: what the straight reader accepts, the other reader and `serde_json` read alike. What is
//! known from another body changes nothing.

#![no_main]

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use fuzz::json_value;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use temporal_kms_codec_proto::{
    Payload, Room, SharedPayload,
    json::{
        BodyPieces, LastMetadata, Limits, parse_any_shared_payloads, parse_payload,
        parse_payload_list, parse_payloads, parse_shared_payloads_in_parts, write_payload,
        write_payload_list, write_payloads,
    },
};

const LIMITS: Limits = Limits::new(8);
const ROOM: Room = Room {
    before: 9,
    behind: 5,
};
/// Longer than any error's text.
const LONGEST_ERROR: usize = 300;

fuzz_target!(|input: &[u8]| {
    let (body, next) = two_bodies(input);
    let read = parse_payloads(body, &LIMITS).map(|read| read.payloads);
    let shared = parse_shared_payloads_in_parts(&[body], &LIMITS, ROOM, &mut None);
    let shared = shared.map_or_else(|| parse_any_shared_payloads(body, &LIMITS), Ok);
    assert_eq!(read, shared.map(unshared));
    assert_eq!(read, parse_any_shared_payloads(body, &LIMITS).map(unshared));
    same_in_parts(body);
    same_after_another(body, next);
    match read {
        Ok(payloads) => {
            same_without_the_straight_way(body, &payloads);
            same_as_serde_json(body, &payloads);
            round_trip(&payloads);
        }
        Err(error) => assert!(error.to_string().len() < LONGEST_ERROR, "{error}"),
    }
    if let Ok(payload) = parse_payload(body) {
        assert_eq!(parse_payload(&write_payload(&payload)), Ok(payload));
    }
    let _ = parse_payload_list(body, &LIMITS);
});

/// A body, and the one that is read after it: the same, unless there are two, with the separator of JSON texts (RFC 7464)
/// between them.
fn two_bodies(input: &[u8]) -> (&[u8], &[u8]) {
    const SEPARATOR: u8 = 0x1e;
    let separator = input.iter().position(|byte| *byte == SEPARATOR);
    separator.map_or((input, input), |at| (&input[..at], &input[at + 1..]))
}

fn unshared(shared: Vec<SharedPayload>) -> Vec<Payload> {
    shared
        .into_iter()
        .map(SharedPayload::into_payload)
        .collect()
}

/// Reads a body with the last metadata of another one, as the codec server does.
fn same_after_another(first: &[u8], body: &[u8]) {
    let first = [first];
    let mut last = None;
    let before = parse_shared_payloads_in_parts(&first, &LIMITS, ROOM, &mut last);
    let Some((text, metadata)) = last else {
        return;
    };
    let known = (*metadata).clone();
    let slow = parse_any_shared_payloads(body, &LIMITS).map(unshared);
    for eighth in 0..8 {
        let (head, rest) = body.split_at(body.len() * eighth / 8);
        let (middle, tail) = rest.split_at(rest.len() / 2);
        let parts = [head, middle, tail];
        let mut last: LastMetadata<'_> = Some((text, metadata.clone()));
        let read = parse_shared_payloads_in_parts(&parts, &LIMITS, ROOM, &mut last);
        // Now with the last metadata of the body itself.
        let again = parse_shared_payloads_in_parts(&parts, &LIMITS, ROOM, &mut last);
        for read in [read, again].into_iter().flatten() {
            assert_eq!(slow, Ok(unshared(read)));
        }
    }
    let whole = [body];
    let mut last: LastMetadata<'_> = Some((text, metadata.clone()));
    let read = parse_shared_payloads_in_parts(&whole, &LIMITS, ROOM, &mut last);
    let unaided = parse_shared_payloads_in_parts(&whole, &LIMITS, ROOM, &mut None);
    assert_eq!(read, unaided);
    drop((before, read, last));
    // They were known before, so they are not erased.
    assert_eq!(*metadata, known);
}

/// The straight reader reads a body that is cut as it reads the whole one.
fn same_in_parts(body: &[u8]) {
    let whole = parse_shared_payloads_in_parts(&[body], &LIMITS, ROOM, &mut None);
    for eighth in 0..8 {
        let (head, rest) = body.split_at(body.len() * eighth / 8);
        let (middle, tail) = rest.split_at(rest.len() / 2);
        let parts = [head, middle, tail];
        let read = parse_shared_payloads_in_parts(&parts, &LIMITS, ROOM, &mut None);
        assert_eq!(read, whole);
    }
}

/// The straight reader gives up at an unknown member.
fn same_without_the_straight_way(body: &[u8], payloads: &[Payload]) {
    let end = body.iter().rposition(|byte| *byte == b'}');
    let (head, tail) = body.split_at(end.expect("a body is an object"));
    let is_empty = head.trim_ascii_end().ends_with(b"{");
    let member: &[u8] = if is_empty { b"\"~\":0" } else { b",\"~\":0" };
    let longer = [head, member, tail].concat();
    let read = parse_payloads(&longer, &LIMITS).map(|read| read.payloads);
    assert_eq!(read.as_deref(), Ok(payloads));
}

fn same_as_serde_json(body: &[u8], payloads: &[Payload]) {
    let Some(value) = json_value(body) else {
        return;
    };
    let all = value.get("payloads").and_then(Value::as_array);
    assert_eq!(all.map_or(0, Vec::len), payloads.len());
    for (value, payload) in all.into_iter().flatten().zip(payloads) {
        assert_eq!(bytes(value.get("data")), payload.data);
        let metadata = value.get("metadata").and_then(Value::as_object);
        let metadata = metadata.cloned().unwrap_or_default();
        assert_eq!(metadata.len(), payload.metadata.len());
        for (name, value) in &metadata {
            assert_eq!(payload.metadata.get(name), Some(&bytes(Some(value))));
        }
    }
}

/// Base64 of either alphabet, with or without padding.
fn bytes(value: Option<&Value>) -> Vec<u8> {
    let text = value.and_then(Value::as_str).unwrap_or_default();
    let standard = text.replace('-', "+").replace('_', "/");
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(&alphabet::STANDARD, config)
        .decode(standard)
        .expect("it is base64")
}

fn round_trip(payloads: &[Payload]) {
    let written = write_payloads(payloads);
    let read = parse_payloads(&written, &LIMITS).map(|read| read.payloads);
    assert_eq!(read.as_deref(), Ok(payloads));
    let list = write_payload_list(payloads);
    assert_eq!(parse_payload_list(&list, &LIMITS).as_deref(), Ok(payloads));
    let shared: Vec<_> = payloads.iter().cloned().map(SharedPayload::from).collect();
    let mut pieces = BodyPieces::new(shared, Some(|bytes| bytes.fill(0)));
    assert_eq!(pieces.left(), written.len());
    let mut text = Vec::new();
    while let Some(piece) = pieces.next_piece(64) {
        text.extend(piece);
    }
    assert_eq!(text, written);
}

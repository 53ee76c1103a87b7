//! Histories in JSON: however a document is cut, the same payloads are found, and every byte between them is kept.

#![no_main]

use libfuzzer_sys::fuzz_target;
use temporal_kms_codec_proto::json::{
    JsonError, Limits, Part, PayloadStream, find_payloads, replace_payloads,
};

const LIMITS: Limits = Limits::new(1000);
const LARGEST: usize = 1 << 20;

fuzz_target!(|input: (u8, &[u8])| {
    let (size, document) = input;
    let in_pieces = parts(document, usize::from(size) + 1);
    let at_once = parts(document, document.len().max(1));
    assert_eq!(in_pieces.is_ok(), at_once.is_ok());
    let found = find_payloads(document, &LIMITS);
    match (&in_pieces, &at_once) {
        (Ok(parts), Ok(others)) => {
            assert_eq!(payloads(parts), payloads(others));
            assert_eq!(together(parts), document);
        }
        (Err(JsonError::Empty), _) => assert!(document.trim_ascii().is_empty()),
        // Both readers refuse what is not JSON. A depth and a length of numbers are refused by one of them only.
        (Err(JsonError::Syntax { .. } | JsonError::Incomplete { .. }), _) => {
            assert!(found.is_err() || has_long_number(document));
        }
        _ => {}
    }
    let Ok(found) = found else { return };
    if let Ok(parts) = &in_pieces {
        let ranges = found.iter().map(|found| &document[found.range.clone()]);
        assert!(ranges.eq(payloads(parts).into_iter().map(|(json, _)| json)));
    }
    let readable: Vec<_> = found
        .iter()
        .filter_map(|found| Some((found.range.clone(), found.payload.as_ref().ok()?)))
        .collect();
    let replaced = replace_payloads(document, readable.iter().cloned());
    let again = find_payloads(&replaced, &LIMITS).expect("it was JSON before");
    let again: Vec<_> = again.into_iter().flat_map(|found| found.payload).collect();
    assert!(readable.into_iter().map(|(_, payload)| payload).eq(&again));
});

fn parts(document: &[u8], size: usize) -> Result<Vec<Part>, JsonError> {
    let mut stream = PayloadStream::new(LARGEST);
    let mut parts = Vec::new();
    for piece in document.chunks(size) {
        parts.extend(stream.push(piece)?);
    }
    parts.extend(stream.finish()?);
    Ok(parts)
}

fn payloads(parts: &[Part]) -> Vec<(&[u8], &str)> {
    let payload = |part| match part {
        &Part::Payload { ref json, ref at } => Some((json.as_slice(), at.path.as_str())),
        _ => None,
    };
    parts.iter().filter_map(payload).collect()
}

fn together(parts: &[Part]) -> Vec<u8> {
    let bytes = |part: &Part| match part {
        Part::Text(bytes) | Part::Payload { json: bytes, .. } => bytes.clone(),
        _ => Vec::new(),
    };
    parts.iter().flat_map(bytes).collect()
}

/// Numbers of more than 4,096 characters are read at once only.
fn has_long_number(document: &[u8]) -> bool {
    let is_of_number = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
    let mut runs = document.split(|byte| !is_of_number(byte));
    runs.any(|run| run.len() > 4096)
}

//! Documents that come in pieces.

use proptest::prelude::*;
use serde::de::IgnoredAny;

use super::super::{Limits, Part, PayloadStream, find_payloads};
use crate::json::JsonError;

const LARGE: usize = 1 << 20;

/// The parts of a document that comes in pieces of `size` bytes, with neighbouring texts put together.
fn parts(document: &[u8], size: usize, max_object: usize) -> Result<Vec<Part>, JsonError> {
    let mut stream = PayloadStream::new(max_object);
    let mut all: Vec<Part> = Vec::new();
    let mut add = |parts: Vec<Part>| {
        for part in parts {
            match (all.last_mut(), part) {
                (Some(Part::Text(before)), Part::Text(text)) => before.extend(text),
                (_, part) => all.push(part),
            }
        }
    };
    for piece in document.chunks(size) {
        add(stream.push(piece)?);
    }
    add(stream.finish()?);
    Ok(all)
}

fn payloads(parts: &[Part]) -> Vec<(String, String, Option<u64>)> {
    let payload = |part: &Part| match part {
        Part::Payload { json, at } => Some((
            String::from_utf8(json.clone()).unwrap(),
            at.path.clone(),
            at.event_id,
        )),
        _ => None,
    };
    parts.iter().filter_map(payload).collect()
}

fn together(parts: &[Part]) -> Vec<u8> {
    let bytes = |part: &Part| match part {
        Part::Text(bytes) | Part::Payload { json: bytes, .. } => bytes.clone(),
        Part::TooLong => Vec::new(),
    };
    parts.iter().flat_map(bytes).collect()
}

const PAYLOAD: &str = r#"{"metadata":{"encoding":"YQ=="},"data":"ä\"\\"}"#;

#[test]
fn places_are_told_however_the_document_is_cut() {
    let document = format!(
        r#"{{ "events": [ {{"eventId":"1", "a": {{"payloads":[ {PAYLOAD} , {PAYLOAD}]}}}},
           {{"eventId": 22, "h\u0065ader": {{"fields":{{"k": {PAYLOAD}}}}}}} ], "x": [1e400, -0.5, null, true] }}
           [{PAYLOAD}] {PAYLOAD}"#
    );
    let expected = [
        ("events[0].a.payloads[0]", Some(1)),
        ("events[0].a.payloads[1]", Some(1)),
        ("events[1].header.fields.k", Some(22)),
        ("[0]", None),
        ("", None),
    ];
    let expected = expected.map(|(path, id)| (PAYLOAD.to_owned(), path.to_owned(), id));
    for size in [1, 2, 3, 7, 64, 10_000] {
        for max_object in [LARGE, PAYLOAD.len()] {
            let parts = parts(document.as_bytes(), size, max_object).unwrap();
            assert_eq!(payloads(&parts), expected, "{size} {max_object}");
            assert_eq!(together(&parts), document.as_bytes());
        }
    }
}

#[test]
fn events_tell_their_time_and_the_last_one_its_type() {
    let event = |id: u64, kind: &str| {
        format!(
            r#"{{"eventId":"{id}","eventTime":"2026-11-0{id}T00:00:00Z","eventType":"{kind}","p":{PAYLOAD}}}"#
        )
    };
    let document = format!(
        r#"{{"events":[{},{}]}}"#,
        event(1, "STARTED"),
        event(2, "COMPLETED")
    );
    let mut stream = PayloadStream::new(LARGE);
    let found = stream.push(document.as_bytes()).unwrap();
    let last = stream.last_event().unwrap();
    assert_eq!((last.id, last.kind.as_deref()), (2, Some("COMPLETED")));
    assert_eq!(last.time.as_deref(), Some("2026-11-02T00:00:00Z"));
    let times: Vec<_> = found
        .iter()
        .filter_map(|part| match part {
            Part::Payload { at, .. } => at.event_time.as_deref(),
            _ => None,
        })
        .collect();
    assert_eq!(times, ["2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z"]);
}

#[test]
fn an_object_inside_of_a_payload_is_part_of_it() {
    let outer = r#"{"metadata":{"encoding":"YQ=="},"inner":{"metadata":{"encoding":"Yg=="}}}"#;
    for size in [1, 5, 1000] {
        let parts = parts(outer.as_bytes(), size, LARGE).unwrap();
        assert_eq!(payloads(&parts).len(), 1);
        assert_eq!(payloads(&parts)[0].0, outer);
    }
}

#[test]
fn memory_does_not_depend_on_the_length() {
    let mut stream = PayloadStream::new(1000);
    let mut written = 0;
    stream.push(br#"{"events":["#).unwrap();
    for number in 0..100_000 {
        let event = format!(r#"{{"eventId":"{number}","p":{PAYLOAD}}},"#);
        let parts = stream.push(event.as_bytes()).unwrap();
        written += payloads(&parts).len();
        assert!(stream.window.len() < 3000, "{}", stream.window.len());
    }
    stream.push(br#"""#).unwrap();
    for _ in 0..1000 {
        stream.push(&[b'a'; 1000]).unwrap();
        assert!(stream.window.len() < 6000, "{}", stream.window.len());
    }
    let parts = stream.push(br#""]}"#).unwrap();
    written += payloads(&parts).len();
    stream.finish().unwrap();
    assert_eq!(written, 100_000);
}

#[test]
fn a_payload_that_is_too_long_is_passed_on_and_told() {
    let data = format!(r#""data":"{}""#, "A".repeat(5000));
    let metadata = r#""metadata":{"encoding":"YQ=="}"#;
    for long in [
        format!("{{{metadata},{data}}}"),
        // Either may come first.
        format!("{{{data},{metadata}}}"),
    ] {
        let document = format!("[{long},{PAYLOAD},{{{data}}}]");
        for size in [1, 100, 20_000] {
            let parts = parts(document.as_bytes(), size, 1000).unwrap();
            assert_eq!(payloads(&parts).len(), if size > 5000 { 2 } else { 1 });
            let too_long = parts.iter().filter(|part| **part == Part::TooLong);
            assert_eq!(too_long.count(), usize::from(size < 5000), "{size}");
            assert_eq!(together(&parts), document.as_bytes());
        }
    }
}

#[test]
fn what_is_not_json_is_refused_with_its_place() {
    for (document, error) in [
        ("", "the body is empty"),
        (" \n ", "the body is empty"),
        ("{\"a\":\n[1,}", "line 2, column 4"),
        ("[1 2]", "line 1, column 4"),
        ("[1,]", "column 4"),
        ("{,}", "column 2"),
        ("{\"a\" 1}", "column 6"),
        ("{\"a\":1,}", "column 8"),
        ("]", "column 1"),
        ("[}", "column 2"),
        ("\"\u{1}\"", "column 2"),
        (r#""\x""#, "column 2"),
        (r#""\u00g0""#, "column 2"),
        ("nul", "column 1"),
        ("01", "column 1"),
        ("[", "ends too early"),
        ("{\"a\":", "ends too early"),
        ("\"a", "ends too early"),
    ] {
        for size in [1, 2, 1000] {
            let refused = parts(document.as_bytes(), size, LARGE)
                .unwrap_err()
                .to_string();
            assert!(refused.contains(error), "{document}: {refused}");
        }
    }
    for bytes in [&b"\"\xff\""[..], b"\"\xc3", b"[\"\xe2\x82\"]"] {
        let refused = parts(bytes, 1, LARGE).unwrap_err();
        assert!(matches!(refused, JsonError::NotUtf8 { .. }), "{refused}");
    }
    let deep = "[".repeat(20_000);
    let refused = parts(deep.as_bytes(), 1000, LARGE).unwrap_err();
    assert!(matches!(refused, JsonError::TooDeep { .. }), "{refused}");
}

proptest! {
    #[test]
    fn it_finds_what_is_found_in_the_whole_document(
        tokens in prop::collection::vec(prop::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"metadata\"", "\"data\"", "\"encoding\"", "\"YQ==\"", "null", "1", "-2e5", "true",
            r#"{"metadata":{"encoding":"YQ=="},"data":"eA=="}"#, r#""metadata":{"encoding":"YQ=="}"#, " ", "\n", "\"ä\\n\"",
        ]), 0..30),
        size in 1_usize..20,
    ) {
        let document: String = tokens.concat();
        let is_json = serde_json::Deserializer::from_str(&document).into_iter::<IgnoredAny>().all(|part| part.is_ok());
        match parts(document.as_bytes(), size, LARGE) {
            Ok(parts) => {
                prop_assert_eq!(together(&parts), document.as_bytes());
                // Of values without a separator one reader accepts more than the other.
                if let Ok(found) = find_payloads(document.as_bytes(), &Limits::new(1000)) {
                    let found: Vec<_> = found.into_iter().map(|found| document[found.range].to_owned()).collect();
                    let streamed: Vec<_> = payloads(&parts).into_iter().map(|(json, _, _)| json).collect();
                    prop_assert_eq!(streamed, found);
                }
            }
            Err(JsonError::Empty) => prop_assert!(document.trim().is_empty()),
            Err(_) => prop_assert!(!is_json, "{}", document),
        }
    }
}

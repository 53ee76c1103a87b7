//! The bodies that the straight reader reads as the general one does, and those that it leaves to it.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};
use proptest::{collection, prelude::*, sample::select};

use super::*;
use crate::{
    Payload,
    json::{read::parse_any_payloads, write_payloads},
};

const LIMITS: Limits = Limits { max_payloads: 3 };
const ROOM: Room = Room {
    before: 9,
    behind: 5,
};

fn read_bytes(body: &[u8]) -> Option<Vec<Payload>> {
    let shared = payloads(body, &LIMITS)?;
    Some(
        shared
            .into_iter()
            .map(SharedPayload::into_payload)
            .collect(),
    )
}

fn read(body: &str) -> Option<Vec<Payload>> {
    read_bytes(body.as_bytes())
}

#[test]
fn the_forms_of_clients_are_read_the_straight_way() {
    for usual in [
        r#"{"payloads":[]}"#,
        r#"{"payloads":[{}]}"#,
        r#"{"payloads":[{"metadata":{},"data":""}]}"#,
        r#"{"payloads":[{"metadata":{"encoding":"anNvbi9wbGFpbg=="},"data":"MQ=="}]}"#,
        r#"{"payloads":[{"data":"MQ==","metadata":{"encoding":"anNvbi9wbGFpbg"}}]}"#,
        r#"{"payloads":[{"data":"\u0051Q\u003d\u003D","metadata":{"a":"\/w\u003d="}}]}"#,
        "{ \"payloads\" : [\n {\t\"metadata\" : { \"a\" : \"QQ==\" , \"b\":\"_w\" }\r } , {} ] } \n",
    ] {
        assert!(read(usual).is_some(), "{usual}");
    }
}

#[test]
fn everything_else_is_left_to_the_other_reader() {
    for other in [
        "",
        "{}",
        r#"{"payloads":null}"#,
        r#"{"payloads":[null]}"#,
        r#"{"payloads":[{"metadata":null}]}"#,
        r#"{"payloads":[{"data":null}]}"#,
        r#"{"payloads":[{"data":"Q\nQ=="}]}"#,
        r#"{"payloads":[{"data":"\u0151Q=="}]}"#,
        r#"{"payloads":[{"data":"\u+51Q=="}]}"#,
        r#"{"payloads":[{"data":"\u 51Q=="}]}"#,
        r#"{"payloads":[{"data":"\Q=="}]}"#,
        r#"{"payloads":[{"data":"QQ=\u"}]}"#,
        r#"{"payloads":[{"data":"QQ==\ "}]}"#,
        r#"{"payloads":[{"data":"\u0022"}]}"#,
        r#"{"payloads":[{"data":"QQ\u003d"#,
        r#"{"payloads":[{"data":"+_\u003d="}]}"#,
        r#"{"payloads":[{"metadata":{"\u0061":"QQ=="}}]}"#,
        r#"{"payloads":[{"metadata":{"a":"\u005c"}}]}"#,
        r#"{"payloads":[{"externalPayloads":[]}]}"#,
        r#"{"payloads":[{"unknown":"QQ=="}]}"#,
        r#"{"payloads":[{"data":"","data":""}]}"#,
        r#"{"payloads":[{"metadata":{"a":"","a":""}}]}"#,
        r#"{"payloads":[{},{},{},{}]}"#,
        r#"{"payloads":[{},]}"#,
        r#"{"payloads":[{"data""metadata":{}}]}"#,
        r#"{"payloads":[{"metadata""data":""}]}"#,
        r#"{"payloads":[{"data""data":""}]}"#,
        r#"{"payloads""payloads":[]}"#,
        r#"{"payloads":[{"metadata":{"a""a":""}}]}"#,
        r#"{"payloads":[{}],"more":1}"#,
        r#"{"payloads":[{}]}}"#,
        "{\"payloads\":[{\"metadata\":{\"a\nb\":\"\"}}]}",
    ] {
        assert_eq!(read(other), None, "{other}");
    }
    let entries: Vec<_> = (0..=MAX_METADATA).map(|n| format!(r#""{n}":"""#)).collect();
    let body = |entries: &[String]| {
        format!(
            r#"{{"payloads":[{{"metadata":{{{}}}}}]}}"#,
            entries.join(",")
        )
    };
    assert!(read(&body(&entries[1..])).is_some());
    assert_eq!(read(&body(&entries)), None);
}

#[test]
fn data_end_at_their_own_quote() {
    // With the length of the first data, the second would end behind the name.
    let body = r#"{"payloads":[{"data":"MTIzNDU2Nzg5MDEy"},{"data":"QQ==" ,"metadata":{}},{"data":"QQ=="}]}"#;
    let read = read(body).unwrap();
    let data: Vec<_> = read.iter().map(|payload| payload.data.as_slice()).collect();
    assert_eq!(data, [&b"123456789012"[..], b"A", b"A"]);
}

#[test]
fn metadata_are_those_of_the_payload_itself() {
    let body = r#"{"payloads":[{"metadata":{"a":"QQ=="}},{},{"metadata":{"a":"QQ=="}}]}"#;
    let read = read(body).unwrap();
    assert_eq!(read[0], read[2]);
    assert!(read[1].metadata.is_empty());
}

#[test]
fn a_body_may_be_cut_anywhere() {
    let body = br#" { "payloads" : [ { "metadata" : { "encoding" : "anNvbi9wbGFpbg==" , "n" : "" } , "data" : "MTIzNDU2Nzg5MA==" } , { "metadata" : { "encoding" : "anNvbi9wbGFpbg==" , "n" : "" } } ] } "#;
    let whole = payloads(body, &LIMITS);
    assert_eq!(whole.as_ref().map(Vec::len), Some(2));
    let read = |parts: &[&[u8]]| payloads_in_parts(parts, &LIMITS, ROOM, &mut None);
    for first in 0..=body.len() {
        for second in [first, first + 1, first + 2, first + 40, body.len()] {
            let parts = cut(body, &[first, second]);
            assert_eq!(read(&parts), whole, "{first} {second}");
        }
    }
    let bytes: Vec<&[u8]> = body.chunks(1).collect();
    assert_eq!(read(&bytes), whole);
    assert_eq!(read(&[]), None);
    assert_eq!(read(&[b"", b""]), None);
}

#[test]
fn metadata_across_a_cut_are_not_kept() {
    let body = br#"{"payloads":[{"metadata":{"a":"QQ=="}}]}"#;
    for (at, is_kept) in [(20, true), (24, true), (30, false), (37, true)] {
        let mut last = None;
        let parts = cut(body, &[at]);
        assert!(payloads_in_parts(&parts, &LIMITS, ROOM, &mut last).is_some());
        let text = last.map(|(text, _)| text);
        assert_eq!(text, is_kept.then_some(&br#"{"a":"QQ=="}"#[..]), "{at}");
    }
}

fn cut<'b>(body: &'b [u8], cuts: &[usize]) -> Vec<&'b [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| *cut.min(&body.len())).collect();
    cuts.extend([0, body.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|cut| &body[cut[0]..cut[1]]).collect()
}

proptest! {
    /// The vector instructions start at any byte. Words are looked at before them.
    #[test]
    fn the_end_of_a_piece_is_found(text in "[a-z]{0,40}(\"|\\\\)?[a-z\"\\\\!#\\[\\]é]{0,40}") {
        let is_end = |byte: &u8| matches!(byte, b'"' | b'\\');
        let end = text.as_bytes().iter().position(is_end);
        prop_assert_eq!(end_of_piece(text.as_bytes()), end.unwrap_or(text.len()));
    }

    /// A body in parts means what it means in one.
    #[test]
    fn parts_mean_what_the_whole_means(
        metadata in collection::btree_map("[a-z]{1,6}", collection::vec(any::<u8>(), 0..9), 0..3),
        data in collection::vec(any::<u8>(), 0..300),
        count in 0usize..4,
        cuts in collection::vec(0usize..1200, 0..6),
        damage in proptest::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let mut body = write_payloads(&vec![Payload { metadata, data, external_payloads: vec![] }; count]);
        if let Some((at, byte)) = damage {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let whole = payloads(&body, &LIMITS);
        let parts = cut(&body, &cuts);
        let read = payloads_in_parts(&parts, &LIMITS, ROOM, &mut None);
        prop_assert_eq!(&read, &whole);
        // What is known from another body changes nothing.
        let (text, known) = (br#"{"a":"QQ=="}"#, Metadata::from([("a".to_owned(), b"A".to_vec())]));
        let mut last: Last<'_> = Some((&text[..], Arc::new(known)));
        let parts = [body.as_slice()];
        prop_assert_eq!(&payloads_in_parts(&parts, &LIMITS, ROOM, &mut last), &whole);
        prop_assert_eq!(&payloads_in_parts(&parts, &LIMITS, ROOM, &mut last), &whole);
    }

    /// What is read the straight way is what the other reader reads.
    #[test]
    fn both_ways_agree(
        parts in collection::vec(select(vec![
            "{", "}", "[", "]", ":", ",", "\"payloads\":[{\"metadata\":{", "\"data\"", "\"metadata\"", "\"encoding\":\"QQ==\"",
            "\"metadata\":{\"a\":\"QQ==\"}", "},{", "}]}", "{\"payloads\":[{", "\"b\":\"_-8\"", "null", "\"QQ==\"",
            "\"\"", " ", "\n", "1", "\\", "\"\\u0061\"", "\u{1}", "é",
            "\"\\u0051Q\\u003d=\"", "\"\\/w\\u003D\"", "\"\\u002d_8\"", "\"c\":\"QQ\\u003d\\u003d\"", "\"\\n\"",
        ]), 0..16),
        is_begun in any::<bool>(),
        cuts in collection::vec(0usize..120, 0..6),
    ) {
        let begin = if is_begun { "{\"payloads\":[{" } else { "" };
        let end = if is_begun { "}]}" } else { "" };
        let body = [begin, &parts.concat(), end].concat();
        let whole = payloads(body.as_bytes(), &LIMITS);
        let in_parts = payloads_in_parts(&cut(body.as_bytes(), &cuts), &LIMITS, ROOM, &mut None);
        prop_assert_eq!(&in_parts, &whole);
        if let Some(fast) = read(&body) {
            let slow = parse_any_payloads(body.as_bytes(), &LIMITS).map(|all| all.payloads);
            prop_assert_eq!(Ok(fast), slow);
        }
    }

    /// Data of few lengths, so that one is often as long as the last one, and texts that are not base64.
    #[test]
    fn data_of_any_length_and_form_are_read_alike(
        texts in collection::vec("[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{6}==|[A-Za-z0-9_-]{4}|[A-Za-z0-9]{2}|[A-Z=\"\\\\ ,]{0,5}|([A-Za-z0-9+/]|\\\\/|\\\\u00[2-7][0-9a-fA-F]){0,8}(=|\\\\u003[dD]){0,2}", 1..4),
        cuts in collection::vec(0usize..90, 0..4),
    ) {
        let payloads: Vec<_> = texts.iter().map(|text| format!(r#"{{"data":"{text}"}}"#)).collect();
        let body = format!(r#"{{"payloads":[{}]}}"#, payloads.join(","));
        let slow = parse_any_payloads(body.as_bytes(), &LIMITS).map(|all| all.payloads);
        let parts = cut(body.as_bytes(), &cuts);
        let in_parts = payloads_in_parts(&parts, &LIMITS, ROOM, &mut None);
        let in_parts = in_parts.map(|all| all.into_iter().map(SharedPayload::into_payload).collect());
        let whole = read(&body);
        prop_assert_eq!(&in_parts, &whole);
        if let Some(fast) = whole {
            prop_assert_eq!(Ok(fast), slow);
        }
    }

    /// Base64 with escapes is read the straight way, in any form and wherever the body is cut.
    #[test]
    fn escapes_in_base64_are_read_the_straight_way(
        bytes in collection::vec(any::<u8>(), 0..70),
        form in 0usize..4,
        escapes in collection::vec(0usize..5, 1..9),
        cuts in collection::vec(0usize..400, 0..6),
    ) {
        let engines = [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD];
        let text = engines[form].encode(&bytes);
        let escape = |(character, how): (char, &usize)| match how {
            0 => format!("\\u{:04x}", u32::from(character)),
            1 => format!("\\u{:04X}", u32::from(character)),
            2 if character == '/' => "\\/".to_owned(),
            _ => character.to_string(),
        };
        let text: String = text.chars().zip(escapes.iter().cycle()).map(escape).collect();
        let body = format!(r#"{{"payloads":[{{"metadata":{{"a":"{text}"}},"data":"{text}"}}]}}"#);
        let metadata = [("a".to_owned(), bytes.clone())].into();
        let expected = vec![Payload { metadata, data: bytes, external_payloads: vec![] }];
        let slow = parse_any_payloads(body.as_bytes(), &LIMITS).map(|all| all.payloads);
        prop_assert_eq!(slow, Ok(expected.clone()));
        prop_assert_eq!(read(&body), Some(expected.clone()));
        let parts = cut(body.as_bytes(), &cuts);
        let in_parts = payloads_in_parts(&parts, &LIMITS, ROOM, &mut None);
        let unshared = |all: Vec<SharedPayload>| -> Vec<Payload> {
            all.into_iter().map(SharedPayload::into_payload).collect()
        };
        prop_assert_eq!(in_parts.map(unshared), Some(expected));
    }

    /// What is written is read the straight way, and damage to it is read in the same way by both or by one only.
    #[test]
    fn written_bodies_are_read_and_damaged_ones_alike(
        names in collection::vec("[a-z-]{1,6}|.{0,3}", 0..4),
        data in collection::vec(any::<u8>(), 0..70),
        count in 0usize..4,
        (at, byte) in (any::<prop::sample::Index>(), any::<u8>()),
    ) {
        let metadata: Metadata = names.into_iter().map(|name| (name, data.clone())).collect();
        let is_plain = count == 0 || metadata.keys().all(|name| !name.contains(['"', '\\']) && !name.contains(|c| c < ' '));
        let all = vec![Payload { metadata, data, external_payloads: vec![] }; count];
        let mut body = write_payloads(&all);
        prop_assert_eq!(read_bytes(&body), is_plain.then_some(all));
        let at = at.index(body.len());
        body[at] = byte;
        if let Some(fast) = read_bytes(&body) {
            let slow = parse_any_payloads(&body, &LIMITS).map(|all| all.payloads);
            prop_assert_eq!(Ok(fast), slow);
        }
    }
}

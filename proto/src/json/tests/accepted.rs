//! What is accepted, and how it is written again.

use super::*;
use crate::payload::ExternalPayloadDetails;

#[test]
fn reads_what_clients_send() {
    let body = r#"{"payloads":[{"metadata":{"encoding":"anNvbi9wbGFpbg=="},"data":"ImhpIg=="}]}"#;
    assert_eq!(
        parse(body),
        Ok(vec![payload(&[("encoding", b"json/plain")], b"\"hi\"")])
    );
}

#[test]
fn missing_and_null_fields_are_empty() {
    assert_eq!(parse("{}"), Ok(vec![]));
    assert_eq!(parse(r#"{"payloads":null}"#), Ok(vec![]));
    assert_eq!(parse(r#"{"payloads":[]}"#), Ok(vec![]));
    for one in [
        "{}",
        r#"{"metadata":null,"data":null}"#,
        r#"{"externalPayloads":null}"#,
        r#"{"external_payloads":[]}"#,
    ] {
        let body = format!(r#"{{"payloads":[{one}]}}"#);
        assert_eq!(parse(&body), Ok(vec![Payload::default()]), "{one}");
    }
}

#[test]
fn null_metadata_value_is_empty() {
    let body = r#"{"payloads":[{"metadata":{"encoding":"Yg==","empty":null,"blank":""}}]}"#;
    let expected = payload(&[("encoding", b"b"), ("empty", b""), ("blank", b"")], b"");
    assert_eq!(parse(body), Ok(vec![expected]));
}

#[test]
fn base64_in_either_alphabet_padded_or_not() {
    // 0xfb 0xff 0xfe is `+//+`, in the URL-safe alphabet `-__-`.
    for (text, bytes) in [
        ("+//+", &b"\xfb\xff\xfe"[..]),
        ("-__-", b"\xfb\xff\xfe"),
        ("+/8=", b"\xfb\xff"),
        ("+/8", b"\xfb\xff"),
        ("-_8=", b"\xfb\xff"),
        ("-_8", b"\xfb\xff"),
        ("QQ==", b"A"),
        ("QQ", b"A"),
        (r"\u0051Q", b"A"),
        (r"+\/8", b"\xfb\xff"),
    ] {
        let body = format!(r#"{{"payloads":[{{"data":"{text}"}}]}}"#);
        assert_eq!(parse(&body), Ok(vec![payload(&[], bytes)]), "{text}");
    }
}

#[test]
fn external_payloads_in_both_spellings() {
    let expected = Payload {
        external_payloads: vec![ExternalPayloadDetails { size_bytes: 1_234 }],
        ..Payload::default()
    };
    for field in [
        r#""externalPayloads":[{"sizeBytes":"1234"}]"#,
        r#""externalPayloads":[{"sizeBytes":1234}]"#,
        r#""external_payloads":[{"size_bytes":1234}]"#,
        r#""external_payloads":[{"size_bytes":"1234","storage":"s3"}]"#,
    ] {
        let body = format!(r#"{{"payloads":[{{{field}}}]}}"#);
        assert_eq!(parse(&body), Ok(vec![expected.clone()]), "{field}");
    }
    for (value, size) in [
        ("{}", 0),
        (r#"{"sizeBytes":null}"#, 0),
        (r#"{"sizeBytes":-1}"#, -1),
    ] {
        let body = format!(r#"{{"payloads":[{{"externalPayloads":[{value}]}}]}}"#);
        let parsed = parse(&body).expect("parses");
        assert_eq!(parsed[0].external_payloads[0].size_bytes, size, "{value}");
    }
}

#[test]
fn unknown_fields_are_ignored_at_every_level() {
    let body = r#"{"v":{"payloads":[1]},"payloads":[{"x":[{}],"payloads":7,"data":"QQ==",
        "externalPayloads":[{"y":null}]}],"z":"…"}"#;
    let expected = Payload {
        external_payloads: vec![ExternalPayloadDetails::default()],
        ..payload(&[], b"A")
    };
    assert_eq!(parse(body), Ok(vec![expected]));
}

#[test]
fn deeply_nested_unknown_fields_cost_no_stack() {
    let body = format!(
        r#"{{"x":{}{},"payloads":[{{}}]}}"#,
        "[".repeat(200_000),
        "]".repeat(200_000)
    );
    assert_eq!(parse(&body), Ok(vec![Payload::default()]));
}

#[test]
fn writes_canonical_json() {
    let full = Payload {
        external_payloads: vec![
            ExternalPayloadDetails { size_bytes: 9 },
            ExternalPayloadDetails::default(),
        ],
        ..payload(
            &[("encoding", b"json/plain"), ("we\"ird\\\u{7}", b"")],
            b"A",
        )
    };
    let written = write_payloads(&[full, Payload::default()]);
    let expected = concat!(
        r#"{"payloads":[{"metadata":{"encoding":"anNvbi9wbGFpbg==","we\"ird\\\u0007":""},"data":"QQ==","#,
        r#""externalPayloads":[{"sizeBytes":"9"},{}]},{}]}"#
    );
    assert_eq!(String::from_utf8(written).expect("text"), expected);
    assert_eq!(write_payloads(&[]), br#"{"payloads":[]}"#);
    assert_eq!(write_payload_list(&[Payload::default()]), b"[{}]");
}

#[test]
fn single_payloads_and_bare_lists() {
    assert_eq!(parse_payload(br#"{"data":"QQ"}"#), Ok(payload(&[], b"A")));
    let error = parse_payload(br#"{"data":"?"}"#)
        .expect_err("refused")
        .to_string();
    assert!(error.starts_with("`data` is not base64"), "{error}");
    let error = parse_payload(b"null").expect_err("refused").to_string();
    assert!(
        error.starts_with("the body is null; expected a payload"),
        "{error}"
    );
    assert_eq!(
        parse_payload_list(br#"[{"data":"QQ"}]"#, &LIMITS),
        Ok(vec![payload(&[], b"A")])
    );
}

#[test]
fn odd_numbers_and_surrogates_in_unknown_fields_do_no_harm() {
    for value in [
        "1e400",
        "-0",
        "9223372036854775808",
        "1e-400",
        "123456789012345678901234567890",
        r#""\ud83d\ude00""#,
        r#"{"\u0000":1}"#,
    ] {
        let body = format!(r#"{{"x":{value},"payloads":[{{"y":{value}}}]}}"#);
        assert!(
            matches!(
                parse(&body).as_deref(),
                Ok([_]) | Err(JsonError::Syntax { .. })
            ),
            "{value}: {:?}",
            parse(&body)
        );
    }
}

#[test]
fn a_key_may_hold_any_character() {
    let body = r#"{"payloads":[{"metadata":{"a\u0000b":"QQ==","\ud83d\ude00":"QQ"}}]}"#;
    let expected = payload(&[("a\0b", b"A"), ("\u{1f600}", b"A")], b"");
    assert_eq!(parse(body), Ok(vec![expected]));
}

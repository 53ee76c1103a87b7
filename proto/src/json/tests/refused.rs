//! What is refused, and the words of the errors.

use super::*;

fn refused(body: &str) -> String {
    parse(body).expect_err("refused").to_string()
}

#[test]
fn what_is_no_base64_is_refused_without_being_shown() {
    for text in [
        "sk-secret",
        "QQ===",
        "Q",
        "Q Q=",
        "QQ\\n",
        "+_8=",
        "=QQ=",
        "QR==",
        "é",
    ] {
        let body = format!(r#"{{"payloads":[{{}},{{"data":"{text}"}}]}}"#);
        let error = refused(&body);
        assert!(
            error.starts_with("`payloads[1].data` is not base64, at line 1, "),
            "{text}: {error}"
        );
        let body = format!(r#"{{"payloads":[{{"metadata":{{"sk-key":"{text}"}}}}]}}"#);
        let error = refused(&body);
        assert!(
            error.starts_with("`payloads[0].metadata.*` is not base64"),
            "{text}: {error}"
        );
        assert!(!error.contains("sk-"), "{error}");
    }
}

#[test]
fn sizes_that_are_no_64_bit_integers_are_refused() {
    for value in [
        r#""12k""#,
        "1.5",
        "9223372036854775808",
        r#"" 1""#,
        "true",
        "[]",
        "{}",
    ] {
        let error = refused(&format!(
            r#"{{"payloads":[{{"externalPayloads":[{{"sizeBytes":{value}}}]}}]}}"#
        ));
        assert!(
            error.starts_with("`payloads[0].externalPayloads[].sizeBytes` is not a 64-bit integer"),
            "{value}: {error}"
        );
    }
}

#[test]
fn empty_bodies_are_refused() {
    for body in ["", " ", "\r\n\t"] {
        assert_eq!(parse(body), Err(JsonError::Empty));
        assert_eq!(parse_payload(body.as_bytes()), Err(JsonError::Empty));
    }
}

#[test]
fn null_payloads_are_refused() {
    let error = refused(r#"{"payloads":[{"data":""},null]}"#);
    assert!(
        error.starts_with("`payloads[1]` is null; expected a payload object"),
        "{error}"
    );
}

#[test]
fn bodies_that_are_no_object_are_refused() {
    for body in [
        "null",
        "[]",
        "1",
        "true",
        r#""sk-secret""#,
        r#"[{"payloads":[]}]"#,
    ] {
        let error = refused(body);
        assert!(
            error.starts_with("the body is not an object with a list `payloads`, at line 1"),
            "{body}: {error}"
        );
        assert!(!error.contains("sk-"), "{error}");
    }
}

#[test]
fn values_of_another_type_are_refused_by_name_not_by_content() {
    for (body, expected) in [
        (r#"{"payloads":"sk-1"}"#, "`payloads` is not a list"),
        (r#"{"payloads":{"sk-1":1}}"#, "`payloads` is not a list"),
        (
            r#"{"payloads":["sk-1"]}"#,
            "`payloads[0]` is not a payload object",
        ),
        (
            r#"{"payloads":[{},["sk-1"]]}"#,
            "`payloads[1]` is not a payload object",
        ),
        (
            r#"{"payloads":[{"data":917}]}"#,
            "`payloads[0].data` is not a base64 string",
        ),
        (
            r#"{"payloads":[{"data":["sk-1"]}]}"#,
            "`payloads[0].data` is not a base64 string",
        ),
        (
            r#"{"payloads":[{"metadata":"sk-1"}]}"#,
            "`payloads[0].metadata` is not an object",
        ),
        (
            r#"{"payloads":[{"metadata":{"a":{"sk-1":1}}}]}"#,
            "`payloads[0].metadata.*` is not a base64",
        ),
        (
            r#"{"payloads":[{"externalPayloads":"sk-1"}]}"#,
            "`payloads[0].externalPayloads` is not a list",
        ),
        (
            r#"{"payloads":[{"externalPayloads":[917]}]}"#,
            "`payloads[0].externalPayloads[]` is not an object",
        ),
    ] {
        let error = refused(body);
        assert!(error.starts_with(expected), "{body}: {error}");
        assert!(!error.contains("sk-1") && !error.contains("917"), "{error}");
    }
}

#[test]
fn malformed_json_is_refused_with_its_position() {
    for body in [
        "{\"payloads\":[]}x",
        "{\"payloads\":[]}{}",
        "{\"payloads\":[],}",
        "{payloads:[]}",
        "{\"payloads\":[{\"data\":\"\u{1}\"}]}",
        "\u{feff}{}",
        "{'payloads':[]}",
    ] {
        assert!(
            matches!(parse(body), Err(JsonError::Syntax { .. })),
            "{body}: {:?}",
            parse(body)
        );
    }
    for body in [
        "{",
        "{\"payloads\"",
        "{\"payloads\":[{\"data\":\"QQ",
        "{\"payloads\":[{}]",
    ] {
        assert!(
            matches!(parse(body), Err(JsonError::Incomplete { .. })),
            "{body}: {:?}",
            parse(body)
        );
    }
    assert_eq!(
        parse("{\n  \"payloads\": [nil]}")
            .expect_err("refused")
            .to_string(),
        "not JSON: unexpected character at line 2, column 17; correct the JSON there"
    );
    assert_eq!(
        parse_payloads(b"{\"payloads\":[],\"\xff\":1}", &LIMITS),
        Err(JsonError::NotUtf8 { offset: 16 })
    );
}

#[test]
fn duplicates_are_refused() {
    for (body, expected) in [
        (
            r#"{"payloads":[],"payloads":[]}"#,
            "`payloads` is given twice",
        ),
        (
            r#"{"payloads":null,"payloads":[]}"#,
            "`payloads` is given twice",
        ),
        (
            r#"{"payloads":[{"data":"","data":""}]}"#,
            "`payloads[0].data` is given twice",
        ),
        (
            r#"{"payloads":[{"data":"","d\u0061ta":""}]}"#,
            "`payloads[0].data` is given twice",
        ),
        (
            r#"{"payloads":[{"metadata":{},"metadata":{}}]}"#,
            "`payloads[0].metadata` is given twice",
        ),
        (
            r#"{"payloads":[{"metadata":{"sk-1":"","sk-1":""}}]}"#,
            "`payloads[0].metadata.*` is given twice",
        ),
        (
            r#"{"payloads":[{"externalPayloads":[],"external_payloads":[]}]}"#,
            "`payloads[0].externalPayloads` is given twice",
        ),
        (
            r#"{"payloads":[{"externalPayloads":[{"sizeBytes":1,"size_bytes":1}]}]}"#,
            "`payloads[0].externalPayloads[].sizeBytes` is given twice",
        ),
    ] {
        let error = refused(body);
        assert!(error.starts_with(expected), "{body}: {error}");
        assert!(!error.contains("sk-1"), "{error}");
    }
}

#[test]
fn too_many_payloads_are_refused_before_they_are_read() {
    assert_eq!(
        parse(r#"{"payloads":[{},{},{}]}"#).map(|all| all.len()),
        Ok(3)
    );
    // The fourth is not a payload, but reading stops before it.
    assert_eq!(
        parse(r#"{"payloads":[{},{},{},"sk-1""#),
        Err(JsonError::TooManyPayloads { limit: 3 })
    );
}

#[test]
fn more_metadata_than_any_payload_has_is_refused_while_reading() {
    let entries = |count: usize| -> String {
        let entries: Vec<String> = (0..count).map(|n| format!(r#""k{n}":"""#)).collect();
        format!(
            r#"{{"payloads":[{{"metadata":{{{}}}}}]}}"#,
            entries.join(",")
        )
    };
    assert!(parse(&entries(64)).is_ok());
    let error = refused(&entries(65));
    assert!(
        error.starts_with("`payloads[0].metadata` has more than 64 entries"),
        "{error}"
    );
    // The rest would be refused as malformed, but it is not read.
    let cut = entries(1000).replace("\"k999\"", "garbage");
    assert!(refused(&cut).contains("more than 64"));
}

#[test]
fn more_externally_stored_parts_than_any_payload_has_are_refused() {
    for name in ["externalPayloads", "external_payloads"] {
        let list = |count: usize| {
            format!(
                r#"{{"payloads":[{{"{name}":[{}]}}]}}"#,
                vec!["{}"; count].join(",")
            )
        };
        assert!(parse(&list(64)).is_ok());
        let error = refused(&list(65));
        assert!(
            error.starts_with("`payloads[0].externalPayloads` has more than 64 entries"),
            "{error}"
        );
    }
}

#[test]
fn lone_surrogates_are_refused_wherever_text_is_kept() {
    for body in [
        r#"{"payloads":[{"metadata":{"\ud800":""}}]}"#,
        r#"{"payloads":[{"metadata":{"a":"\udc00"}}]}"#,
        r#"{"payloads":[{"data":"\ud83d"}]}"#,
        r#"{"payloads":[{"data":"\ud83dQQ"}]}"#,
    ] {
        assert!(parse(body).is_err(), "{body}");
    }
}

#[test]
fn every_error_names_its_place_and_says_what_to_do() {
    use JsonError as E;
    let at = Position { line: 3, column: 7 };
    let place = Place {
        payload: Some(1),
        field: Field::Data,
    };
    let limit = 64;
    let all = [
        E::Empty,
        E::NotUtf8 { offset: 16 },
        E::Syntax { at },
        E::Incomplete { at },
        E::TooDeep { at },
        E::Shape { place, at },
        E::NotBase64 { place, at },
        E::NullPayload { place, at },
        E::TooManyPayloads { limit },
        E::TooMany { place, limit, at },
        E::Duplicate { place, at },
    ];
    for error in all {
        // A new variant does not compile until it is here.
        let (subject, remedy) = match error {
            E::Empty => ("the body", "send JSON"),
            E::NotUtf8 { .. } => ("byte 16", "send UTF-8"),
            E::Syntax { .. } => ("line 3, column 7", "correct the JSON"),
            E::Incomplete { .. } => ("line 3, column 7", "send the whole document"),
            E::TooDeep { .. } => ("line 3, column 7", "send payloads as"),
            E::Shape { .. } => ("`payloads[1].data` is not a base64 string", "correct"),
            E::NotBase64 { .. } => ("`payloads[1].data`", "encode its bytes"),
            E::NullPayload { .. } => ("`payloads[1].data`", "remove it"),
            E::TooManyPayloads { .. } => ("more than 64 payloads", "send fewer"),
            E::TooMany { .. } => ("`payloads[1].data` has more than 64", "send fewer"),
            E::Duplicate { .. } => ("`payloads[1].data`", "give it once"),
        };
        let text = error.to_string();
        assert!(text.contains(subject) && text.contains(remedy), "{text}");
    }
}

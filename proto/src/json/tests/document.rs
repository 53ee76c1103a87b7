//! Payloads inside of larger documents.

use super::*;

#[test]
fn finds_payloads_inside_a_history_and_leaves_the_rest_alone() {
    let history = r#"{"events": [
      {"eventId": "1", "metadata": {"sdk": {"name": "x"}}, "data": "not a payload",
       "input": {"payloads": [ {"metadata":{"encoding":"YQ=="}, "data":"QQ=="} , {"metadata":{"encoding":"YQ"}} ]},
       "memo": {"fields": {"metadata": {"data": "QQ==", "metadata": {"encoding": "Yg=="}}}},
       "other": {"metadata": {"note": "no encoding"}, "data": "QQ=="},
       "more": {"metadata": {"encoding": "YQ=="}, "data": "QQ==", "stranger": 1},
       "deep": {"metadata": {"encoding": {"x": 1}}}, "number": 1e400, "text": "{\"metadata\":{\"encoding\":\"\"}}"}
    ]}"#;
    let limits = Limits { max_payloads: 10 };
    let found = find_payloads(history.as_bytes(), &limits).expect("finds");
    let payloads: Vec<_> = found.iter().map(|one| one.payload.clone()).collect();
    assert_eq!(
        payloads,
        [
            payload(&[("encoding", b"a")], b"A"),
            payload(&[("encoding", b"a")], b""),
            payload(&[("encoding", b"b")], b"A"),
        ]
    );

    let new = payload(&[("encoding", b"c")], b"new");
    let written = replace_payloads(
        history.as_bytes(),
        found.iter().map(|one| (one.range.clone(), &new)),
    );
    let replacement = String::from_utf8(write_payload(&new)).expect("text");
    let expected = history
        .replace(
            r#"{"metadata":{"encoding":"YQ=="}, "data":"QQ=="}"#,
            &replacement,
        )
        .replace(r#"{"metadata":{"encoding":"YQ"}}"#, &replacement)
        .replace(
            r#"{"data": "QQ==", "metadata": {"encoding": "Yg=="}}"#,
            &replacement,
        );
    assert_eq!(String::from_utf8(written).expect("text"), expected);

    assert_eq!(
        find_payloads(history.as_bytes(), &LIMITS).map(|found| found.len()),
        Ok(3),
        "exactly at the limit"
    );
    assert_eq!(
        find_payloads(history.as_bytes(), &Limits { max_payloads: 2 }),
        Err(JsonError::TooManyPayloads { limit: 2 })
    );
}

#[test]
fn finds_payloads_in_lines_of_json() {
    let lines =
        "{\"a\":{\"metadata\":{\"encoding\":\"YQ==\"}}}\n{\"metadata\":{\"encoding\":\"Yg==\"}}\n";
    assert_eq!(
        find_payloads(lines.as_bytes(), &LIMITS).map(|found| found.len()),
        Ok(2)
    );
    for bad in ["{\"a\":1} garbage", "{\"a\":", "{\"a\":1}}"] {
        assert!(find_payloads(bad.as_bytes(), &LIMITS).is_err(), "{bad}");
    }
}

#[test]
fn payloads_in_a_document_must_be_whole() {
    let document = r#"{"x":{"metadata":{"encoding":"sk-1="}}}"#;
    let error = find_payloads(document.as_bytes(), &LIMITS)
        .expect_err("refused")
        .to_string();
    assert!(error.starts_with("`metadata.*` is not base64"), "{error}");
}

#[test]
fn values_convert_both_ways() {
    let one = payload(&[("encoding", b"json/plain")], b"A");
    let value = payload_to_value(&one);
    assert_eq!(payload_from_value(&value), Some(Ok(one)));
    assert_eq!(
        payload_from_value(&serde_json::json!({"metadata": {"a": "b"}, "data": "c"})),
        None
    );
}

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
            Ok(payload(&[("encoding", b"a")], b"A")),
            Ok(payload(&[("encoding", b"a")], b"")),
            Ok(payload(&[("encoding", b"b")], b"A")),
            Ok(payload(&[("encoding", b"a")], b"A")),
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
        )
        .replace(
            r#"{"metadata": {"encoding": "YQ=="}, "data": "QQ==", "stranger": 1}"#,
            &replacement,
        );
    assert_eq!(String::from_utf8(written).expect("text"), expected);

    assert_eq!(
        find_payloads(history.as_bytes(), &Limits { max_payloads: 4 }).map(|found| found.len()),
        Ok(4),
        "exactly at the limit"
    );
    assert_eq!(
        find_payloads(history.as_bytes(), &Limits { max_payloads: 3 }),
        Err(JsonError::TooManyPayloads { limit: 3 })
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
fn data_that_only_looks_like_a_payload_is_left_alone() {
    let document = r#"{"x":{"metadata":{"encoding":"json/plain"},"data":"hello"},"y":{"metadata":{"encoding":"YQ=="}}}"#;
    let found = find_payloads(document.as_bytes(), &LIMITS).expect("finds");
    let payloads: Vec<_> = found.into_iter().map(|one| one.payload).collect();
    assert_eq!(payloads, [Ok(payload(&[("encoding", b"a")], b""))]);
}

#[test]
fn a_broken_payload_is_named_by_its_place_in_the_document() {
    let lines = "{\"a\":1}\n{\"x\": {\"metadata\":{\"encoding\":\"YQ==\"},\"data\":\"?\"}, \"y\":\n\
                 {\"metadata\":{\"encoding\":\"YQ==\"},\n\"data\":\"\",\n  \"data\":\"\"}}\n";
    let found = find_payloads(lines.as_bytes(), &LIMITS).expect("finds");
    let errors: Vec<_> = found
        .iter()
        .map(|one| one.payload.as_ref().expect_err("broken").to_string())
        .collect();
    assert!(
        errors[0].starts_with("`data` is not base64, at line 2, column 4"),
        "{errors:?}"
    );
    assert!(
        errors[1].starts_with("`data` is given twice, at line 5, column "),
        "{errors:?}"
    );
    let mut places = Places::of(lines.as_bytes());
    let starts: Vec<_> = found
        .iter()
        .map(|one| places.at(one.range.start).to_string())
        .collect();
    assert_eq!(starts, ["line 2, column 7", "line 3, column 1"]);
}

//! `encode` and `decode`: the forms of input, and what is left alone.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{
    body_of, create_key, encode64, keyring, plain, plain_payload, program, run_with_input, text,
    transform,
};

#[test]
fn one_payload_a_body_or_a_list() {
    let folder = keyring();
    for input in [
        plain_payload("a"),
        plain(&["a", "b"]),
        json!([plain_payload("a"), plain_payload("b")]),
    ] {
        let sealed = transform("encode", folder.path(), &body_of(&input));
        assert!(
            !sealed.contains("json/plain") && sealed.contains("encrypted-dek"),
            "{sealed}"
        );
        let opened: Value =
            serde_json::from_str(&transform("decode", folder.path(), sealed.as_bytes())).unwrap();
        assert_eq!(opened, input);
    }
}

#[test]
fn a_history_keeps_everything_but_its_payloads() {
    let folder = keyring();
    let sealed = transform("encode", folder.path(), &body_of(&plain_payload("input")));
    let history = format!(
        r#"{{
  "events": [
    {{ "eventId": "1", "eventTime": "2026-11-01T00:00:00Z", "version": 1.50,
      "workflowExecutionStartedEventAttributes": {{
        "input": {{ "payloads": [ {} ] }}, "zebra": 1, "apple": 2,
        "metadata": {{ "note": "kept" }}, "searchAttributes": {{ "indexedFields": {{
          "K": {{ "metadata": {{ "type": "S2V5d29yZA==", "encoding": "anNvbi9wbGFpbg==" }}, "data": "ImEi" }} }} }} }} }}
  ]
}}
"#,
        sealed.trim()
    );
    let opened = transform("decode", folder.path(), history.as_bytes());
    let payload = serde_json::to_string(&plain_payload("input")["data"]).unwrap();
    let expected = history.replace(
        sealed.trim(),
        &format!(r#"{{"metadata":{{"encoding":"anNvbi9wbGFpbg=="}},"data":{payload}}}"#),
    );
    assert_eq!(opened, expected);
}

#[test]
fn lines_of_json_are_a_history_too() {
    let folder = keyring();
    let sealed = transform("encode", folder.path(), &body_of(&plain_payload("x")));
    let lines = format!(
        "{{\"event\":{}}}\n{{\"event\":{{\"id\":1}}}}\n",
        sealed.trim()
    );
    let opened = transform("decode", folder.path(), lines.as_bytes());
    assert_eq!(opened.lines().count(), 2);
    assert!(
        opened.contains("anNvbi9wbGFpbg==") && opened.ends_with("{\"event\":{\"id\":1}}\n"),
        "{opened}"
    );
}

#[test]
fn data_that_only_looks_like_a_payload_is_left_alone() {
    let folder = keyring();
    let sealed = transform("encode", folder.path(), &body_of(&plain_payload("x")));
    let history = |inner: &str| {
        format!(
            "{{\"events\": [\n  {{\"input\": {{\"payloads\": [{{\"metadata\": {{\"encoding\": \"json/plain\"}}, \
             \"data\": \"hello\"}}]}}}},\n  {{\"input\": {{\"payloads\": [{inner}]}}}}\n]}}\n"
        )
    };
    let opened = transform("decode", folder.path(), history(sealed.trim()).as_bytes());
    let plain = plain_payload("x");
    let expected = format!(
        "{{\"metadata\":{{\"encoding\":{}}},\"data\":{}}}",
        plain["metadata"]["encoding"], plain["data"]
    );
    assert_eq!(opened, history(&expected));
}

#[test]
fn errors_name_the_place_in_the_file_and_the_others_are_decoded() {
    let folder = keyring();
    let keyring = folder.path().to_str().unwrap();
    let sealed = transform("encode", folder.path(), &body_of(&plain_payload("x")));
    let broken = sealed.trim().replace("\"data\":\"", "\"data\":\"?");
    let lines = format!(
        "{{\"a\":1}}\n{{\"b\":{broken}}}\n{{\"c\":{}}}\n",
        sealed.trim()
    );
    let output = run_with_input(&["decode", "--keyring", keyring], &[], lines.as_bytes());
    assert_eq!(output.status.code(), Some(65));
    assert_eq!(text(&output.stdout), "");
    let said = text(&output.stderr);
    assert!(
        said.contains(
            "stdin: the payload at line 2, column 6: `data` is not base64, at line 2, column "
        ),
        "{said}"
    );
    let arguments = ["decode", "--keyring", keyring, "--keep-going"];
    let output = run_with_input(&arguments, &[], lines.as_bytes());
    assert_eq!(output.status.code(), Some(65));
    let written = text(&output.stdout);
    assert!(
        written.contains(&broken) && !written.contains(sealed.trim()),
        "{written}"
    );
}

#[test]
fn byte_order_marks_and_utf16_are_read() {
    let folder = keyring();
    let sealed = transform("encode", folder.path(), &body_of(&plain(&["x"])));
    let units: Vec<u16> = sealed.encode_utf16().collect();
    let little = units.iter().flat_map(|unit| unit.to_le_bytes());
    let big = units.iter().flat_map(|unit| unit.to_be_bytes());
    for input in [
        [b"\xef\xbb\xbf", sealed.as_bytes()].concat(),
        b"\xff\xfe".iter().copied().chain(little).collect(),
        b"\xfe\xff".iter().copied().chain(big).collect(),
    ] {
        let opened = transform("decode", folder.path(), &input);
        assert_eq!(
            serde_json::from_str::<Value>(&opened).unwrap(),
            plain(&["x"])
        );
    }
}

#[test]
fn a_field_of_a_later_version_is_treated_alike_by_files_and_http() {
    let folder = keyring();
    let sealed = transform("encode", folder.path(), &body_of(&plain_payload("x")));
    let later = sealed.trim().replacen('{', "{\"later\":[{\"a\":{}}],", 1);
    let opened = transform(
        "decode",
        folder.path(),
        format!("{{\"x\":{later}}}").as_bytes(),
    );
    let opened: Value = serde_json::from_str(&opened).unwrap();
    assert_eq!(opened, json!({ "x": plain_payload("x") }));
}

#[test]
fn text_is_printed_a_payload_a_line() {
    let folder = keyring();
    let keyring = folder.path().to_str().unwrap();
    let sealed = transform("encode", folder.path(), &body_of(&plain(&["one", "two"])));
    let arguments = ["decode", "--text", "--keyring", keyring];
    let output = run_with_input(&arguments, &[], sealed.as_bytes());
    assert_eq!(text(&output.stdout), "\"one\"\n\"two\"\n");
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn a_payload_of_another_key_names_it() {
    let folder = keyring();
    create_key(folder.path(), "other");
    let keyring = folder.path().to_str().unwrap();
    let input = body_of(&plain_payload("x"));
    let arguments = ["encode", "--keyring", keyring, "--key", "local://other"];
    let sealed = run_with_input(&arguments, &[], &input).stdout;
    let output = run_with_input(&["decode", "--keyring", keyring], &[], &sealed);
    assert_eq!(output.status.code(), Some(65));
    let said = text(&output.stderr);
    assert!(
        said.contains("it is encrypted with local://other, which is not configured"),
        "{said}"
    );
    let arguments = ["decode", "--keyring", keyring, "--key", "local://other"];
    assert!(run_with_input(&arguments, &[], &sealed).status.success());
}

#[test]
fn a_reader_that_leaves_is_not_an_error() {
    let folder = keyring();
    let texts: Vec<String> = (0..2000)
        .map(|n| format!("{n} {}", "x".repeat(200)))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let sealed = transform("encode", folder.path(), &body_of(&plain(&texts)));
    let mut process = program()
        .args(["decode", "--keyring", folder.path().to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(process.stdout.take());
    let mut stdin = process.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, sealed.as_bytes()).unwrap();
    drop(stdin);
    let output = process.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(141));
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn a_hostile_document_is_refused_with_its_place() {
    let folder = keyring();
    let keyring = folder.path().to_str().unwrap();
    let deep = format!("{}{}", "[".repeat(300_000), "]".repeat(300_000));
    let twice = format!(
        "{{\"a\":\n{{\"metadata\":{{\"encoding\":\"{}\"}},\"data\":\"\",\"data\":\"\"}}}}",
        encode64(b"json/plain")
    );
    for (input, words) in [
        (
            deep.as_str(),
            "stdin: the JSON is nested too deeply, at line 1, column 10001",
        ),
        (twice.as_str(), "`data` is given twice, at line 2, column "),
        (
            "{\"a\":\n[1,}",
            "stdin: not JSON: unexpected character at line 2, column 4",
        ),
    ] {
        let output = run_with_input(&["decode", "--keyring", keyring], &[], input.as_bytes());
        assert_eq!(output.status.code(), Some(65));
        let said = text(&output.stderr);
        assert!(said.contains(words), "{said}");
    }
}

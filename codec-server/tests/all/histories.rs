//! `inspect`, `history decode` and `history scan` on exported histories.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::support::{decode64, encode64, keyring, plain, run, run_with_input, text, transform};

const STATIC: &str = "test-key-test-key-test-key-test!";

/// Payloads that the default key of `keyring` sealed.
fn sealed(keyring: &Path, texts: &[&str]) -> Vec<Value> {
    let body = transform("encode", keyring, plain(texts).to_string().as_bytes());
    let body: Value = serde_json::from_str(&body).unwrap();
    body["payloads"].as_array().unwrap().clone()
}

/// A history that closed on the second of January, with `payloads` in its first event.
fn history(payloads: &[Value]) -> Value {
    json!({ "events": [
        {
            "eventId": "1",
            "eventTime": "2026-01-01T00:00:00.5Z",
            "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED",
            "workflowExecutionStartedEventAttributes": { "input": { "payloads": payloads } },
        },
        {
            "eventId": "2",
            "eventTime": "2026-01-02T00:00:00Z",
            "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED",
            "workflowExecutionCompletedEventAttributes": {},
        },
    ]})
}

fn broken() -> Value {
    json!({ "metadata": { "encoding": encode64(b"binary/encrypted") }, "data": "" })
}

#[test]
fn a_history_is_decoded_in_place_and_the_rest_is_copied() {
    let folder = keyring();
    let keyring = folder.path().to_str().unwrap();
    let payloads = sealed(folder.path(), &["one", "two"]);
    // Spaces, an order and a number that a JSON library would write in another way.
    let document = format!(
        "{{ \"x\": 1e400,\n \"events\" :[{{\"eventId\":\"7\",\"p\":[{}, {}]}}] }}\n",
        payloads[0], payloads[1]
    );
    let output = run_with_input(
        &["history", "decode", "--keyring", keyring],
        &[],
        document.as_bytes(),
    );
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let decoded = text(&output.stdout);
    let (start, rest) = decoded.split_once("{\"metadata\"").unwrap();
    assert_eq!(
        start,
        "{ \"x\": 1e400,\n \"events\" :[{\"eventId\":\"7\",\"p\":["
    );
    assert!(
        rest.ends_with("}] }\n") || rest.ends_with("]}] }\n"),
        "{rest}"
    );
    let decoded: Value = serde_json::from_str(&decoded.replace("1e400", "1")).unwrap();
    assert_eq!(decode64(&decoded["events"][0]["p"][1]["data"]), br#""two""#);
}

#[test]
fn what_cannot_be_decoded_is_kept_and_told_with_its_event() {
    let folder = keyring();
    let keyring = folder.path().to_str().unwrap();
    let mut payloads = sealed(folder.path(), &["one", "two"]);
    payloads.insert(1, broken());
    let file = folder.path().join("history.json");
    let document = history(&payloads);
    fs::write(&file, document.to_string()).unwrap();
    let out = folder.path().join("plain.json");
    let decode = |more: &[&str]| {
        let arguments = ["history", "decode", "--keyring", keyring];
        let files = [file.to_str().unwrap(), "--output", out.to_str().unwrap()];
        run(&[&arguments[..], &files, more].concat())
    };

    let output = decode(&["--fail-fast"]);
    assert_eq!(output.status.code(), Some(65));
    assert!(!out.exists(), "no output with --fail-fast");

    let output = decode(&[]);
    assert_eq!(output.status.code(), Some(65));
    let said = text(&output.stderr);
    let place = "event 1, events[0].workflowExecutionStartedEventAttributes.input.payloads[1]: ";
    assert!(said.contains(place), "{said}");
    let decoded: Value = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
    let decoded = &decoded["events"][0]["workflowExecutionStartedEventAttributes"]["input"];
    assert_eq!(decoded["payloads"][1], broken());
    assert_eq!(decode64(&decoded["payloads"][2]["data"]), br#""two""#);

    let output = decode(&[]);
    assert_eq!(output.status.code(), Some(73), "an existing file is kept");
}

#[test]
fn a_missing_key_is_told_with_the_key_that_histories_name() {
    let folder = keyring();
    let keyring = folder.path().to_str().unwrap();
    let file = folder.path().join("history.json");
    let document = history(&sealed(folder.path(), &["one"]));
    fs::write(&file, document.to_string()).unwrap();
    let decode = ["history", "decode", file.to_str().unwrap()];
    let wrong = ["--key", "local://typo", "--keyring", keyring];
    let output = run(&[&decode[..], &wrong].concat());
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    let expected = format!(
        "no key local://typo in {keyring}; correct the name in --key, or the folder in --keyring: the payloads name local://default"
    );
    assert!(said.contains(&expected), "{said}");
    assert!(!said.contains("create"), "{said}");
}

#[test]
fn a_truncated_history_leaves_no_output() {
    let folder = keyring();
    let keyring = folder.path().to_str().unwrap();
    let document = history(&sealed(folder.path(), &["one"])).to_string();
    let file = folder.path().join("history.json");
    fs::write(&file, &document[..document.len() - 1]).unwrap();
    let out = folder.path().join("plain.json");
    let output = run(&[
        "history",
        "decode",
        file.to_str().unwrap(),
        "--keyring",
        keyring,
        "--output",
        out.to_str().unwrap(),
    ]);
    assert_eq!(output.status.code(), Some(65));
    let said = text(&output.stderr);
    assert!(said.contains("ends too early"), "{said}");
    assert!(!out.exists());
}

#[test]
fn several_histories_go_to_a_folder() {
    let folder = keyring();
    let keyring = folder.path().to_str().unwrap();
    let (exports, out) = (folder.path().join("exports"), folder.path().join("out"));
    fs::create_dir(&exports).unwrap();
    fs::create_dir(&out).unwrap();
    let mut arguments = vec!["history".to_owned(), "decode".to_owned()];
    for name in ["a.json", "b.json"] {
        let document = history(&sealed(folder.path(), &[name]));
        fs::write(exports.join(name), document.to_string()).unwrap();
        arguments.push(exports.join(name).to_str().unwrap().to_owned());
    }
    let options = [
        "--keyring",
        keyring,
        "--output-folder",
        out.to_str().unwrap(),
    ];
    arguments.extend(options.map(str::to_owned));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = run(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    for name in ["a.json", "b.json"] {
        let decoded = fs::read_to_string(out.join(name)).unwrap();
        assert!(
            decoded.contains(&encode64(format!("\"{name}\"").as_bytes())),
            "{decoded}"
        );
    }
}

#[test]
fn inspect_tells_formats_keys_and_versions_without_a_key() {
    let folder = keyring();
    let mut payloads = sealed(folder.path(), &["one"]);
    payloads.push(json!({
        "metadata": {
            "encoding": encode64(b"binary/encrypted"),
            "encryption-key-id": encode64(b"old"),
        },
        "data": encode64(&[0; 40]),
    }));
    payloads.push(json!({ "metadata": { "encoding": encode64(b"json/plain") }, "data": "MQ==" }));
    let document = history(&payloads).to_string();

    let output = run_with_input(&["inspect", "--json"], &[], document.as_bytes());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let [ours, old, plain] = &answer["payloads"].as_array().unwrap()[..] else {
        panic!("{answer}")
    };
    assert_eq!(ours["format"], "envelope");
    assert_eq!(ours["event_id"], 1);
    assert_eq!(ours["namespace"], "default");
    assert_eq!(ours["keys"][0]["key"], "local://default");
    let version = ours["keys"][0]["version"].as_str().unwrap();
    let versions = run(&[
        "keys",
        "versions",
        "local://default",
        "--keyring",
        folder.path().to_str().unwrap(),
    ]);
    assert!(text(&versions.stdout).contains(version));
    assert_eq!(old["format"], "static");
    assert_eq!(
        old["keys"],
        json!([{ "key": "static:old", "version": null }])
    );
    assert_eq!(old["bytes"], 40);
    assert_eq!(
        (&plain["format"], &plain["encoding"]),
        (&Value::Null, &json!("json/plain"))
    );

    let output = run_with_input(&["inspect"], &[], document.as_bytes());
    let table = text(&output.stdout);
    for words in [
        "static:old",
        "not encrypted (json/plain)",
        "local://default",
    ] {
        assert!(table.contains(words), "{table}");
    }
    for one in [
        payloads[0].to_string(),
        json!({ "payloads": payloads }).to_string(),
    ] {
        let output = run_with_input(&["inspect"], &[], one.as_bytes());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    }
    let output = run_with_input(&["inspect"], &[], b"{}");
    assert_eq!(output.status.code(), Some(65));
}

#[test]
fn scan_sums_up_folders_and_tells_until_when_payloads_are_kept() {
    let folder = keyring();
    let exports = folder.path().join("exports/more");
    fs::create_dir_all(&exports).unwrap();
    let closed = history(&sealed(folder.path(), &["one", "two"]));
    let mut open = history(&sealed(folder.path(), &["three"]));
    open["events"].as_array_mut().unwrap().pop();
    fs::write(exports.join("closed.json"), closed.to_string()).unwrap();
    fs::write(folder.path().join("exports/open.json"), open.to_string()).unwrap();
    fs::write(exports.join("notes.txt"), "not a history").unwrap();
    let exports = folder.path().join("exports");
    let scan = |more: &[&str]| {
        let arguments = ["history", "scan", exports.to_str().unwrap(), "--json"];
        let output = run(&[&arguments[..], more].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let answer = scan(&["--retention", "10d"]);
    assert_eq!(
        (&answer["workflows"], &answer["open_workflows"]),
        (&json!(2), &json!(1))
    );
    let needs = answer["needs"].as_array().unwrap();
    assert_eq!(needs.len(), 1, "{answer}");
    let need = &needs[0];
    assert_eq!(need["key"], "local://default");
    assert_eq!(
        (&need["payloads"], &need["only_key"], &need["open"]),
        (&json!(3), &json!(3), &json!(1))
    );
    assert_eq!(need["kept_until"], "2026-01-12T00:00:00Z");
    assert_eq!(need["first_written"], Value::Null);
    assert_eq!(scan(&[])["needs"][0]["unknown_end"], 1);
    // The file does not tell whether a schedule started the workflow with a copy of an older input.
    assert_eq!(need["unknown_written"], 3);

    // A file that is not a history is reported, and the others are summed up.
    fs::write(exports.join("broken.json"), "{").unwrap();
    let output = run(&["history", "scan", exports.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(65));
    assert!(text(&output.stderr).contains("broken.json"));
    assert!(text(&output.stdout).contains("open (1)"));
}

#[test]
fn a_scan_that_could_not_read_everything_is_not_a_success() {
    let folder = keyring();
    let payload = &sealed(folder.path(), &["one"])[0];
    let (metadata, long) = (&payload["metadata"], "A".repeat(17 << 20));
    for data in [long.as_str(), "no base64!"] {
        // The order of Temporal's tools.
        let unreadable = format!(r#"{{"metadata":{metadata},"data":"{data}"}}"#);
        let document = history(&[payload.clone(), json!("unreadable")]).to_string();
        let document = document.replace("\"unreadable\"", &unreadable);
        let output = run_with_input(
            &["history", "scan", "-", "--json"],
            &[],
            document.as_bytes(),
        );
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(65), "{said}");
        assert!(said.contains("Do not destroy a key by it"), "{said}");
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(
            (&answer["payloads"], &answer["unreadable"]),
            (&json!(1), &json!(1))
        );
    }
}

#[test]
fn a_static_key_is_named_by_its_id_and_file() {
    let folder = keyring();
    let keyring = folder.path().to_str().unwrap();
    let file = folder.path().join("old-key");
    fs::write(&file, STATIC).unwrap();
    // Python's `cryptography` sealed it, see tests/vectors/foreign.json.
    let vectors: Value =
        serde_json::from_str(include_str!("../../../tests/vectors/foreign.json")).unwrap();
    let vector = &vectors["cases"][0];
    let body = json!({ "payloads": [vector["payload"]] }).to_string();
    let id = format!("test={}", file.display());
    let decode = |more: &[&str]| {
        let arguments = ["decode", "--keyring", keyring];
        run_with_input(&[&arguments[..], more].concat(), &[], body.as_bytes())
    };
    let output = decode(&["--static-key", &id]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let decoded: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(decoded["payloads"][0], vector["plain"]);

    let output = decode(&[]);
    assert_eq!(output.status.code(), Some(65));
    assert!(
        text(&output.stderr).contains("--decrypt-format static"),
        "{}",
        text(&output.stderr)
    );
    let other = format!("other={}", file.display());
    let said = text(&decode(&["--static-key", &other]).stderr);
    assert!(said.contains("--static-key 'test=FILE'"), "{said}");
    let said = text(&decode(&["--static-key", "test=/no/such/file"]).stderr);
    assert!(
        said.contains("/no/such/file") && !said.contains(STATIC),
        "{said}"
    );
}

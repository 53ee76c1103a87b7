//! What must be in no log and in no answer.

use serde_json::Value;

use crate::support::{CodecServer, SECRET, body_of, plain};

#[test]
fn logs_and_answers_hold_no_plaintext() {
    let server = CodecServer::dev();
    let keyset: Value =
        serde_json::from_slice(&std::fs::read(server.keyring().join("default.json")).unwrap())
            .unwrap();
    let key = keyset["key"][0]["keyData"]["value"]
        .as_str()
        .unwrap()
        .to_owned();
    let body = plain(&[SECRET]);
    let sealed = server.encode("default", &body);
    let mut answers = vec![server.call("/encode", "default", &body)];
    let in_base64 = body["payloads"][0]["data"].as_str().unwrap().to_owned();
    assert_eq!(server.call("/decode", "default", &sealed).json(), body);

    let headers = [
        ("Authorization", SECRET),
        ("Cookie", SECRET),
        ("X-Namespace", "default"),
    ];
    answers.push(server.post("/encode", &headers, &body_of(&body)));
    answers.push(server.call("/decode", "other", &sealed));
    answers.push(server.post(&format!("/{SECRET}"), &[], b"{}"));
    answers.push(server.post(&format!("/decode?token={SECRET}"), &[], b"{"));
    for body in [
        format!(r#"{{"payloads":"{SECRET}"}}"#),
        format!(r#"{{"payloads":[{{"data":"{SECRET}"}}]}}"#),
        format!(r#"{{"payloads":[{{"metadata":{{"{SECRET}":1}}}}]}}"#),
        format!(r#"{{"payloads":[]}}{SECRET}"#),
        SECRET.to_owned(),
    ] {
        answers.push(server.post("/encode", &[], body.as_bytes()));
    }
    for answer in &answers {
        let shown = format!("{answer:?}");
        assert!(
            !shown.contains(SECRET) && !shown.contains(&in_base64) && !shown.contains(&key),
            "{shown}"
        );
    }
    let log = server.stop_and_log();
    assert!(
        log.contains("status=200") && log.contains("status=400"),
        "{log}"
    );
    assert!(
        !log.contains(SECRET) && !log.contains(&in_base64) && !log.contains(&key),
        "{log}"
    );
}

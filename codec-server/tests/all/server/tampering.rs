//! Payloads that an attacker altered, moved or sealed with a key of their own.

use serde_json::{Value, json};

use crate::support::{CodecServer, SECRET, decode64, encode64, plain};

const HEADER: usize = 66;
const TAG: usize = 16;

/// The payload in the wire's terms, to be altered and put together again.
struct Sealed {
    payload: Value,
}

impl Sealed {
    fn with_data(&self, alter: impl Fn(&mut Vec<u8>)) -> Value {
        let mut data = decode64(&self.payload["data"]);
        alter(&mut data);
        let mut payload = self.payload.clone();
        payload["data"] = encode64(&data).into();
        json!({ "payloads": [payload] })
    }

    fn with_metadata(&self, key: &str, value: Option<&[u8]>) -> Value {
        let mut payload = self.payload.clone();
        let metadata = payload["metadata"].as_object_mut().unwrap();
        match value {
            Some(value) => metadata.insert(key.to_owned(), encode64(value).into()),
            None => metadata.remove(key),
        };
        json!({ "payloads": [payload] })
    }
}

/// Every altered payload is refused, in words that give nothing away, and the original one is still decoded.
fn all_refused(server: &CodecServer, sealed: &Sealed, cases: &[(&str, Value)]) {
    for (case, altered) in cases {
        let answer = server.call("/decode", "default", altered);
        assert_eq!(answer.status, 400, "{case}: {}", answer.body);
        assert!(
            answer.body.starts_with("`payloads[0]`: "),
            "{case}: {}",
            answer.body
        );
        assert!(
            !answer.body.contains(SECRET) && !answer.body.contains("local://"),
            "{case}"
        );
    }
    let sealed = json!({ "payloads": [sealed.payload] });
    assert_eq!(
        server.call("/decode", "default", &sealed).json(),
        plain(&[SECRET])
    );
}

fn seal(server: &CodecServer) -> Sealed {
    Sealed {
        payload: server.encode("default", &plain(&[SECRET]))["payloads"][0].clone(),
    }
}

#[test]
fn tampering_with_any_region_of_the_data_is_refused() {
    let server = CodecServer::dev_with(&["--on-undecodable", "fail"]);
    let sealed = seal(&server);
    let length = decode64(&sealed.payload["data"]).len();
    let flip = |at: usize| sealed.with_data(|data| data[at] ^= 1);
    let cases = [
        ("version", flip(0)),
        ("flag of compression", flip(1)),
        ("unknown flag", sealed.with_data(|data| data[1] ^= 0x80)),
        ("message id", flip(2)),
        ("end of the message id", flip(33)),
        ("commitment", flip(34)),
        ("end of the commitment", flip(65)),
        ("ciphertext", flip(HEADER)),
        ("end of the ciphertext", flip(length - TAG - 1)),
        ("tag", flip(length - TAG)),
        ("end of the tag", flip(length - 1)),
        (
            "cut by a byte",
            sealed.with_data(|data| data.truncate(length - 1)),
        ),
        (
            "header only",
            sealed.with_data(|data| data.truncate(HEADER)),
        ),
        (
            "header and tag only",
            sealed.with_data(|data| data.truncate(HEADER + TAG)),
        ),
        ("nothing", sealed.with_data(Vec::clear)),
        ("a byte more", sealed.with_data(|data| data.push(0))),
    ];
    all_refused(&server, &sealed, &cases);
}

#[test]
fn tampering_with_the_metadata_is_refused() {
    let server = CodecServer::dev_with(&["--on-undecodable", "fail"]);
    let sealed = seal(&server);
    let dek = decode64(&sealed.payload["metadata"]["encrypted-dek"]);
    let altered_dek = |at: usize| {
        let mut dek = dek.clone();
        dek[at] ^= 1;
        sealed.with_metadata("encrypted-dek", Some(&dek))
    };
    let context = |text: &[u8]| sealed.with_metadata("encryption-context", Some(text));
    let cases = [
        ("wrapped key, prefix", altered_dek(0)),
        ("wrapped key, key id", altered_dek(1)),
        ("wrapped key, iv", altered_dek(5)),
        ("wrapped key, ciphertext", altered_dek(17)),
        ("wrapped key, tag", altered_dek(dek.len() - 1)),
        (
            "wrapped key, empty",
            sealed.with_metadata("encrypted-dek", Some(b"")),
        ),
        (
            "no wrapped key",
            sealed.with_metadata("encrypted-dek", None),
        ),
        (
            "another key",
            sealed.with_metadata("kms-key", Some(b"local://other")),
        ),
        (
            "a key outside",
            sealed.with_metadata("kms-key", Some(b"local://../../etc/passwd")),
        ),
        ("no key", sealed.with_metadata("kms-key", None)),
        (
            "another version",
            sealed.with_metadata("envelope-version", Some(b"3")),
        ),
        ("no version", sealed.with_metadata("envelope-version", None)),
        (
            "no context",
            sealed.with_metadata("encryption-context", None),
        ),
        (
            "belongs to the namespace",
            context(br#"{"namespace":"prod"}"#),
        ),
        (
            "more context",
            context(br#"{"a":"b","namespace":"default"}"#),
        ),
        (
            "spaces in the context",
            context(br#"{"namespace": "default"}"#),
        ),
        ("broken context", context(b"{")),
    ];
    all_refused(&server, &sealed, &cases);
}

#[test]
fn payloads_of_others_are_refused() {
    let server = CodecServer::dev_with(&["--on-undecodable", "fail"]);
    let other = CodecServer::dev();
    let foreign = other.encode("default", &plain(&[SECRET]));
    let answer = server.call("/decode", "default", &foreign);
    assert_eq!(
        answer.status, 400,
        "same name, another keyring: {}",
        answer.body
    );

    let namespaces = "[namespaces.default]\nencrypt = [\"local://a\"]\n\
                      [namespaces.prod]\nencrypt = [\"local://b\"]";
    let server = CodecServer::serve("", namespaces);
    let prod = server.encode("prod", &plain(&[SECRET]));
    server
        .call("/decode", "default", &prod)
        .refused(400, "belongs to the namespace");
    // Somebody who relabels it gets no further: its key is not the namespace's.
    let mut relabelled = prod.clone();
    relabelled["payloads"][0]["metadata"]["encryption-context"] =
        encode64(br#"{"namespace":"default"}"#).into();
    server
        .call("/decode", "default", &relabelled)
        .refused(400, "a key that this server is not configured to use");
    server.serves();
}

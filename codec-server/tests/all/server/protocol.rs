//! The remote codec protocol, as real clients speak it.

use crate::support::{CodecServer, body_of, decode64, encode64, plain, plain_payload};
use serde_json::{Value, json};

const TWO: &str = "[namespaces.default]\nencrypt = [\"local://default\"]\n\
                   [namespaces.prod]\nencrypt = [\"local://prod\"]";

fn sealed_by(key: &str, sealed: &Value) -> bool {
    decode64(&sealed["payloads"][0]["metadata"]["kms-key"]) == format!("local://{key}").as_bytes()
}

#[test]
fn what_is_encoded_is_decoded_as_many_and_in_order() {
    let server = CodecServer::dev();
    let texts: Vec<String> = (0..40).map(|number| format!("text {number}")).collect();
    let body = plain(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    let sealed = server.encode("default", &body);
    assert_eq!(sealed["payloads"].as_array().unwrap().len(), 40);
    for payload in sealed["payloads"].as_array().unwrap() {
        assert_eq!(
            decode64(&payload["metadata"]["encoding"]),
            b"binary/envelope-kms"
        );
        assert_eq!(decode64(&payload["metadata"]["envelope-version"]), b"2");
    }
    assert_eq!(server.call("/decode", "default", &sealed).json(), body);
}

#[test]
fn answers_are_strict_proto_json() {
    let server = CodecServer::dev();
    let answer = server.call(
        "/decode",
        "default",
        &server.encode("default", &plain(&["a"])),
    );
    assert_eq!(answer.body, body_text(&plain(&["a"])));
    for empty in ["{}", r#"{"payloads":null}"#, r#"{"payloads":[]}"#] {
        assert_eq!(
            server.post("/decode", &[], empty.as_bytes()).body,
            r#"{"payloads":[]}"#
        );
    }
    let bare = server.post("/decode", &[], br#"{"payloads":[{}]}"#);
    assert_eq!(bare.body, r#"{"payloads":[{}]}"#);
}

#[test]
fn answers_to_programs_and_to_web_pages_have_the_same_headers() {
    for allows_credentials in [false, true] {
        let text = allows_credentials.to_string();
        let credentials = [("CODEC_CORS_ALLOW_CREDENTIALS", text.as_str())];
        let server = CodecServer::serve_with("max_body = \"64KiB\"", TWO, &credentials);
        let sealed = body_of(&server.encode("default", &plain(&["a"])));
        let too_large = vec![b' '; 65 << 10];
        for (path, body, status) in [
            ("/decode", sealed.as_slice(), 200),
            ("/encode", b"[".as_slice(), 400),
            ("/encode", too_large.as_slice(), 413),
        ] {
            let of_program = headers(&server, path, &[], body);
            assert_eq!(of_program.0, status, "{path}");
            let page = [("Origin", "https://ui.example.com")];
            assert_eq!(headers(&server, path, &page, body), of_program, "{path}");
            let mut names = of_program.1.iter().map(|(name, _)| name);
            let has_credentials = names.any(|name| name == "access-control-allow-credentials");
            assert_eq!(has_credentials, allows_credentials, "{path}");
        }
    }
}

/// The status of an answer, and the headers that do not depend on the moment or the origin.
fn headers(
    server: &CodecServer,
    path: &str,
    request: &[(&str, &str)],
    body: &[u8],
) -> (u16, Vec<(String, String)>) {
    let answer = server.post(path, request, body);
    let of_all = [
        "access-control-allow-origin",
        "date",
        "x-request-id",
        "content-length",
    ];
    let mut headers = answer.headers;
    headers.retain(|(name, _)| !of_all.contains(&name.as_str()));
    headers.sort();
    (answer.status, headers)
}

fn body_text(body: &Value) -> String {
    // The metadata comes before the data, as in the message.
    let payload = &body["payloads"][0];
    format!(
        r#"{{"payloads":[{{"metadata":{},"data":{}}}]}}"#,
        payload["metadata"], payload["data"]
    )
}

#[test]
fn every_leniency_of_the_protocol_is_accepted() {
    let server = CodecServer::dev();
    for body in [
        r#"{"payloads":[{"metadata":null,"data":null}]}"#,
        r#"{"payloads":[{"metadata":{"encoding":"anNvbi9wbGFpbg"},"data":"-_8"}],"unknown":[1]}"#,
        r#"{"payloads":[{"data":"+/8=","externalPayloads":[{"sizeBytes":"12"}]}]}"#,
        r#"{"payloads":[{"data":"QQ","external_payloads":[{"size_bytes":12}],"x":{}}]}"#,
    ] {
        let sealed = server.post("/encode", &[], body.as_bytes()).json();
        let opened = server.call("/decode", "default", &sealed).json();
        assert_eq!(opened["payloads"].as_array().unwrap().len(), 1, "{body}");
        if body.contains("xternal") {
            let expected = json!([{"sizeBytes": "12"}]);
            assert_eq!(opened["payloads"][0]["externalPayloads"], expected);
        }
    }
}

#[test]
fn only_the_last_segment_of_the_path_counts() {
    let server = CodecServer::serve("", TWO);
    let sealed = server.encode("default", &plain(&["a"]));
    for path in [
        "/decode",
        "//decode",
        "/codec/decode",
        "/a/b/c/decode",
        "/%7Bnamespace%7D/decode",
    ] {
        assert_eq!(
            server.call(path, "default", &sealed).json(),
            plain(&["a"]),
            "{path}"
        );
    }
    for path in [
        "/",
        "/decode/",
        "/decoded",
        "/decode/x",
        "/metrics",
        "/.env",
    ] {
        server
            .call(path, "default", &sealed)
            .refused(404, "POST requests to /encode and /decode");
    }
}

#[test]
fn the_header_names_the_namespace_else_the_path_else_default() {
    let server = CodecServer::serve("", TWO);
    let body = plain(&["a"]);
    for (path, header, key) in [
        ("/encode", None, "default"),
        ("/encode", Some("prod"), "prod"),
        ("/prod/encode", None, "prod"),
        ("/x/prod/encode", None, "prod"),
        ("/prod/encode", Some("prod"), "prod"),
        ("/codec/encode", Some("prod"), "prod"),
        ("/encode", Some(""), "default"),
    ] {
        let headers: Vec<_> = header
            .map(|name| ("X-Namespace", name))
            .into_iter()
            .collect();
        let sealed = server.post(path, &headers, &body_of(&body)).json();
        assert!(sealed_by(key, &sealed), "{path} {header:?}");
    }
    server
        .call("/prod/decode", "default", &body)
        .refused(400, "names two namespaces");
    let twice = [("X-Namespace", "default"), ("X-Namespace", "prod")];
    server
        .post("/decode", &twice, &body_of(&body))
        .refused(400, "names two namespaces");
    server
        .call("/decode", "staging", &body)
        .refused(404, "does not serve the namespace staging");
    server
        .call("/decode", "a\tb", &body)
        .refused(400, "not a valid namespace");
    server.serves();
}

#[test]
fn the_namespaces_of_path_and_header_agree_whatever_stands_between_them() {
    let namespaces = format!("{TWO}\n[namespaces.staging]\nencrypt = [\"local://staging\"]");
    let server = CodecServer::serve("path_prefixes = [\"/codec\"]", &namespaces);
    let sealed = server.encode("prod", &plain(&["a"]));
    for path in [
        "/staging/decode",
        "/staging/x/decode",
        "/staging//decode",
        "/staging/./decode",
        "/staging/../prod/decode",
        "/staging%2fx/decode",
        "/%73taging/x/decode",
        "/Staging/x/decode",
        "/x/staging/decode",
        "http://localhost/staging/x/decode",
    ] {
        for operation in ["decode", "encode"] {
            let path = path.replace("decode", operation);
            server
                .call(&path, "prod", &sealed)
                .refused(400, "must agree");
        }
    }
    assert_eq!(
        server.call("/prod/x/decode", "prod", &sealed).json(),
        plain(&["a"])
    );
}

#[test]
fn an_unknown_namespace_in_the_path_is_refused_as_one_in_the_header_is() {
    let server = CodecServer::serve("path_prefixes = [\"/codec\"]", TWO);
    let body = body_of(&plain(&["a"]));
    for path in [
        "/nope/encode",
        "/Prod/encode",
        "/a/b/c/encode",
        "/codec/nope/encode",
        "/%FF/encode",
    ] {
        server
            .post(path, &[], &body)
            .refused(404, "does not serve the namespace");
    }
    server
        .post("/nope/encode", &[], &body)
        .refused(404, "path_prefixes");
    // What the client wrote is not repeated where it could steer a terminal or fill one.
    let answer = server.post("/a%E2%80%AEb%0A/encode", &[], &body);
    answer.refused(404, "a\u{fffd}b\u{fffd}");
    let long = server.post(&format!("/{}/encode", "n".repeat(5000)), &[], &body);
    assert!(long.body.len() < 1000, "{}", long.body);

    for (path, key) in [("/codec/encode", "default"), ("/codec/prod/encode", "prod")] {
        let sealed = server.post(path, &[], &body).json();
        assert!(sealed_by(key, &sealed), "{path}");
    }
}

#[test]
fn a_name_that_steers_a_terminal_is_not_logged_as_it_is() {
    let server = CodecServer::dev();
    let name = "prod\u{202e}dorp";
    let answer = server.call("/encode", name, &plain(&["a"]));
    assert_eq!(answer.status, 200);
    let log = server.stop_and_log();
    assert!(
        log.contains("prod\u{fffd}dorp") && !log.contains('\u{202e}'),
        "{log}"
    );
}

#[test]
fn dev_serves_any_namespace_apart_from_the_others() {
    let server = CodecServer::dev_with(&["--on-undecodable", "fail"]);
    let sealed = server.encode("one", &plain(&["a"]));
    server
        .call("/decode", "two", &sealed)
        .refused(400, "belongs to the namespace");
    assert_eq!(server.call("/decode", "one", &sealed).json(), plain(&["a"]));
    assert_eq!(
        server.post("/one/decode", &[], &body_of(&sealed)).json(),
        plain(&["a"])
    );
    // What stands before `decode` may as well be a prefix.
    let sealed = server.encode("default", &plain(&["b"]));
    assert_eq!(
        server.post("/codec/decode", &[], &body_of(&sealed)).json(),
        plain(&["b"])
    );
}

#[test]
fn what_is_not_encrypted_passes_unchanged_or_is_refused() {
    let server = CodecServer::serve(
        "",
        "[namespaces.default]\nencrypt = [\"local://a\"]\n\
         [namespaces.strict]\nencrypt = [\"local://a\"]\nplaintext = \"reject\"",
    );
    let body = plain(&["search attribute"]);
    assert_eq!(server.call("/decode", "default", &body).json(), body);
    server
        .call("/decode", "strict", &body)
        .refused(400, "not encrypted");
}

#[test]
fn encrypted_payloads_are_not_encrypted_again() {
    let server = CodecServer::dev();
    let sealed = server.encode("default", &plain(&["header of a schedule"]));
    assert_eq!(server.encode("default", &sealed), sealed);
}

#[test]
fn storage_references_come_back_untouched_when_asked_for() {
    let server = CodecServer::serve(
        "",
        "[namespaces.default]\nencrypt = [\"local://a\"]\nplaintext = \"reject\"",
    );
    let metadata = json!({
        "encoding": encode64(b"json/protobuf"),
        "messageType": encode64(b"temporal.api.sdk.v1.ExternalStorageReference"),
    });
    let reference = json!({"metadata": metadata, "data": encode64(b"{}")});
    let old = json!({"metadata": {"encoding": encode64(b"json/external-storage-reference")}});
    let sealed = server.encode("default", &plain(&["a"]))["payloads"][0].clone();
    let body = json!({"payloads": [reference, sealed, old]});
    let answer = server.call("/decode?preserveStorageRefs=true", "default", &body);
    // They are not encrypted, so nothing tells who wrote them.
    assert_eq!(answer.header("codec-server-references"), Some("0,2"));
    assert_eq!(
        answer.json(),
        json!({"payloads": [reference, plain_payload("a"), old]})
    );
    let body = json!({"payloads": [plain_payload("a"), reference]});
    let answer = server.call("/decode?preserveStorageRefs=true", "default", &body);
    answer.refused(400, "`payloads[0]`: the payload is not encrypted");
}

#[test]
fn download_is_connected_but_not_configured() {
    let server = CodecServer::dev();
    let answer = server.call(
        "/download?preserveStorageRefs=true",
        "default",
        &plain(&["a"]),
    );
    answer.refused(404, "is connected, but it has no download");
}

#[test]
fn only_post_does_anything() {
    let server = CodecServer::dev();
    for method in ["GET", "PUT", "DELETE", "HEAD", "BREW"] {
        let request =
            format!("{method} /decode HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = server.raw(request.as_bytes());
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("POST, OPTIONS"));
    }
    server.serves();
}

#[test]
fn one_undecodable_payload_fails_the_request_or_becomes_a_placeholder() {
    let server = CodecServer::serve(
        "",
        "[namespaces.default]\nencrypt = [\"local://a\"]\n\
         [namespaces.people]\nencrypt = [\"local://a\"]\non_undecodable = \"placeholder\"",
    );
    let (foreign, own) = (
        server.encode("default", &plain(&["theirs"])),
        server.encode("people", &plain(&["ours"])),
    );
    let body = json!({"payloads": [own["payloads"][0], foreign["payloads"][0]]});

    let answer = server.call("/decode", "people", &body);
    assert_eq!(answer.header("codec-server-placeholders"), Some("1"));
    let id = answer.header("x-request-id").unwrap();
    let payloads = &answer.json()["payloads"];
    assert_eq!(payloads[0], plain_payload("ours"));
    let placeholder = &payloads[1];
    let metadata = placeholder["metadata"].as_object().unwrap();
    assert_eq!(metadata.len(), 1, "temporal prints anything else as base64");
    assert_eq!(decode64(&metadata["encoding"]), b"json/plain");
    let value: Value = serde_json::from_slice(&decode64(&placeholder["data"])).unwrap();
    let text = value["codec-server error"].as_str().unwrap();
    assert!(
        text.starts_with("cannot be decoded: the payload belongs to the namespace")
            && text.contains(id),
        "{text}"
    );

    // A user who edits what a page shows must not save a placeholder in the place of the value.
    for namespace in ["people", "default"] {
        let shown = json!({ "payloads": [plain_payload("new"), placeholder] });
        server
            .call("/encode", namespace, &shown)
            .refused(400, "`payloads[1]` is a placeholder");
    }
    let undecodable = json!({ "payloads": [foreign["payloads"][0]] });
    assert_eq!(server.encode("default", &undecodable), undecodable);

    let answer = server.call("/decode", "default", &body);
    answer.refused(400, "`payloads[0]`: the payload belongs to the namespace");
}

#[test]
fn old_keys_decrypt_and_several_recipients_are_written() {
    let server = CodecServer::serve(
        "",
        "[namespaces.old]\nencrypt = [\"local://2025\"]\ncontext = { team = \"x\" }\n\
         [namespaces.new]\nencrypt = [\"local://2026\", \"local://backup\"]\ndecrypt = [\"local://2025\"]\n\
         format = \"envelope\"\ncompression = \"zstd\"\n\
         [namespaces.direct]\nencrypt = [\"local://2026\"]\nformat = \"direct\"",
    );
    let sealed = server.encode("new", &plain(&[&"long ".repeat(1000)]));
    let metadata = &sealed["payloads"][0]["metadata"];
    assert_eq!(decode64(&metadata["kms-key"]), b"local://2026");
    assert_eq!(decode64(&metadata["kms-key.1"]), b"local://backup");
    assert!(
        decode64(&sealed["payloads"][0]["data"]).len() < 1000,
        "compressed"
    );
    assert_eq!(
        server.call("/decode", "new", &sealed).json(),
        plain(&[&"long ".repeat(1000)])
    );

    let direct = server.encode("direct", &plain(&["a"]));
    assert_eq!(
        decode64(&direct["payloads"][0]["metadata"]["encoding"]),
        b"binary/local-kms"
    );
    assert_eq!(
        server.call("/decode", "direct", &direct).json(),
        plain(&["a"])
    );
}

#[test]
fn dev_answers_placeholders_unless_told_otherwise() {
    let foreign = CodecServer::dev().encode("default", &plain(&["theirs"]));
    let server = CodecServer::dev();
    let answer = server.call("/decode", "default", &foreign);
    assert_eq!(answer.header("codec-server-placeholders"), Some("0"));
    let strict = CodecServer::dev_with(&["--on-undecodable", "fail"]);
    strict
        .call("/decode", "default", &foreign)
        .refused(400, "`payloads[0]`: ");
}

#[test]
fn the_header_of_placeholders_stays_short() {
    let foreign = CodecServer::dev().encode("default", &plain(&["a"; 1000]));
    let server = CodecServer::dev();
    let header = |body: &Value| {
        let answer = server.call("/decode", "default", body);
        assert_eq!(answer.status, 200);
        answer
            .header("codec-server-placeholders")
            .unwrap()
            .to_owned()
    };
    assert_eq!(header(&foreign), "0-999");

    let mut mixed = server.encode("default", &plain(&["a"; 1000]));
    for place in (0..1000).step_by(2) {
        mixed["payloads"][place] = foreign["payloads"][place].clone();
    }
    let places = header(&mixed);
    assert!(places.starts_with("0,2,4,"), "{places}");
    assert!(places.ends_with("-998") && places.len() < 1100, "{places}");
}

#[test]
fn the_log_names_the_key_that_a_payload_wants_and_the_answer_does_not() {
    let theirs = CodecServer::serve("", "[namespaces.default]\nencrypt = [\"local://theirs\"]");
    let foreign = theirs.encode("default", &plain(&["theirs"]));
    for mode in ["fail", "placeholder"] {
        let mut server = CodecServer::serve(
            "",
            &format!(
                "[namespaces.default]\nencrypt = [\"local://ours\"]\non_undecodable = \"{mode}\""
            ),
        );
        let answer = server.call("/decode", "default", &foreign);
        let shown = if mode == "fail" {
            answer.body.clone()
        } else {
            let payloads = &answer.json()["payloads"];
            String::from_utf8(decode64(&payloads[0]["data"])).unwrap()
        };
        assert!(!shown.contains("local://"), "{shown}");
        let id = answer.header("x-request-id").unwrap().to_owned();
        assert!(shown.contains(&id), "{shown}");
        server.wait_for_log("local://theirs");
        let log = server.stop_and_log();
        let told = |line: &str| {
            line.contains("WARN") && line.contains("local://theirs") && line.contains(&id)
        };
        assert!(log.lines().any(told), "{log}");
    }
}

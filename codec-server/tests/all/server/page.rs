//! The page for people, and the state that administrators see on it.

use temporal_kms_codec::kms::{SignatureAlgorithm, local::LocalKeyring};
use temporal_kms_codec_service::auth::NewToken;

use crate::support::{Answer, CodecServer, body_of, plain, until};

fn get(server: &CodecServer, path: &str, headers: &str) -> Answer {
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
    server.raw(request.as_bytes())
}

#[test]
fn the_page_loads_nothing_from_elsewhere_and_is_in_no_frame() {
    let server = CodecServer::serve_default("");
    for path in ["/", "/page/main.js", "/page/style.css"] {
        // A page of another site may link to it.
        let answer = get(&server, path, "Sec-Fetch-Site: cross-site\r\n");
        assert_eq!(answer.status, 200, "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("same-origin"));
    }
    for path in [
        "/page/../Cargo.toml",
        "/page/%2e%2e%2fmain.rs",
        "/page/other.js",
        "/page/",
    ] {
        assert_eq!(get(&server, path, "").status, 404, "{path}");
    }
    for path in ["/", "/page/main.js", "/page/settings"] {
        let foreign =
            format!("GET {path} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
        assert_eq!(server.raw(foreign.as_bytes()).status, 403, "{path}");
    }
}

#[test]
fn the_page_can_be_switched_off() {
    let server = CodecServer::serve_default("page = false");
    for path in ["/", "/page/main.js", "/page/settings"] {
        assert_eq!(get(&server, path, "").status, 404, "{path}");
    }
    server.serves();
}

#[test]
fn the_state_is_for_administrators_and_of_their_namespaces() {
    let (reader, admin) = (NewToken::generate().unwrap(), NewToken::generate().unwrap());
    let server = CodecServer::configured(|_| {
        format!(
            "[auth.tokens.reader]\nsha256 = [\"{}\"]\npermissions = [\"payments:read\"]\n\
             [auth.tokens.admin]\nsha256 = [\"{}\"]\npermissions = [\"payments:admin\"]\n\
             [namespaces.default]\nencrypt = [\"local://default\"]\n\
             [namespaces.payments]\nencrypt = [\"local://payments\"]\n",
            reader.sha256, admin.sha256
        )
    });
    get(&server, "/status", "").refused(401, "sign in");
    let bearer = |token: &NewToken| format!("Authorization: Bearer {}\r\n", token.token.as_str());
    get(&server, "/status", &bearer(&reader)).refused(403, "NAMESPACE:admin");
    let answer = get(&server, "/status", &bearer(&admin));
    assert_eq!(answer.status, 200);
    let shown = answer.json();
    assert_eq!(shown["tables"][0]["title"], "Namespaces");
    let rows = shown["tables"][0]["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 1, "{shown}");
    assert_eq!(rows[0][0], "payments");
    assert_eq!(rows[0][1], "local://payments");
    // The server has asked for the version in the background, and `/status` asks no service.
    let keys = until(|| {
        let keys = get(&server, "/status", &bearer(&admin)).json()["tables"][1].clone();
        let is_known = keys["rows"][0][1] != "not known";
        if is_known { Ok(keys) } else { Err(keys) }
    });
    let keyset = server.keyring().join("payments.json");
    let keyset: serde_json::Value =
        serde_json::from_slice(&std::fs::read(keyset).unwrap()).unwrap();
    let version = keyset["primaryKeyId"].to_string();
    let rows = keys["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 1, "{keys}");
    let row: Vec<&str> = rows[0]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(serde_json::Value::as_str)
        .collect();
    // A local key does not tell how old it is.
    assert_eq!(row[..3], ["local://payments", &version, "not known"]);
    assert!(row[3].ends_with(" ago"), "{keys}");
    assert_eq!(shown["tables"][2]["title"], "Readiness");
    // The audit log is about all namespaces.
    assert_eq!(shown["tables"].as_array().unwrap().len(), 3, "{shown}");
}

#[test]
fn the_state_has_the_audit_log_and_the_data_keys_of_patterns() {
    let all = NewToken::generate().unwrap();
    let mut server = CodecServer::configured(|folder| {
        let keyring = LocalKeyring::open(folder.join("keys"));
        keyring
            .signing_key_or_create("audit", SignatureAlgorithm::Ed25519)
            .unwrap();
        let audit = folder.join("audit");
        std::fs::create_dir(&audit).unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&audit, private).unwrap();
        format!(
            "[auth.tokens.all]\nsha256 = [\"{}\"]\npermissions = [\"temporal-system:admin\"]\n\
             [audit]\nfolder = '{}'\nanchor_key = \"local://audit\"\nanchor_every = \"20ms\"\n\
             [namespaces.\"team-*\"]\nencrypt = [\"local://default\"]\n",
            all.sha256,
            audit.display()
        )
    });
    server.wait_for_log("head of the audit log");
    let bearer = format!("Authorization: Bearer {}", all.token.as_str());
    let header = [
        ("X-Namespace", "team-a"),
        ("Authorization", bearer.split_once(": ").unwrap().1),
    ];
    let encoded = server.post("/encode", &header, &body_of(&plain(&["a"])));
    assert_eq!(encoded.status, 200, "{}", encoded.body);
    let state = || get(&server, "/status", &format!("{bearer}\r\n")).json();
    // The first anchor is signed in the background.
    let shown = until(|| {
        let shown = state();
        let is_signed = shown.to_string().contains("\"line ");
        if is_signed { Ok(shown) } else { Err(shown) }
    });
    let table = |title: &str| {
        let mut tables = shown["tables"].as_array().unwrap().iter();
        tables
            .find(|table| table["title"] == title)
            .unwrap()
            .clone()
    };
    let namespaces = table("Namespaces");
    assert_eq!(namespaces["rows"][0][0], "team-*");
    // The namespace team-a has a data key that encrypts.
    assert_ne!(namespaces["rows"][0][6], "", "{shown}");
    let rows = table("Readiness")["rows"].clone();
    let conditions = rows.as_array().unwrap().iter();
    let of = |name: &str, row: &serde_json::Value| row[0] == name;
    assert!(
        conditions
            .clone()
            .any(|row| of("audit", row) && row[1] == "met")
    );
    assert!(conditions.clone().any(|row| of("keys", row)));
    let audit = table("Audit log")["rows"].clone();
    let value = |name: &str| {
        let mut rows = audit.as_array().unwrap().iter();
        rows.find(|row| of(name, row)).unwrap()[1]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(value("hash of the last line").len(), 64);
    assert!(value("last anchor").starts_with("line "), "{audit}");
    assert!(value("files").starts_with("1 files, "), "{audit}");
    assert_eq!(value("lines that are missing"), "0");
}

//! Keysets that this project and the real Tink library judge: each difference is listed here.
//!
//! The fuzz target `keyset` compares what keysets mean with a port of Tink that parses JSON as we do. Here, the reading of
//! JSON is compared.
#![allow(clippy::expect_used, reason = "a test")]

use std::{fs, os::unix::fs::PermissionsExt as _};

use integration_tests::{Keyring, interop};
use serde_json::{Value, json};

use Accepted::{Both, Neither, OnlyTink, OnlyUs};

/// Who accepts a keyset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Accepted {
    Both,
    Neither,
    OnlyTink,
    OnlyUs,
}

/// Who accepts a keyset after these replacements, each of the first place where its text is. In the list of the keys,
/// `KEY` is the primary key with the id 7, `OTHER` a key with the id 8, and `EMPTY` a destroyed one without material.
type Case = (Accepted, &'static [(&'static str, &'static str)]);

/// States, and the prefix of what a key seals. We have keys with Tink's own prefix only.
const KEYS: &[Case] = &[
    (Both, &[]),
    (Neither, &[("ENABLED", "DISABLED")]),
    (Neither, &[("ENABLED", "DESTROYED")]),
    (Neither, &[("ENABLED", "UNKNOWN_STATUS")]),
    (Neither, &[("ENABLED", "enabled")]),
    (Neither, &[(r#""status":"ENABLED","#, "")]),
    (OnlyTink, &[("TINK", "RAW")]),
    (OnlyTink, &[("TINK", "LEGACY")]),
    (OnlyTink, &[("TINK", "CRUNCHY")]),
    (Neither, &[("TINK", "UNKNOWN_PREFIX")]),
    (Neither, &[(r#","outputPrefixType":"TINK""#, "")]),
    (Neither, &[("type.googleapis.com/", "")]),
    (Neither, &[("google.crypto.tink.", "google.crypto.tink.X")]),
    (Neither, &[(r#""primaryKeyId":7"#, r#""primaryKeyId":8"#)]),
    (Neither, &[(r#""primaryKeyId":7,"#, "")]),
    (Both, &[(":7", ":0"), (":7", ":0")]),
    (Both, &[(":7", ":4294967295"), (":7", ":4294967295")]),
    (Neither, &[(r#""keyId":7"#, r#""keyId":-7"#)]),
    (Neither, &[(r#""keyId":7"#, r#""keyId":4294967303"#)]),
];

/// Several keys. We read the material of disabled keys, and Tink does not. Tink wants one enabled key with the id of the
/// primary key, and we use the first key with this id.
const SEVERAL_KEYS: &[Case] = &[
    (Neither, &[("KEY", "")]),
    (Neither, &[("KEY", "EMPTY")]),
    (Both, &[("KEY", "KEY,OTHER")]),
    (Both, &[("KEY", "OTHER,KEY")]),
    (Both, &[("KEY", "EMPTY,KEY")]),
    (Both, &[("KEY", "OTHER,KEY"), ("ENABLED", "DISABLED")]),
    (Both, &[("KEY", "OTHER,KEY"), ("ENABLED", "DESTROYED")]),
    (Both, &[("KEY", "OTHER,OTHER,KEY")]),
    (OnlyUs, &[("KEY", "KEY,KEY")]),
    (OnlyTink, &[("KEY", "KEY,KEY"), ("ENABLED", "DISABLED")]),
    (OnlyTink, &[("KEY", "KEY,KEY"), ("ENABLED", "DESTROYED")]),
    (OnlyTink, &[("KEY", "OTHER,KEY"), ("TINK", "RAW")]),
    (Neither, &[("KEY", "OTHER,KEY"), ("tink.", "tink.X")]),
    (
        OnlyTink,
        &[
            ("KEY", "OTHER,KEY"),
            ("tink.", "tink.X"),
            ("ENABLED", "DISABLED"),
        ],
    ),
    (
        Both,
        &[
            ("KEY", "OTHER,KEY"),
            ("tink.", "tink.X"),
            ("ENABLED", "DESTROYED"),
        ],
    ),
    (
        OnlyTink,
        &[
            ("KEY", "OTHER,KEY"),
            (r#""value":""#, r#""value":"////"#),
            ("ENABLED", "DISABLED"),
        ],
    ),
];

/// The JSON of protocol buffers. We skip unknown members, read no kind of material, and skip a byte order mark. Tink reads
/// numbers as text, enumerations as numbers, names of protocol buffers, and nearly anything as base64.
const JSON: &[Case] = &[
    (OnlyUs, &[("{", r#"{"x":1,"#)]),
    (OnlyUs, &[(r#""status""#, r#""x":1,"status""#)]),
    (OnlyUs, &[(r#""typeUrl""#, r#""x":1,"typeUrl""#)]),
    (
        OnlyUs,
        &[(r#""keyMaterialType":""#, r#""keyMaterialType":"X"#)],
    ),
    (OnlyUs, &[("{", "\u{feff}{")]),
    (
        OnlyTink,
        &[(r#""primaryKeyId":7"#, r#""primaryKeyId":"7""#)],
    ),
    (OnlyTink, &[(r#""keyId":7"#, r#""keyId":"7""#)]),
    (OnlyTink, &[(r#""keyId":7"#, r#""keyId":7.0"#)]),
    (OnlyTink, &[(r#""keyId":7"#, r#""keyId":7e0"#)]),
    (OnlyTink, &[(r#""ENABLED""#, "1")]),
    (OnlyTink, &[(r#""TINK""#, "1")]),
    (
        OnlyTink,
        &[("primaryKeyId", "primary_key_id"), ("keyId", "key_id")],
    ),
    (OnlyTink, &[(r#"==""#, r#"""#)]),
    (OnlyTink, &[(r#"==""#, r#"== ""#)]),
    (OnlyTink, &[(r#"==""#, r#"===""#)]),
    (OnlyTink, &[(r#"==""#, r#"=?""#)]),
    (Both, &[(r#""status""#, r#""\u0073tatus""#)]),
    (Both, &[("ENABLED", r"\u0045NABLED")]),
    (Both, &[("]}", "]} \n\t")]),
    (Neither, &[("]}", "]}x")]),
    (Neither, &[("]}", "]}{}")]),
    (Neither, &[("]}", ",]}")]),
    (Neither, &[("{", "/**/{")]),
    (Neither, &[(r#""ENABLED""#, "'ENABLED'")]),
    (Neither, &[(r#""ENABLED""#, r#"{"ENABLED":null}"#)]),
    (Neither, &[(r#""ENABLED""#, "null")]),
    (Neither, &[(r#""keyId":7"#, r#""keyId":null"#)]),
    (Neither, &[(r#""keyData":{"#, r#""keyData":null,"x":{"#)]),
    (Neither, &[("KEY", "null")]),
    (Neither, &[("[KEY]", "null")]),
    (Neither, &[("[KEY]", "KEY")]),
    (
        Neither,
        &[(r#"{"primaryKeyId":7,"key":[KEY]}"#, "[7,[KEY]]")],
    ),
    // A key whose members are an array, and its material as one.
    (
        Neither,
        &[
            (r#"{"keyData":"#, "["),
            (r#""status":"#, ""),
            (r#""keyId":"#, ""),
            (r#""outputPrefixType":"TINK"}"#, r#""TINK"]"#),
        ],
    ),
    (
        Neither,
        &[
            (r#"{"typeUrl":"#, "["),
            (r#""value":"#, ""),
            (r#""keyMaterialType":"#, ""),
            ("},", "],"),
        ],
    ),
    (Neither, &[(r#"{"primaryKeyId":7,"key":[KEY]}"#, "null")]),
    (Neither, &[(r#"{"primaryKeyId":7,"key":[KEY]}"#, "")]),
    (
        Neither,
        &[(r#""status""#, r#""status":"ENABLED","status""#)],
    ),
    (
        Neither,
        &[(r#""primaryKeyId""#, r#""primaryKeyId":7,"primaryKeyId""#)],
    ),
    (Neither, &[(r#""value":""#, r#""value":"","x":""#)]),
];

/// A keyset of each kind of keys, which the fuzz target `keyset` starts from, too.
const KEYSETS: [&str; 3] = [
    include_str!("../../../fuzz/corpus/keyset/aes"),
    include_str!("../../../fuzz/corpus/keyset/ed25519"),
    include_str!("../../../fuzz/corpus/keyset/p256"),
];

#[test]
fn tink_and_we_accept_the_same_keysets_but_for_these_differences() {
    let mut keysets = Vec::new();
    for data in KEYSETS.map(material) {
        for case in [KEYS, SEVERAL_KEYS, JSON].concat() {
            keysets.push((case, keyset(&data, case.1)));
        }
    }
    let texts: Vec<&str> = keysets.iter().map(|(_, text)| text.as_str()).collect();
    let tink = interop::run("verdicts.py", &json!(texts));
    let tink: Vec<Option<String>> = serde_json::from_value(tink).expect("verdicts");
    assert_eq!(tink.len(), keysets.len());

    let keyring = Keyring::empty();
    for ((case, text), tink) in keysets.iter().zip(tink) {
        let ours = verdict(&keyring, text);
        let accepted = match (ours, tink.as_deref()) {
            (None, None) => Neither,
            (None, Some(_)) => OnlyTink,
            (Some(_), None) => OnlyUs,
            (Some(ours), Some(tink)) => {
                assert_eq!(ours, tink, "{case:?}");
                Both
            }
        };
        assert_eq!(accepted, case.0, "{case:?}\n{text}");
    }
}

/// The field `keyData` of the only key.
fn material(keyset: &str) -> String {
    let keyset: Value = serde_json::from_str(keyset).expect("a keyset");
    let data = keyset.pointer("/key/0/keyData").expect("a key");
    // In the order of Tink's fields, without spaces.
    let field = |name: &str| data.get(name).expect("a field").to_string();
    format!(
        r#"{{"typeUrl":{},"value":{},"keyMaterialType":{}}}"#,
        field("typeUrl"),
        field("value"),
        field("keyMaterialType")
    )
}

fn keyset(data: &str, replacements: &[(&str, &str)]) -> String {
    let key = |id: u32| {
        format!(r#"{{"keyData":{data},"status":"ENABLED","keyId":{id},"outputPrefixType":"TINK"}}"#)
    };
    let mut text = r#"{"primaryKeyId":7,"key":[KEY]}"#.to_owned();
    let (keys, rest): (Vec<_>, Vec<_>) = replacements
        .iter()
        .partition(|(from, _)| from.contains("KEY"));
    for (from, to) in keys {
        text = replaced(&text, from, to);
    }
    let empty = r#"{"status":"DESTROYED","keyId":8,"outputPrefixType":"TINK"}"#;
    let named = [
        ("OTHER", key(8)),
        ("EMPTY", empty.to_owned()),
        ("KEY", key(7)),
    ];
    for (name, key) in named {
        text = text.replace(name, &key);
    }
    for (from, to) in rest {
        text = replaced(&text, from, to);
    }
    text
}

fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from} is not in {text}");
    text.replacen(from, to, 1)
}

/// What this project uses a keyset for.
fn verdict(keyring: &Keyring, text: &str) -> Option<&'static str> {
    fs::write(keyring.file(), text).expect("a file");
    fs::set_permissions(keyring.file(), fs::Permissions::from_mode(0o600)).expect("the file");
    let (encrypts, signs) = (
        keyring.keys().key("default").is_ok(),
        keyring.keys().signing_key("default").is_ok(),
    );
    match (encrypts, signs) {
        (true, _) => Some("encrypt"),
        (_, true) => Some("sign"),
        _ => None,
    }
}

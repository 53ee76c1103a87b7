//! Every error about a configuration names the setting and says what to do.

use std::{collections::BTreeMap, path::Path};

use super::*;
use crate::namespaces;

/// Words of which each error has at least one: what to do, or what is expected. A key URI with an unknown scheme is told
/// the known ones (`starts with none of`).
const REMEDIES: [&str; 19] = [
    "expected",
    "must",
    "add",
    "build",
    "check",
    "choose",
    "correct",
    "create",
    "did you mean",
    "known",
    "leave",
    "name",
    "put",
    "quote",
    "remove",
    "run",
    "save",
    "set",
    "starts",
];

fn problems(text: Option<&str>, variables: &[(&str, &str)]) -> Vec<Problem> {
    let variables: BTreeMap<_, _> = variables.iter().copied().collect();
    let variable = |name: &str| variables.get(name).map(|value| (*value).to_owned());
    let read = |document: &Document<'_>| {
        let (namespaces, keys) = namespaces::read(document);
        let _ = crate::keys::rotation(document);
        document.report_faults(namespaces::faults(&namespaces, &keys));
        document.report_faults(namespaces::missing_files(&namespaces, &keys));
    };
    let parsed = Settings::new("CODEC_").parse(text, &variable, read);
    parsed.err().unwrap_or_default()
}

#[track_caller]
fn says_what_to_do(problem: &Problem) {
    let Problem {
        place,
        setting,
        message,
    } = problem;
    assert!(
        place.is_some() || !setting.is_empty(),
        "no place: {message}"
    );
    let words: Vec<&str> = message.split(|c: char| !c.is_alphabetic()).collect();
    let has = |remedy: &&str| {
        if remedy.contains(' ') {
            message.contains(*remedy)
        } else {
            words.contains(remedy)
        }
    };
    assert!(REMEDIES.iter().any(has), "no remedy: {problem:?}");
}

#[test]
fn every_mistake_names_its_setting_and_says_what_to_do() {
    let key = "encrypt = [\"local://a\"]";
    let namespace = |line: &str| format!("[namespaces.a]\n{key}\n{line}\n");
    let keys = |line: &str| format!("[keys]\n{line}\n[namespaces.a]\n{key}\n");
    let mut texts = vec![
        String::new(),
        "keys = 1".to_owned(),
        "[nonsense]\n".to_owned(),
        "[namespaces.a]\nencrypt = []\n".to_owned(),
        "[namespaces.\"a**\"]\nencrypt = [\"local://a\"]\n".to_owned(),
        "[namespaces.\"*a*\"]\nencrypt = [\"local://a\"]\n[namespaces.\"*b*\"]\nencrypt = [\"local://a\"]\n"
            .to_owned(),
        "[namespaces.a]\n".to_owned(),
        "[namespaces.prod.a1]\nencrypt = [\"local://a\"]\n".to_owned(),
        "[namespaces.a]\nencrypt = [\"nonsense\"]\n".to_owned(),
        "[namespaces.a]\nencrypt = [\"local://a\", \"local://a\"]\n".to_owned(),
        "[namespaces.a]\nencrypt = [\"local://a\", \"local://b\"]\nformat = \"direct\"\n"
            .to_owned(),
    ];
    texts.extend(
        [
            "fromat = 1",
            "nonsense = 1",
            "format = \"v9\"",
            "decrypt = \"local://a\"",
            "decrypt = [1]",
            "decrypt_formats = [\"direct\"]",
            "context = { namespace = \"x\" }",
            "context = { a = 1 }",
            "require_context = 3",
            "require_context = true",
            "compression = \"gzip\"",
            "compression_level = 99",
            "max_decompressed = \"lots\"",
            "plaintext = \"no\"",
            "on_undecodable = \"shrug\"",
            "accept_namespaces = [\"b*\"]",
            "accept_namespaces = [\"\"]",
            "max_rate = \"50/s\"",
            "max_burst = 5",
            "max_requests = 0",
            "dek = { max_age = \"1h\", renew_before = \"2h\" }",
            "dek = { max_age = \"2h\", hard_max_age = \"1h\" }",
            "dek = { max_messages = 0 }",
        ]
        .map(namespace),
    );
    texts.extend(
        [
            "local_keyring = 5",
            "local_keyring = \"/nonexistent\"",
            "create_local_keys = true",
            "gcp_endpoint = \"https://example.com\"",
            "gcp_endpoint = \"nonsense\"",
            "gcp_credentials = \"relative\"",
            "gcp_credentials = \"/nonexistent\"",
            "calls = { max_attempts = 0 }",
            "calls = { max_concurrent = 99999999999999 }",
            "rotation = { period = \"2d\", max_age = \"1d\" }",
            "calls = { attempt_timeout = \"9s\", total_timeout = \"1s\" }",
        ]
        .map(keys),
    );
    texts.push(format!("[cache]\ndata_keys = 0\n{}", namespace("")));
    texts.push(format!("[cache]\nttl = \"400d\"\n{}", namespace("")));
    texts.push(format!("[cache]\ndata_keys = 20000000\n{}", namespace("")));
    for text in &texts {
        let found = problems(Some(text), &[]);
        assert!(!found.is_empty(), "{text}");
        found.iter().for_each(says_what_to_do);
    }
    for variables in [
        &[][..],
        &[
            ("TEMPORAL_CODEC_KEY", "local://a"),
            ("CODEC_CACHE_TTL", "x"),
        ],
    ] {
        let found = problems(None, variables);
        assert!(!found.is_empty(), "{variables:?}");
        found.iter().for_each(says_what_to_do);
    }
}

#[test]
fn a_misspelt_section_is_told_with_the_one_that_is_meant() {
    let text = "[cahce]\nttl = \"5m\"\n[namespace.a]\nencrypt = [\"local://a\"]\n[nonsense]\n";
    let found = problems(Some(text), &[]);
    let of = |setting: &str| {
        let found = found.iter().find(|problem| problem.setting == setting);
        found.expect(setting).message.as_str()
    };
    let none = "there is no such section; ";
    assert_eq!(of("cahce"), format!("{none}did you mean [cache]?"));
    let namespaces = format!("{none}did you mean [namespaces.NAME]?");
    assert_eq!(of("namespace"), namespaces);
    let known = format!("{none}known are ");
    assert!(of("nonsense").starts_with(&known), "{}", of("nonsense"));
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let latin = folder.path().join("latin.toml");
    std::fs::write(&latin, b"# caf\xe9").unwrap();
    for path in [Path::new("/nonexistent/codec.toml"), folder.path(), &latin] {
        let loaded = Settings::new("TKC_TEST_").load(Some(path), |_| ());
        let text = loaded.unwrap_err().to_string();
        assert!(text.starts_with(&path.display().to_string()), "{text}");
        let remedies = ["check", "name a file", "save"];
        assert!(
            remedies.iter().any(|remedy| text.contains(remedy)),
            "{text}"
        );
    }
}

//! The audit log's chain, verified by a program in Python that has only the rule of the documentation.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use dev_servers::audit_files;
use integration_tests::interop;
use serde_json::{Value, json};
use temporal_kms_codec::audit::{AuditLog, AuditOptions, Event, Verifier};

fn by_python(files: &[PathBuf]) -> Value {
    interop::run("audit_log.py", &json!({ "files": files }))
}

#[tokio::test]
async fn python_follows_the_chain_through_all_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = AuditOptions::folder(folder.path());
    let log = AuditLog::open(&options.with_max_file(2000, Duration::from_hours(1)));
    let log = log.expect("a log");
    for number in 0..40 {
        let event = Event::new("request").text("subject", "a\u{e4}\n\"\u{202e}");
        let receipt = log.record(event.number("number", number));
        receipt.written().await.expect("a line");
    }
    log.close().await.expect("the end");
    let files = audit_files(folder.path()).expect("a log");
    assert!(files.len() > 3, "{files:?}");
    let report = Verifier::new().verify(&[folder.path().to_owned()]);
    let last = report.expect("a report").last.expect("lines");
    let expected = json!({ "seq": last.seq, "hash": last.hash.to_string() });
    assert_eq!(by_python(&files), expected);

    // The same with the tools of a shell.
    let file = files.last().expect("a file").display();
    let script = format!("tail -n 1 '{file}' | sha256sum | cut -c 1-64");
    let output = Command::new("sh").args(["-c", &script]).output();
    let hash = String::from_utf8(output.expect("a shell").stdout).expect("text");
    assert_eq!(hash.trim(), last.hash.to_string());

    let middle = &files[1];
    let text = fs::read_to_string(middle).expect("a file");
    let (first, rest) = text.split_once('\n').expect("lines");
    let rest = rest.replacen("\"number\":", "\"numbeR\":", 1);
    fs::write(middle, format!("{first}\n{rest}")).expect("a file");
    let broken = json!({ "broken": format!("{}:3", middle.display()) });
    assert_eq!(by_python(&files), broken);
}

#[test]
fn the_program_of_the_documentation_is_the_one_that_is_tested() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("../docs/codec-server/audit.md")).expect("a page");
    let program = fs::read_to_string(root.join("interop/audit_log.py")).expect("a program");
    let (_, shown) = page.split_once("```python\n").expect("a program");
    let (shown, _) = shown.split_once("```").expect("its end");
    let function = shown.split("\n\n").find(|part| part.contains("def verify"));
    assert!(
        program.contains(function.expect("a function").trim()),
        "{shown}"
    );
}

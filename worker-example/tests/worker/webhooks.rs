//! `claude-tasks verify-webhook` against signatures that Python's standard library makes.

use std::{
    io::Write as _,
    process::{Command, Output, Stdio},
    time::{Duration, SystemTime},
};

use integration_tests::tool;
use serde_json::Value;

const BODY: &str = r#"{"taskId":"t-1","status":"completed","exitCode":0}"#;

fn now() -> Duration {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap()
}

/// The signature that a receiver's documentation would compute.
fn signature(secret: &str, timestamp: u64) -> String {
    let code = "import hashlib, hmac, sys\n\
         message = f'{sys.argv[2]}.{sys.argv[3]}'.encode()\n\
         print('sha256=' + hmac.new(sys.argv[1].encode(), message, hashlib.sha256).hexdigest())";
    let done = Command::new(tool("TKC_PYTHON"))
        .args(["-c", code, secret, &timestamp.to_string(), BODY])
        .output()
        .unwrap();
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

fn verify(arguments: &[&str], variables: &[(&str, &str)], body: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_claude-tasks"))
        .arg("verify-webhook")
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // The command may end before it reads the body.
    let _ = stdin.write_all(body.as_bytes());
    drop(stdin);
    child.wait_with_output().unwrap()
}

#[test]
fn a_genuine_webhook_is_told_from_every_other() {
    let sent = now().as_secs();
    let (stamp, signed) = (sent.to_string(), signature("s3cret-of-both", sent));
    let current = [("CLOUDRUN_CALLBACK_SECRET", "s3cret-of-both")];
    let options = ["--timestamp", &stamp, "--signature", &signed];
    let good = verify(&options, &current, BODY);
    assert_eq!(good.status.code(), Some(0));
    assert_eq!(
        String::from_utf8_lossy(&good.stdout),
        "genuine: task t-1 completed\n"
    );

    let rotated = [
        ("CLOUDRUN_CALLBACK_SECRET", "the-new-secret"),
        ("CLOUDRUN_CALLBACK_SECRET_PREVIOUS", "s3cret-of-both\n"),
    ];
    let headers = [
        "--json",
        "--header",
        &format!("x-webhook-timestamp: {stamp}"),
        "--header",
        &format!("X-Webhook-Signature:{signed}"),
        "--header",
        "Content-Type: application/json",
    ];
    let shown = verify(&headers, &rotated, BODY);
    assert_eq!(shown.status.code(), Some(0));
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["valid"], true);
    assert_eq!(
        (&shown["taskId"], &shown["timestamp"]),
        (&"t-1".into(), &sent.into())
    );

    let changed = verify(&options, &current, &BODY.replace("t-1", "t-2"));
    assert_eq!(changed.status.code(), Some(65));
    assert!(String::from_utf8_lossy(&changed.stderr).contains("not genuine"));
    let other = verify(&options, &[("CLOUDRUN_CALLBACK_SECRET", "another")], BODY);
    assert_eq!(other.status.code(), Some(65));
}

#[test]
fn old_webhooks_and_missing_parts_are_refused() {
    let old = now().as_secs() - 1000;
    let (stamp, signed) = (old.to_string(), signature("s", old));
    let secret = [("CLOUDRUN_CALLBACK_SECRET", "s")];
    let options = ["--json", "--timestamp", &stamp, "--signature", &signed];
    let refused = verify(&options, &secret, BODY);
    assert_eq!(refused.status.code(), Some(65));
    let shown: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(shown["valid"], false);
    assert!(
        shown["error"].as_str().unwrap().contains("s ago"),
        "{shown}"
    );
    let longer = [
        "--max-age",
        "1h",
        "--timestamp",
        &stamp,
        "--signature",
        &signed,
    ];
    assert_eq!(verify(&longer, &secret, BODY).status.code(), Some(0));

    for (arguments, variables, code, text) in [
        (
            &["--timestamp", "1"][..],
            &secret[..],
            64,
            "X-Webhook-Signature",
        ),
        (&options[1..], &[], 78, "CLOUDRUN_CALLBACK_SECRET"),
        (
            &options[1..],
            &[("CLOUDRUN_CALLBACK_SECRET_PREVIOUS", "s")],
            78,
            "set CLOUDRUN_CALLBACK_SECRET",
        ),
        (
            &["--timestamp", "x", "--signature", "y"],
            &secret,
            65,
            "timestamp",
        ),
        (
            &["--timestamp", "1", "--signature", "sha256=00"],
            &secret,
            65,
            "64 hexadecimal",
        ),
    ] {
        let ended = verify(arguments, variables, BODY);
        let errors = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(code), "{arguments:?}: {errors}");
        assert!(errors.contains(text), "{arguments:?}: {errors}");
    }
}

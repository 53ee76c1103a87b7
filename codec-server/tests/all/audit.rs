//! The audit log of the real server, and the commands that read it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::support::{CodecServer, SECRET, create_key, keyring, plain, program, run, text};

const NAMESPACE: &str = "[namespaces.default]\nencrypt = [\"local://default\"]";

/// A server with a log in its own folder, and with more settings in `[audit]`.
fn audited(settings: &str) -> CodecServer {
    CodecServer::configured(|folder| {
        let log = folder.join("audit");
        fs::create_dir(&log).unwrap();
        fs::set_permissions(&log, PermissionsExt::from_mode(0o700)).unwrap();
        format!(
            "[audit]\nfolder = '{}'\n{settings}\n{NAMESPACE}\n",
            log.display()
        )
    })
}

fn log_of(server: &CodecServer) -> PathBuf {
    server.folder().join("audit")
}

fn lines(log: &Path) -> Vec<Value> {
    let mut files: Vec<_> = fs::read_dir(log)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "jsonl")
        })
        .collect();
    files.sort();
    let text: String = files
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    let lines = text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap()
}

fn of<'l>(lines: &'l [Value], event: &str) -> Vec<&'l Value> {
    lines.iter().filter(|line| line["event"] == event).collect()
}

fn audit(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = run(&[&["audit"], arguments].concat());
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn every_request_and_every_call_of_a_key_has_a_line_before_the_answer() {
    let server = audited("");
    let log = log_of(&server);
    let sealed = server.encode("default", &plain(&[SECRET, SECRET]));
    let answer = server.call("/decode", "default", &sealed);
    assert_eq!(answer.status, 200);
    // The answer is there, so the lines are.
    let written = lines(&log);
    let [encode, decode] = of(&written, "request")[..] else {
        panic!("{written:?}")
    };
    assert_eq!(encode["operation"], "encode");
    assert_eq!(decode["operation"], "decode");
    assert_eq!(decode["request"], answer.header("x-request-id").unwrap());
    assert_eq!(decode["namespace"], "default");
    assert_eq!(
        (&decode["payloads"], &decode["undecoded"]),
        (&json!(2), &json!(0))
    );
    assert_eq!(decode["keys"], json!(["local://default"]));
    assert_eq!(encode["keys"], json!(["local://default"]));
    assert_eq!(
        (&decode["decision"], &decode["result"]),
        (&json!("allowed"), &json!("ok"))
    );
    assert!(decode["bytes"].as_u64().unwrap() > 100, "{decode}");
    assert!(
        decode["client"].as_str().unwrap().starts_with("127.0.0.1:"),
        "{decode}"
    );
    // The data key is wrapped once, for the request that needed it, and then it is known.
    let wraps: Vec<_> = of(&written, "kms");
    let wrap = wraps
        .iter()
        .find(|line| line["operation"] == "wrap")
        .unwrap();
    assert_eq!(
        (&wrap["request"], &wrap["key"]),
        (&encode["request"], &json!("local://default"))
    );
    assert!(
        !wraps
            .iter()
            .any(|line| line["request"] == decode["request"]),
        "{wraps:?}"
    );
    // Refusals have lines, too.
    server
        .call("/decode", "other", &sealed)
        .refused(404, "other");
    let broken =
        json!({"payloads": [{"metadata": sealed["payloads"][0]["metadata"], "data": "AAAA"}]});
    assert_eq!(server.call("/decode", "default", &broken).status, 400);
    let written = lines(&log);
    let requests = of(&written, "request");
    let told = |line: &Value| (line["decision"].clone(), line["result"].clone());
    assert_eq!(told(requests[2]), (json!("refused"), json!("not_found")));
    assert_eq!(told(requests[3]), (json!("allowed"), json!("bad_request")));
    // Other paths say nothing of keys.
    assert_eq!(server.post("/favicon.ico", &[], b"").status, 404);
    let folder = server.folder().to_owned();
    let process = server.id();
    let copy = tempfile::tempdir().unwrap();
    let copied = Command::new("cp")
        .arg("-r")
        .arg(&log)
        .arg(copy.path())
        .status();
    assert!(copied.unwrap().success());
    server.stop_and_log();
    assert!(!folder.exists());

    let log = copy.path().join("audit");
    let written = lines(&log);
    assert_eq!(of(&written, "request").len(), 4);
    let [start] = of(&written, "start")[..] else {
        panic!("{written:?}")
    };
    assert_eq!(start["process"], process);
    assert!(
        start["program"]
            .as_str()
            .unwrap()
            .starts_with("codec-server ")
    );
    let all = format!("{written:?}");
    assert!(
        !all.contains(SECRET) && !all.contains("encrypted-dek"),
        "{all}"
    );
    let (code, shown, error) = audit(&["verify", log.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{shown}{error}");
    assert!(shown.contains("every line is in its place"), "{shown}");
}

#[test]
fn hostile_names_stay_in_their_line() {
    let server = audited("");
    let body = json!({"payloads": []});
    let name = "a\",\"decision\":\"allowed\",\"x\":\"";
    let answer = server.call("/decode", name, &body);
    assert_eq!(answer.status, 404);
    let sealed = json!({"payloads": [{
        "metadata": {
            "encoding": "YmluYXJ5L2VudmVsb3BlLWttcw==",
            // A key called `k","seq":1}` and a line break.
            "kms-key": "ayIsInNlcSI6MX0K",
        },
        "data": "AAAA",
    }]});
    assert_eq!(server.call("/decode", "default", &sealed).status, 400);
    let written = lines(&log_of(&server));
    let requests = of(&written, "request");
    assert_eq!(requests[0]["decision"], "refused");
    assert_eq!(
        requests[0]["error"].as_str().unwrap().matches(name).count(),
        2
    );
    assert_eq!(requests[1]["keys"][0], "k\",\"seq\":1}\u{fffd}");
    let (code, shown, _) = audit(&["verify", log_of(&server).to_str().unwrap()]);
    assert_eq!(code, Some(0), "{shown}");
}

/// The start and the stop of a server, with signed anchors between them.
#[test]
fn the_log_is_anchored_by_a_key_and_verified_with_its_public_key() {
    let log = tempfile::tempdir().unwrap();
    let folder = log.path().join("audit");
    fs::create_dir(&folder).unwrap();
    let server = CodecServer::configured(|files| {
        let keys = files.join("keys");
        let created = run(&[
            "keys",
            "create",
            "local://audit",
            "--purpose",
            "sign-ed25519",
            "--keyring",
            keys.to_str().unwrap(),
        ]);
        assert_eq!(created.status.code(), Some(0), "{}", text(&created.stderr));
        let key = run(&[
            "keys",
            "public-key",
            "local://audit",
            "--keyring",
            keys.to_str().unwrap(),
        ]);
        assert_eq!(key.status.code(), Some(0), "{}", text(&key.stderr));
        fs::write(log.path().join("audit.pem"), key.stdout).unwrap();
        format!(
            "[audit]\nfolder = '{}'\nanchor_key = \"local://audit\"\nanchor_lines = 5\n{NAMESPACE}\n",
            folder.display()
        )
    });
    for _ in 0..10 {
        server.serves();
    }
    server.stop_and_log();
    let written = lines(&folder);
    assert_eq!(of(&written, "stop").len(), 1);
    assert!(of(&written, "anchor").len() >= 2, "{written:?}");
    assert_eq!(written.last().unwrap()["event"], "anchor");
    // Signatures of anchors need no line of their own.
    assert!(
        !of(&written, "kms")
            .iter()
            .any(|line| line["operation"] == "sign")
    );

    let pem = log.path().join("audit.pem");
    let (folder, pem) = (folder.to_str().unwrap(), pem.to_str().unwrap());
    let verify = |more: &[&str]| {
        let arguments = [&["verify", folder, "--public-key", pem, "--json"], more].concat();
        let (code, shown, error) = audit(&arguments);
        let shown: Value = serde_json::from_str(&shown).unwrap_or_else(|_| panic!("{error}"));
        (code, shown)
    };
    let (code, report) = verify(&["--complete", "--max-unanchored", "1"]);
    assert_eq!((code, &report["ok"]), (Some(0), &json!(true)), "{report}");
    let noted = report["last"].clone();
    let head = format!("{}:{}", noted["seq"], noted["hash"].as_str().unwrap());
    assert_eq!(verify(&["--head", &head]).0, Some(0));

    // A changed line is named.
    let file = format!("{folder}/audit-00000001.jsonl");
    let before = fs::read_to_string(&file).unwrap();
    let line = 1 + before
        .lines()
        .position(|line| line.contains("\"decode\""))
        .unwrap();
    fs::write(&file, before.replacen("\"decode\"", "\"encode\"", 1)).unwrap();
    let (code, report) = verify(&[]);
    assert_eq!(code, Some(65));
    assert_eq!(report["ok"], false);
    assert_eq!(report["finding"]["kind"], "changed");
    assert_eq!(
        (&report["finding"]["line"], &report["finding"]["file"]),
        (&json!(line), &json!(file))
    );
    let (code, shown, _) = audit(&["verify", folder]);
    assert_eq!(code, Some(65));
    assert!(
        shown.contains(&format!("{file}:{line}: this line was changed")),
        "{shown}"
    );
}

#[test]
fn nothing_is_decoded_without_a_record() {
    // Files of the server cannot grow beyond 32 KiB.
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("audit");
    fs::create_dir(&log).unwrap();
    for (on_failure, status) in [("refuse", 503), ("continue", 200)] {
        let config = format!(
            "[audit]\nfolder = '{}'\non_failure = \"{on_failure}\"\n{NAMESPACE}\n",
            log.display()
        );
        let mut server = CodecServer::configured_in_a_small_space(&config, 64);
        let sealed = server.encode("default", &plain(&["a"]));
        let full = (0..2000).find_map(|_| {
            let answer = server.call("/decode", "default", &sealed);
            // Where the answer tells it, the size of a line does not matter.
            (answer.status != 200 || (status == 200 && log_is_full(&log))).then_some(answer)
        });
        if status == 200 {
            // There is no room for these lines.
            server.call("/decode", "default", &sealed);
            server.call("/decode", "default", &sealed);
        }
        let answer = full.expect("the log never became full");
        assert_eq!(answer.status, status, "{}", answer.body);
        if status == 503 {
            assert!(answer.body.contains("audit log"), "{}", answer.body);
            assert!(answer.header("retry-after").is_some());
        }
        server.wait_for_log("the audit log cannot be written");
        let ready = loop {
            let answer = server.admin("/readyz");
            if answer.body.contains("audit") {
                break answer;
            }
        };
        assert_eq!(ready.status, status, "{}", ready.body);
        assert_eq!(server.call("/decode", "default", &sealed).status, status);
        server.stop_and_log();
        // Whole lines only.
        let (code, shown, _) = audit(&["verify", log.to_str().unwrap()]);
        assert_eq!(code, Some(0), "{shown}");
        for file in fs::read_dir(&log).unwrap() {
            fs::remove_file(file.unwrap().path()).unwrap();
        }
    }
}

/// No room for another line.
fn log_is_full(log: &Path) -> bool {
    let file = fs::metadata(log.join("audit-00000001.jsonl")).unwrap();
    file.len() > (32 << 10) - 300
}

#[test]
fn a_server_whose_log_cannot_be_opened_does_not_start() {
    let folder = keyring();
    let log = folder.path().join("audit");
    let file = folder.path().join("codec.toml");
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[audit]\nfolder = '{}'\n[keys]\nlocal_keyring = '{}'\n{NAMESPACE}\n",
        log.display(),
        folder.path().display()
    );
    fs::write(&file, config).unwrap();
    let serve = || {
        let output = run(&["serve", "--config", file.to_str().unwrap()]);
        (output.status.code(), text(&output.stderr))
    };
    let (code, error) = serve();
    assert_eq!(code, Some(78), "{error}");
    assert!(error.contains("install -d -m 0700"), "{error}");

    fs::create_dir(&log).unwrap();
    let holder = CodecServer::configured(|_| {
        format!("[audit]\nfolder = '{}'\n{NAMESPACE}\n", log.display())
    });
    let (code, error) = serve();
    assert_eq!(code, Some(69), "{error}");
    assert!(
        error.contains(&format!("(process {})", holder.id())),
        "{error}"
    );
}

#[test]
fn changes_of_keys_by_people_have_a_line() {
    let folder = keyring();
    let log = tempfile::tempdir().unwrap();
    let arguments = |more: &[&str]| {
        let mut command = program();
        command
            .args(["keys", "--keyring"])
            .arg(folder.path())
            .arg("--audit-log")
            .arg(log.path())
            .args(more);
        command.output().unwrap()
    };
    let created = arguments(&["create", "local://new"]);
    assert_eq!(created.status.code(), Some(0), "{}", text(&created.stderr));
    assert_ne!(arguments(&["create", "local://new"]).status.code(), Some(0));
    assert_eq!(arguments(&["rotate", "local://new"]).status.code(), Some(0));
    assert_eq!(arguments(&["list"]).status.code(), Some(0));
    let written = lines(log.path());
    let told: Vec<_> = of(&written, "key")
        .iter()
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap().to_owned();
            [text("operation"), text("key"), text("result")].join(" ")
        })
        .collect();
    assert_eq!(
        told,
        [
            "create_key local://new ok",
            "create_key local://new already_exists",
            "rotate_key local://new ok",
        ]
    );
    assert!(
        of(&written, "start")[0]["user"]
            .as_str()
            .unwrap()
            .contains("uid")
    );
    let (code, shown, _) = audit(&["verify", log.path().to_str().unwrap()]);
    assert_eq!(code, Some(0), "{shown}");
}

#[test]
fn lines_are_shown_and_searched() {
    let server = audited("");
    create_key(server.keyring(), "other");
    server.serves();
    server.serves();
    let log = log_of(&server);
    let log = log.to_str().unwrap();
    let search = |more: &[&str]| {
        let (code, shown, error) = audit(&[&["search", log, "--json"], more].concat());
        assert_eq!(code, Some(0), "{error}");
        let lines = shown.lines().map(serde_json::from_str);
        lines.collect::<Result<Vec<Value>, _>>().unwrap()
    };
    assert_eq!(
        search(&["--operation", "decode", "--namespace", "default"]).len(),
        2
    );
    assert_eq!(search(&["--event", "request", "--since", "1h"]).len(), 4);
    assert_eq!(search(&["--event", "request", "--until", "1h"]).len(), 0);
    assert_eq!(
        search(&[
            "--key",
            "local://default",
            "--result",
            "ok",
            "--event",
            "kms"
        ])
        .len(),
        of(&lines(Path::new(log)), "kms").len()
    );
    let id = search(&["--operation", "decode"])[0]["request"].clone();
    let of_request = search(&["--request-id", id.as_str().unwrap()]);
    assert!(
        of_request.iter().all(|line| line["request"] == id),
        "{of_request:?}"
    );

    let (code, shown, _) = audit(&["tail", log, "-n", "1"]);
    assert_eq!(code, Some(0));
    let shown: Vec<_> = shown.lines().collect();
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert!(shown[0].starts_with("TIME"), "{shown:?}");
    assert!(
        shown[1].contains("request") && shown[1].contains("namespace=default"),
        "{shown:?}"
    );

    let (code, _, error) = audit(&["tail", "/nowhere"]);
    assert_eq!(code, Some(66), "{error}");
    let empty = tempfile::tempdir().unwrap();
    let (code, _, error) = audit(&["verify", empty.path().to_str().unwrap()]);
    assert_eq!(code, Some(66), "{error}");
    assert!(error.contains("has no audit log"), "{error}");
}

#[test]
fn new_lines_are_followed_into_new_files() {
    let server = audited("max_file = \"64KiB\"");
    let mut tail = program();
    tail.args(["audit", "tail", "-f", "-n", "0", "--json"])
        .arg(log_of(&server));
    let mut tail = dev_servers::Process::spawn("audit tail", tail).unwrap();
    let sealed = server.encode("default", &plain(&["a"]));
    let second = log_of(&server).join("audit-00000002.jsonl");
    let mut last = String::new();
    while !second.exists() {
        let answer = server.call("/decode", "default", &sealed);
        last = answer.header("x-request-id").unwrap().to_owned();
    }
    let patience = std::time::Duration::from_mins(1);
    let is_last = |line: &str| line.contains(&last).then_some(());
    tail.wait_for_line(patience, is_last).unwrap();
    let followed = tail.output();
    let seqs: Vec<u64> = followed
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok()?["seq"].as_u64())
        .collect();
    assert!(
        seqs.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "{seqs:?}"
    );
    tail.stop();
}

//! The audit log of the real server, and the commands that read it.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use dev_servers::audit_lines;
use serde_json::{Value, json};
use temporal_kms_codec_service::auth::NewToken;
use tokio::runtime::Runtime;

use crate::support::{
    CLOUD_KEY, Cloud, CodecServer, PATIENCE, SECRET, body_of, create_key, keyring, plain, post,
    program, run, run_with_input, text, until,
};

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
    audit_lines(log).unwrap()
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
fn anchors_that_cannot_be_signed_are_shown_until_one_can() {
    let runtime = Runtime::new().unwrap();
    let _guard = runtime.enter();
    let cloud = runtime.block_on(Cloud::start());
    let url = cloud.url();
    let variables = [("GCP_KMS_ENDPOINT", url.as_str())];
    let key = CLOUD_KEY.replace("cryptoKeys/k", "cryptoKeys/audit");
    let create = ["keys", "create", &key, "--purpose", "sign-p256"];
    let created = run_with_input(&create, &variables, b"");
    assert!(created.status.success(), "{}", text(&created.stderr));
    let server = CodecServer::configured_with(&variables, |folder| {
        let log = folder.join("audit");
        fs::create_dir(&log).unwrap();
        fs::set_permissions(&log, PermissionsExt::from_mode(0o700)).unwrap();
        let log = log.display();
        format!(
            "[audit]\nfolder = '{log}'\nanchor_key = \"{key}\"\nanchor_lines = 1\nanchor_every = \"1s\"\n{NAMESPACE}\n"
        )
    });
    let anchored = "codec_server_audit_last_anchor_timestamp_seconds ";
    server.wait_for_metric(anchored);
    server.wait_for_metric("codec_server_audit_anchor_failures_total 0");

    cloud.fault(&["deny@AsymmetricSign"]);
    server.serves();
    let degraded = "degraded: audit: the audit log is written, but the key cannot sign";
    until(|| {
        let answer = server.admin("/readyz");
        assert_eq!(answer.status, 200);
        let is_shown = answer.body.contains(degraded);
        is_shown.then_some(()).ok_or(answer.body)
    });
    let shown = server.admin("/metrics").body;
    assert!(!shown.contains("codec_server_audit_anchor_failures_total 0\n"));

    cloud.fault(&[]);
    until(|| {
        let answer = server.admin("/readyz");
        (answer.body == "ready\n").then_some(()).ok_or(answer.body)
    });
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
        // More lines than there is room for.
        let mut answer = server.call("/decode", "default", &sealed);
        for _ in 0..200 {
            if answer.status == 200 {
                answer = server.call("/decode", "default", &sealed);
            }
        }
        assert_eq!(answer.status, status, "{}", answer.body);
        if status == 503 {
            assert!(answer.body.contains("audit log"), "{}", answer.body);
            assert!(answer.header("retry-after").is_some());
        }
        server.wait_for_log("the audit log cannot be written");
        let ready = until(|| {
            let answer = server.admin("/readyz");
            if answer.body.contains("audit") {
                Ok(answer)
            } else {
                Err(answer.body)
            }
        });
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
    let last = until(|| {
        let answer = server.call("/decode", "default", &sealed);
        let id = answer.header("x-request-id").unwrap().to_owned();
        if second.exists() { Ok(id) } else { Err(id) }
    });
    let is_last = |line: &str| line.contains(&last).then_some(());
    tail.wait_for_line(PATIENCE, is_last).unwrap();
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

/// The configuration of a server with the keys of `folder` and its audit log on standard output, and where that is saved.
fn writes_to_standard_output(folder: &Path) -> (PathBuf, PathBuf) {
    let (file, saved) = (folder.join("codec.toml"), folder.join("saved"));
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n[audit]\nstdout = true\n\
         [keys]\nlocal_keyring = '{}'\n{NAMESPACE}\n",
        folder.display()
    );
    fs::write(&file, config).unwrap();
    (file, saved)
}

/// What a collector saves is verified as it is.
#[test]
fn a_log_on_standard_output_has_nothing_but_its_lines() {
    let folder = keyring();
    create_key(folder.path(), "default");
    let (file, saved) = writes_to_standard_output(folder.path());
    let mut command = program();
    command.args(["serve", "--config"]).arg(&file);
    command.stdout(fs::File::create(&saved).unwrap());
    command.stderr(std::process::Stdio::piped());
    let mut server = command.spawn().unwrap();
    let mut shown = BufReader::new(server.stderr.take().unwrap()).lines();
    assert!(shown.any(|line| line.unwrap().starts_with("admin listening on http://")));
    let id = nix::unistd::Pid::from_raw(server.id().try_into().unwrap());
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).unwrap();
    for line in shown {
        line.unwrap();
    }
    assert!(server.wait().unwrap().success());
    let (code, shown, error) = audit(&["verify", saved.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{shown}{error}");
}

/// A collector, or `kubectl logs`, may mix the lines of both outputs.
#[test]
fn lines_on_standard_output_are_found_among_those_of_the_servers_own_log() {
    let folder = keyring();
    let (file, saved) = writes_to_standard_output(folder.path());
    let output = fs::File::options().create(true).append(true).open(&saved);
    let output = output.unwrap();
    for _ in 0..2 {
        let mut command = program();
        command.args(["serve", "--config"]).arg(&file);
        command
            .env("CODEC_LOG_FORMAT", "json")
            .env("RUST_LOG", "debug");
        command.stdout(output.try_clone().unwrap());
        command.stderr(output.try_clone().unwrap());
        let before = fs::read_to_string(&saved).unwrap().len();
        let mut server = command.spawn().unwrap();
        until(|| {
            let shown = fs::read_to_string(&saved).unwrap().split_off(before);
            let is_ready = shown.contains("ready: every encrypting key answers");
            is_ready.then_some(()).ok_or(shown)
        });
        let id = nix::unistd::Pid::from_raw(server.id().try_into().unwrap());
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).unwrap();
        assert!(server.wait().unwrap().success());
    }
    let path = saved.to_str().unwrap();
    let (code, shown, _) = audit(&["verify", path]);
    assert_eq!(code, Some(65), "{shown}");

    // What the documentation says: grep '^{"seq":'
    let mixed = fs::read_to_string(&saved).unwrap();
    let lines = mixed.lines().filter(|line| line.starts_with("{\"seq\":"));
    let lines: Vec<String> = lines.map(|line| format!("{line}\n")).collect();
    assert!(lines.len() < mixed.lines().count());
    fs::write(&saved, lines.concat()).unwrap();
    let (code, shown, error) = audit(&["verify", path]);
    assert_eq!(code, Some(0), "{shown}{error}");
    // Each start of the server begins a chain.
    assert!(shown.contains("a new chain begins here"), "{shown}");
    fs::write(&saved, [&lines[..1], &lines[2..]].concat().concat()).unwrap();
    assert_eq!(audit(&["verify", path]).0, Some(65));
}

#[test]
fn a_request_that_is_cut_off_has_its_lines_before_the_log_ends() {
    let log = tempfile::tempdir().unwrap();
    let limits = "shutdown_grace = \"200ms\"\nshutdown_delay = \"0s\"\nbody_timeout = \"1h\"";
    let audit = format!("[audit]\nfolder = '{}'\n{NAMESPACE}", log.path().display());
    let mut server = CodecServer::serve(limits, &audit);
    let body = body_of(&plain(&["a"]));
    let request = post("/encode", &[("Expect", "100-continue")], &body);
    let mut waiting = server.connect();
    // The body never comes.
    waiting.send(&request[..request.len() - body.len()]);
    assert!(waiting.head().contains("100 Continue"));
    server.signal(nix::sys::signal::Signal::SIGTERM);
    server.wait_for_log("cut off");
    assert_eq!(server.wait().code(), Some(0));
    let written = lines(log.path());
    let [request] = of(&written, "request")[..] else {
        panic!("{written:?}")
    };
    assert_eq!(request["result"], "given_up");
    assert_eq!(written.last().unwrap()["event"], "stop");
}

#[test]
fn keys_are_not_changed_when_the_log_has_no_room_for_its_first_line() {
    let folder = tempfile::tempdir().unwrap();
    let (log, keys) = (folder.path().join("log"), folder.path().join("keys"));
    fs::create_dir(&log).unwrap();
    fs::set_permissions(&log, PermissionsExt::from_mode(0o700)).unwrap();
    fs::create_dir(&keys).unwrap();
    fs::set_permissions(&keys, PermissionsExt::from_mode(0o700)).unwrap();
    let with_log = |command: &mut Command, arguments: &[&str]| {
        command.args(["keys", "--keyring"]).arg(&keys);
        command.arg("--audit-log").arg(&log).args(arguments);
        command.output().unwrap()
    };
    // Until a block has no room for another line `start`.
    let len = (0..50).find_map(|_| {
        with_log(&mut program(), &["list"]);
        let len = fs::metadata(log.join("audit-00000001.jsonl"))
            .unwrap()
            .len();
        (len % 512 > 512 - 150).then_some(len)
    });
    let blocks = len.unwrap().div_ceil(512);
    let serve = program();
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(format!(
            "trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\""
        ))
        .arg(serve.get_program());
    let output = with_log(&mut shell, &["create", "local://new"]);
    let error = text(&output.stderr);
    assert_ne!(output.status.code(), Some(0), "{error}");
    assert!(
        error.contains("nothing is done without a record"),
        "{error}"
    );
    assert!(!error.contains("was changed"), "{error}");
    let keys = fs::read_dir(&keys).map_or(0, Iterator::count);
    assert_eq!(keys, 0, "the key was created");
}

/// Before anything else of the request is looked at.
#[test]
fn a_request_that_is_refused_early_is_named_with_its_operation() {
    let server = audited("");
    let origin = [("Origin", "https://evil.example.com")];
    assert_eq!(server.post("/decode", &origin, b"{}").status, 403);
    let written = lines(&log_of(&server));
    let [request] = of(&written, "request")[..] else {
        panic!("{written:?}")
    };
    assert_eq!(request["operation"], "decode");
    assert_eq!(request["decision"], "refused");
}

/// Requests that one connection sends without waiting for answers.
fn refused_without_a_caller(server: &CodecServer, number: usize) {
    let request = |end: &str| format!("GET /whoami HTTP/1.1\r\nHost: localhost\r\n{end}\r\n");
    let mut connection = server.connect();
    let text = request("").repeat(number - 1) + &request("Connection: close\r\n");
    connection.send(text.as_bytes());
    let answers = connection.rest();
    let answers = String::from_utf8(answers).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 401").count(), number);
}

#[test]
fn requests_without_a_caller_do_not_fill_the_log() {
    const REFUSED: usize = 5_000;
    let token = NewToken::generate().unwrap();
    let log = tempfile::tempdir().unwrap();
    let server = CodecServer::configured(|_| {
        format!(
            "[audit]\nfolder = '{}'\n[auth.tokens.worker]\nsha256 = [\"{}\"]\npermissions = [\"default:write\"]\n{NAMESPACE}\n",
            log.path().display(),
            token.sha256
        )
    });
    let bearer = format!("Bearer {}", token.token.as_str());
    let headers = [("Authorization", bearer.as_str())];
    let body = body_of(&plain(&["a"]));
    for _ in 0..REFUSED / 100 {
        refused_without_a_caller(&server, 100);
        assert_eq!(server.post("/encode", &headers, &body).status, 200);
        // Strangers do not hide the refusals of a caller who is known.
        assert_eq!(server.post("/decode", &headers, &body).status, 403);
    }
    server.stop_and_log();
    let written = lines(log.path());
    let requests = of(&written, "request");
    let with = |result: &str| {
        requests
            .iter()
            .filter(|line| line["result"] == result)
            .count()
    };
    let told = with("unauthenticated");
    assert!(told < 450, "{told} lines");
    assert_eq!(
        (with("ok"), with("forbidden")),
        (REFUSED / 100, REFUSED / 100)
    );
    let left_out = of(&written, "left_out");
    let counted: u64 = left_out
        .iter()
        .map(|line| line["unauthenticated"].as_u64().unwrap())
        .sum();
    assert_eq!(told as u64 + counted, REFUSED as u64, "{left_out:?}");
}

#[test]
fn a_login_has_a_line_with_its_user() {
    let runtime = Runtime::new().unwrap();
    let issuer = runtime.block_on(fake_oidc::Server::local()).unwrap();
    let _guard = runtime.enter();
    let log = tempfile::tempdir().unwrap();
    let server = CodecServer::configured(|_| {
        format!(
            "[audit]\nfolder = '{}'\n\
             [auth.issuers.fake]\nissuer = \"{}\"\naudience = [\"codec\"]\nsubjects = {{ ann = [\"default:read\"] }}\n\
             [auth.login]\nissuer = \"fake\"\nclient_id = \"codec\"\n\
             redirect_url = \"https://codec.example.com/auth/callback\"\n{NAMESPACE}\n",
            log.path().display(),
            issuer.issuer()
        )
    });
    let get = |path: &str, cookie: &str| {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: {cookie}\r\n\r\n"
        );
        server.raw(request.as_bytes())
    };
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    for (user, status, result) in [("ann", 303, "ok"), ("eve", 403, "forbidden")] {
        issuer.sign_in_as(json!({ "sub": user }));
        let begun = get("/auth/login", "");
        let location = begun.header("location").unwrap().to_owned();
        let cookie = begun.header("set-cookie").unwrap().to_owned();
        let answer = runtime.block_on(client.get(location).send()).unwrap();
        let back = answer.headers()["location"].to_str().unwrap();
        let query = back.split_once('?').unwrap().1;
        let cookie = cookie.split(';').next().unwrap();
        let done = get(&format!("/auth/callback?{query}"), cookie);
        assert_eq!(done.status, status, "{}", done.body);
        let written = lines(log.path());
        let login = of(&written, "login").pop().unwrap();
        assert_eq!(
            (&login["subject"], &login["issuer"], &login["result"]),
            (&json!(user), &json!("fake"), &json!(result))
        );
        assert_eq!(login["request"], done.header("x-request-id").unwrap());
        assert!(login["client"].as_str().unwrap().starts_with("127.0.0.1:"));
    }
}

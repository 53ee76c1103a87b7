//! Disks that are full or cannot be written to. What is there stays as it is.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use dev_servers::audit_lines;
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::support::{CodecServer, DEFAULT, plain, program, run, text, until};

/// Runs commands in a small disk of their own: `$P` is the program, and the working directory is on the disk.
fn on_a_small_disk(commands: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "mount -t tmpfs -o size=128k,mode=700 tmpfs '{0}' || exit 99; cd '{0}'; {commands}",
        folder.path().display()
    );
    let own = program();
    let mut unshare = Command::new("unshare");
    unshare.args(["--map-root-user", "--mount", "sh", "-c", &script]);
    unshare
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    unshare.env("P", own.get_program());
    let output = unshare
        .output()
        .expect("this test needs `unshare` of util-linux");
    assert_ne!(
        output.status.code(),
        Some(99),
        "no disk can be mounted: {}",
        text(&output.stderr)
    );
    output
}

/// The lines of the standard output that begin with `=`.
fn results(output: &Output) -> Vec<String> {
    let shown = text(&output.stdout);
    let results = shown.lines().filter_map(|line| line.strip_prefix('='));
    results.map(str::to_owned).collect()
}

const KEYS: &str = "--keyring keys";

#[test]
fn a_full_disk_changes_no_keyset_and_leaves_no_half_of_one() {
    let output = on_a_small_disk(&format!(
        r#"$P keys create local://old {KEYS} >/dev/null; echo "=created $?"
        echo '{{"payloads":[{{"metadata":{{"encoding":"anNvbi9wbGFpbg=="}},"data":"ImEi"}}]}}' > plain
        $P encode --key local://old {KEYS} plain > sealed; echo "=sealed $?"
        sum=$(cat keys/old.json | sha256sum)
        cat /dev/zero > filler 2>/dev/null
        $P keys create local://new {KEYS} >/dev/null; echo "=create $?"
        $P keys rotate local://old {KEYS} >/dev/null; echo "=rotate $?"
        [ "$(cat keys/old.json | sha256sum)" = "$sum" ]; echo "=unchanged $?"
        echo "=files" $(ls keys | grep -v lock)
        $P decode --key local://old {KEYS} sealed | grep -q ImEi; echo "=opened $?"
        rm filler
        $P keys create local://new {KEYS} >/dev/null; echo "=create $?"
        $P keys rotate local://old {KEYS} >/dev/null; echo "=rotate $?"
        $P decode --key local://old {KEYS} sealed | grep -q ImEi; echo "=opened $?""#
    ));
    let expected = [
        "created 0",
        "sealed 0",
        "create 78",
        "rotate 78",
        "unchanged 0",
        "files old.json",
        "opened 0",
        "create 0",
        "rotate 0",
        "opened 0",
    ];
    assert_eq!(results(&output), expected, "{}", text(&output.stderr));
}

#[test]
fn a_disk_that_is_read_only_serves_keys_and_changes_none() {
    let output = on_a_small_disk(&format!(
        r#"$P keys create local://old {KEYS} >/dev/null; echo "=created $?"
        echo '{{"payloads":[{{"metadata":{{"encoding":"anNvbi9wbGFpbg=="}},"data":"ImEi"}}]}}' > plain
        mount -o remount,ro "$PWD" || exit 99
        $P encode --key local://old {KEYS} plain | $P decode --key local://old {KEYS} | grep -q ImEi; echo "=opened $?"
        $P keys create local://new {KEYS} >/dev/null; echo "=create $?"
        $P keys rotate local://old {KEYS} >/dev/null; echo "=rotate $?"
        echo "=files" $(ls keys | grep -v lock)"#
    ));
    let expected = [
        "created 0",
        "opened 0",
        "create 78",
        "rotate 78",
        "files old.json",
    ];
    assert_eq!(results(&output), expected, "{}", text(&output.stderr));
}

#[test]
fn a_log_that_cannot_be_written_fails_no_request() {
    let output = on_a_small_disk(
        r#"echo '{"payloads":[{"metadata":{"encoding":"anNvbi9wbGFpbg=="},"data":"ImEi"}]}' > plain
        $P dev --listen 127.0.0.1:0 --keyring keys > out 2>/dev/full & server=$!
        for try in $(seq 600); do grep -q listening out && break; sleep 0.1; done
        url=$(sed -n 's/^listening on //p' out)
        call() { curl --silent --fail --header 'Content-Type: application/json' --data-binary @"$2" "$url/$1"; }
        for try in 1 2 3; do
            call encode plain > sealed; echo "=encode $?"
            call decode sealed | grep -q ImEi; echo "=opened $?"
        done
        kill $server; wait $server; echo "=ended $?""#,
    );
    let expected = [
        "encode 0", "opened 0", "encode 0", "opened 0", "encode 0", "opened 0", "ended 0",
    ];
    assert_eq!(results(&output), expected, "{}", text(&output.stderr));
}

#[test]
fn a_server_whose_audit_log_is_read_only_does_not_start() {
    let output = on_a_small_disk(&format!(
        r#"$P keys create local://default {KEYS} >/dev/null
        printf '[server]\nlisten = "127.0.0.1:0"\n[keys]\nlocal_keyring = "keys"\n[audit]\nfolder = "%s/audit"\n[namespaces.default]\nencrypt = ["local://default"]\n' "$PWD" > codec.toml
        mkdir -m 700 audit; mount -o remount,ro "$PWD" || exit 99
        $P serve --config codec.toml; echo "=serve $?""#
    ));
    assert_eq!(results(&output), ["serve 74"], "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).contains("audit"),
        "{}",
        text(&output.stderr)
    );
}

fn audited(folder: &Path) -> String {
    format!("[audit]\nfolder = '{}'\n{DEFAULT}", folder.display())
}

#[test]
fn a_server_whose_audit_log_is_on_a_full_disk_refuses_and_goes_on_when_there_is_room() {
    let disk = tempfile::tempdir().unwrap();
    // The filler is a file of the disk that this process does not see, so the server's own shell removes it on a sign.
    let sign = tempfile::tempdir().unwrap();
    let commands = format!(
        "mount -t tmpfs -o size=256k,mode=700 tmpfs '{0}' && head -c 65536 /dev/zero > '{0}/filler' || exit 99\n\
         (while [ ! -e '{1}/go' ]; do sleep 0.05; done; rm '{0}/filler') >/dev/null 2>&1 &",
        disk.path().display(),
        sign.path().display()
    );
    let mut server = CodecServer::configured_in_mounts_of_its_own(&commands, &audited(disk.path()));
    server.wait_for_log("ready: every encrypting key answers");
    let plaintext = plain(&["a"]);
    let sealed = server.encode("default", &plaintext);
    let mut answered = 0;
    let refused = loop {
        let answer = server.call("/decode", "default", &sealed);
        if answer.status != 200 {
            break answer;
        }
        answered += 1;
        assert!(answered < 5000, "the disk never fills");
    };
    refused.refused(503, "audit log");
    assert!(answered > 50, "{answered}");

    fs::write(sign.path().join("go"), "").unwrap();
    let opened = until(|| {
        let answer = server.call("/decode", "default", &sealed);
        if answer.status == 200 {
            return Ok(answer.json());
        }
        answer.refused(503, "audit log");
        Err(answer.body)
    });
    assert_eq!(opened, plaintext);
}

/// A disk of ext4 in a file. A sign makes it fail, and it turns read-only, as most disks of Linux do. A `tmpfs` cannot turn
/// read-only while a file is open for writing.
struct FailingDisk {
    mounted: TempDir,
    /// The file of the disk, and the sign.
    folder: TempDir,
}

impl FailingDisk {
    fn new() -> Self {
        Self {
            mounted: tempfile::tempdir().unwrap(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn log(&self) -> PathBuf {
        self.mounted.path().join("audit")
    }

    /// The commands of a shell that mount it, as soon as the server before has left it.
    fn mount(&self) -> String {
        format!(
            "PATH=\"$PATH:/usr/sbin:/sbin\"; image='{0}/image'\n\
             for try in $(seq 600); do [ -z \"$(losetup --associated \"$image\")\" ] && break; sleep 0.1; done\n\
             mount -o loop,errors=remount-ro \"$image\" '{1}' || exit 99",
            self.folder.path().display(),
            self.mounted.path().display()
        )
    }

    /// The commands that make and mount it, and wait for the sign.
    fn make(&self) -> String {
        format!(
            "PATH=\"$PATH:/usr/sbin:/sbin\"; truncate -s 8M '{0}/image' && mkfs.ext4 -q '{0}/image' || exit 99\n\
             {1}\n\
             mkdir -m 700 '{2}'; device=$(basename \"$(findmnt --noheadings --output SOURCE '{3}')\")\n\
             (while [ ! -e '{0}/go' ]; do sleep 0.05; done\n\
             echo test > \"/sys/fs/ext4/$device/trigger_fs_error\") >/dev/null 2>&1 &",
            self.folder.path().display(),
            self.mount(),
            self.log().display(),
            self.mounted.path().display()
        )
    }

    fn fail(&self) {
        fs::write(self.folder.path().join("go"), "").unwrap();
    }
}

#[test]
fn a_server_whose_audit_log_turns_read_only_refuses_and_keeps_every_line() {
    let disk = FailingDisk::new();
    let log = disk.log();
    let settings = format!(
        "[audit]\nfolder = '{}'\nsync = \"fsync\"\n{DEFAULT}",
        log.display()
    );
    let mut server = CodecServer::configured_with_a_disk_of_its_own(&disk.make(), &settings);
    server.wait_for_log("ready: every encrypting key answers");
    let plaintext = plain(&["a"]);
    let sealed = server.encode("default", &plaintext);
    let mut answered = Vec::new();
    let mut decode = || {
        let answer = server.call("/decode", "default", &sealed);
        if answer.status == 200 {
            answered.push(answer.header("x-request-id").unwrap().to_owned());
            return Err("the disk is writable");
        }
        Ok(answer)
    };
    for _ in 0..20 {
        assert!(decode().is_err(), "the disk is not writable");
    }
    disk.fail();
    until(decode).refused(503, "audit log");
    let encoded = server.call("/encode", "default", &plaintext);
    encoded.refused(503, "audit log");
    assert_eq!(server.admin("/healthz").status, 200);
    let unready = until(|| {
        let answer = server.admin("/readyz");
        let is_ready = answer.status == 200;
        (!is_ready).then_some(answer).ok_or("it is ready")
    });
    assert_eq!(unready.status, 503);
    assert!(unready.body.contains("audit log"), "{}", unready.body);
    server.signal(Signal::SIGTERM);
    assert!(server.wait().success());

    // ext4 stays read-only until it is mounted again.
    let server = CodecServer::configured_with_a_disk_of_its_own(&disk.mount(), &settings);
    server.serves();
    let log = format!("/proc/{}/root{}", server.id(), log.display());
    let lines = audit_lines(log.as_ref()).unwrap();
    let requests = lines.iter().filter(|line| line["event"] == "request");
    let audited: Vec<_> = requests
        .filter_map(|line| line["request"].as_str())
        .collect();
    for request in &answered {
        assert!(audited.contains(&request.as_str()), "no line of {request}");
    }
    let verified = run(&["audit", "verify", &log]);
    assert!(verified.status.success(), "{}", text(&verified.stdout));
}

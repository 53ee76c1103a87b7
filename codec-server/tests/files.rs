//! `codec-server seal` and `open`: the real program on real files and pipes.

#![allow(
    clippy::unwrap_used,
    reason = "a test that panics has failed, as it should"
)]

use std::{
    fs,
    io::{Read as _, Write as _},
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use nix::sys::resource::{UsageWho, getrusage};
use tempfile::TempDir;
use temporal_kms_codec::kms::local::LocalKeyring;

/// What a file's content must not be found in.
const SECRET: &[u8] = b"a secret that stands in the file";

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(TempDir::new().unwrap());
        let keyring = LocalKeyring::open(folder.path("keys"));
        for name in ["default", "a", "b"] {
            keyring.key_or_create(name).unwrap();
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_codec-server"));
        command
            .current_dir(self.0.path())
            .env_clear()
            .args(arguments)
            .args(["--keyring", "keys"]);
        command
    }

    #[track_caller]
    fn run(&self, status: i32, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {words}");
        assert!(!words.contains("a secret"), "{words}");
        output
    }

    fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.path(name), content).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

#[test]
fn a_file_is_sealed_beside_itself_and_opened_again() {
    let folder = Folder::new();
    folder.write("backup", &SECRET.repeat(10_000));
    folder.run(0, &["seal", "backup"]);
    let sealed = folder.read("backup.sealed");
    assert!(!sealed.windows(SECRET.len()).any(|window| window == SECRET));
    fs::remove_file(folder.path("backup")).unwrap();
    folder.run(0, &["open", "backup.sealed"]);
    assert_eq!(folder.read("backup"), SECRET.repeat(10_000));
}

#[test]
fn nothing_is_replaced_unless_asked_for() {
    let folder = Folder::new();
    folder.write("backup", SECRET);
    folder.run(0, &["seal", "backup"]);
    let first = folder.read("backup.sealed");
    let refused = folder.run(64, &["seal", "backup"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--force"));
    assert_eq!(folder.read("backup.sealed"), first);
    folder.run(0, &["seal", "backup", "--force"]);
    assert_ne!(folder.read("backup.sealed"), first);
    folder.run(64, &["open", "backup"]);
}

#[test]
fn a_mistyped_key_or_keyring_makes_nothing() {
    let folder = Folder::new();
    folder.write("backup", SECRET);
    for (keyring, key) in [("keys", "local://defualt"), ("kyes", "local://default")] {
        let output = Command::new(env!("CARGO_BIN_EXE_codec-server"))
            .current_dir(folder.0.path())
            .env_clear()
            .args(["seal", "backup", "--key", key, "--keyring", keyring])
            .output()
            .unwrap();
        assert!(!output.status.success(), "{output:?}");
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        let remedy = format!("codec-server keys create {key} --keyring {keyring}");
        assert!(words.contains(&remedy), "{words}");
    }
    assert_eq!(folder.names(), ["backup", "keys"]);
    assert!(!folder.path("keys/defualt.json").exists());
}

#[test]
fn the_context_and_the_keys_decide_who_opens() {
    let folder = Folder::new();
    folder.write("backup", SECRET);
    let keys = ["--key", "local://a", "--key", "local://b"];
    folder.run(
        0,
        &[&["seal", "backup", "--context", "host=db1"][..], &keys].concat(),
    );
    fs::remove_file(folder.path("backup")).unwrap();

    folder.run(65, &["open", "backup.sealed", "--key", "local://b"]);
    folder.run(
        65,
        &[
            "open",
            "backup.sealed",
            "--key",
            "local://b",
            "--context",
            "host=db2",
        ],
    );
    folder.run(
        64,
        &[
            "open",
            "backup.sealed",
            "--key",
            "local://c",
            "--context",
            "host=db1",
        ],
    );
    assert_eq!(
        folder.names(),
        ["backup.sealed", "keys"],
        "something was left behind"
    );
    folder.run(
        0,
        &[
            "open",
            "backup.sealed",
            "--key",
            "local://b",
            "--context",
            "host=db1",
        ],
    );
    assert_eq!(folder.read("backup"), SECRET);
    folder.run(64, &["seal", "backup", "--context", "host"]);
    folder.run(
        64,
        &["seal", "backup", "--context", "a=1", "--context", "a=2"],
    );
}

#[test]
fn a_damaged_file_is_refused_and_leaves_no_output() {
    let folder = Folder::new();
    folder.write("backup", &vec![7; 300_000]);
    folder.run(0, &["seal", "backup"]);
    fs::remove_file(folder.path("backup")).unwrap();
    let sealed = folder.read("backup.sealed");

    let last_chunk = 300_000 % (64 * 1024) + 16;
    folder.write("cut.sealed", &sealed[..sealed.len() - last_chunk]);
    let refused = folder.run(65, &["open", "cut.sealed"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("its end was cut off"));

    let mut altered = sealed.clone();
    *altered.last_mut().unwrap() ^= 1;
    folder.write("altered.sealed", &altered);
    folder.run(65, &["open", "altered.sealed"]);
    folder.write("other.sealed", b"no sealed file");
    folder.run(65, &["open", "other.sealed"]);
    folder.write("empty.sealed", b"");
    folder.run(65, &["open", "empty.sealed"]);
    folder.run(74, &["open", "missing.sealed"]);
    let names = folder.names();
    assert!(
        names
            .iter()
            .all(|name| name.ends_with(".sealed") || name == "keys"),
        "{names:?}"
    );
}

/// 1 GiB through two pipes: sealed by one process, opened by another.
#[test]
fn a_gibibyte_takes_little_memory() {
    const BLOCK: usize = 1 << 20;
    let folder = Folder::new();
    folder.write("key", b"");
    folder.run(0, &["seal", "key"]);
    let mut seal = folder
        .command(&["seal", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut open = folder
        .command(&["open", "-"])
        .stdin(seal.stdout.take().unwrap())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();

    let mut input = seal.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        for number in 0..1024_u32 {
            let block = vec![u8::try_from(number % 251).unwrap(); BLOCK];
            input.write_all(&block).unwrap();
        }
    });
    let mut output = open.stdout.take().unwrap();
    let mut block = vec![0; BLOCK];
    for number in 0..1024_u32 {
        output.read_exact(&mut block).unwrap();
        let expected = u8::try_from(number % 251).unwrap();
        assert!(block.iter().all(|byte| *byte == expected), "block {number}");
    }
    assert_eq!(output.read(&mut block).unwrap(), 0);
    writer.join().unwrap();
    assert!(seal.wait().unwrap().success() && open.wait().unwrap().success());

    let kibibytes = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss();
    assert!(kibibytes < 64 * 1024, "a process took {kibibytes} KiB");
}

#[test]
fn help_has_examples() {
    let output = Command::new(env!("CARGO_BIN_EXE_codec-server"))
        .args(["seal", "--help"])
        .output();
    let help = String::from_utf8(output.unwrap().stdout).unwrap();
    assert!(
        help.contains("codec-server open backup.tar.sealed"),
        "{help}"
    );
}

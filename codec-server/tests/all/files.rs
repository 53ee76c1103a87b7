//! `codec-server seal` and `open`: the real program on real files and pipes.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::FileTypeExt as _,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};

use nix::{
    sys::{signal::Signal, stat::Mode},
    unistd::{Pid, mkfifo},
};
use tempfile::TempDir;
use temporal_kms_codec::kms::local::LocalKeyring;

use crate::support::program;

/// What a file's content must not be found in.
const SECRET: &[u8] = b"a secret that is in the file";

struct Folder(TempDir);

impl Folder {
    /// With a key for each command's default.
    fn new() -> Self {
        let folder = Self(TempDir::new().unwrap());
        folder.create_key("default");
        folder
    }

    fn create_key(&self, name: &str) {
        let keyring = LocalKeyring::open(self.path("keys"));
        keyring.key_or_create(name).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command
            .current_dir(self.0.path())
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
    let refused = folder.run(73, &["seal", "backup"]);
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
        let output = program()
            .current_dir(folder.0.path())
            .args(["seal", "backup", "--key", key, "--keyring", keyring])
            .output()
            .unwrap();
        assert!(!output.status.success(), "{output:?}");
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        let keyring = folder.0.path().canonicalize().unwrap().join(keyring);
        let remedy = format!(
            "codec-server keys create {key} --keyring {}",
            keyring.display()
        );
        assert!(words.contains(&remedy), "{words}");
    }
    assert_eq!(folder.names(), ["backup", "keys"]);
    assert!(!folder.path("keys/defualt.json").exists());
}

#[test]
fn a_path_cannot_steer_the_terminal_or_break_a_suggested_command() {
    let folder = Folder::new();
    folder.write("backup", SECRET);
    let output = program()
        .current_dir(folder.0.path())
        .args(["seal", "backup", "--key", "local://default"])
        .args(["--keyring", "my \u{1b}[2J keys"])
        .output()
        .unwrap();
    assert!(!output.status.success(), "{output:?}");
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(!words.contains('\u{1b}'), "{words:?}");
    let quoted = words.split(" --keyring '").nth(1).expect(&words);
    assert!(quoted.contains("my \u{fffd}[2J keys'"), "{words}");
}

#[test]
fn the_context_and_the_keys_decide_who_opens() {
    let folder = Folder::new();
    folder.write("backup", SECRET);
    folder.create_key("a");
    folder.create_key("b");
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
        78,
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
    let refused = folder.run(65, &["open", "altered.sealed"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        said.contains("altered.sealed: the input is incomplete or was altered"),
        "{said}"
    );
    for content in [&b"plain"[..], b"a longer plain file", b""] {
        folder.write("other.sealed", content);
        let refused = folder.run(65, &["open", "other.sealed"]);
        let said = String::from_utf8_lossy(&refused.stderr);
        let expected =
            "other.sealed: it is not a file that `codec-server seal` wrote; check its name";
        assert!(said.contains(expected), "{said}");
    }
    folder.run(66, &["open", "missing.sealed"]);
    folder.run(66, &["open", ".", "--output", "out"]);
    let names = folder.names();
    assert!(
        names
            .iter()
            .all(|name| name.ends_with(".sealed") || name == "keys"),
        "{names:?}"
    );
}

/// A command that is in the middle of its work: its input is a pipe that stays open.
struct Running {
    process: Child,
    _input: fs::File,
}

/// Enough for several chunks to be opened.
const INPUT: usize = 1_000_000;

impl Folder {
    /// Starts `open` with most of a sealed file and returns when most of it was taken.
    fn start_open(&self, output: &str) -> Running {
        self.write("large", &SECRET.repeat(INPUT / SECRET.len()));
        self.run(0, &["seal", "large"]);
        let sealed = self.read("large.sealed");
        mkfifo(&self.path("input"), Mode::S_IRWXU).unwrap();
        let process = self
            .command(&["open", "input", "--output", output])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = fs::File::options()
            .write(true)
            .open(self.path("input"))
            .unwrap();
        // A pipe holds 64 KiB: when all of this was taken, most of it was opened.
        input.write_all(&sealed[..sealed.len() - 1000]).unwrap();
        Running {
            process,
            _input: input,
        }
    }
}

impl Running {
    fn stop(self, signal: Signal) -> (Option<i32>, String) {
        let id = Pid::from_raw(self.process.id().try_into().unwrap());
        nix::sys::signal::kill(id, signal).unwrap();
        let output = self.process.wait_with_output().unwrap();
        let words = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), words)
    }
}

#[test]
fn an_interrupted_command_leaves_no_plaintext() {
    for (signal, code) in [
        (Signal::SIGINT, 130),
        (Signal::SIGTERM, 143),
        (Signal::SIGHUP, 129),
    ] {
        let folder = Folder::new();
        let running = folder.start_open("output");
        let (status, words) = running.stop(signal);
        assert_eq!(status, Some(code), "{words}");
        assert_eq!(
            words.trim(),
            format!("codec-server: interrupted by {signal}; no output was written")
        );
        assert_eq!(
            folder.names(),
            ["input", "keys", "large", "large.sealed"],
            "{signal}"
        );
    }
}

#[test]
fn a_killed_command_leaves_no_plaintext() {
    let folder = Folder::new();
    let (status, _) = folder.start_open("output").stop(Signal::SIGKILL);
    assert_eq!(status, None);
    assert_eq!(folder.names(), ["input", "keys", "large", "large.sealed"]);
}

#[test]
fn devices_pipes_links_folders_and_the_input_are_never_replaced() {
    let folder = Folder::new();
    folder.write("backup", SECRET);
    folder.run(0, &["seal", "backup"]);
    folder.write("kept", b"kept");
    std::os::unix::fs::symlink("kept", folder.path("link")).unwrap();
    std::os::unix::fs::symlink("nothing", folder.path("dangling")).unwrap();
    fs::create_dir(folder.path("folder")).unwrap();
    fs::hard_link(folder.path("backup.sealed"), folder.path("same")).unwrap();
    for (output, words) in [
        ("link", "it is a symbolic link"),
        ("dangling", "it is a symbolic link"),
        ("folder", "it is a folder"),
        ("backup.sealed", "it is the input"),
        ("same", "it is the input"),
    ] {
        for force in [&["--force"][..], &[]] {
            let refused = folder.run(
                73,
                &[&["open", "backup.sealed", "--output", output][..], force].concat(),
            );
            let words = if force.is_empty() { "it exists" } else { words };
            let said = String::from_utf8(refused.stderr).unwrap();
            assert!(said.contains(&format!("{output}: {words}")), "{said}");
        }
    }
    assert_eq!(folder.read("kept"), b"kept");
    assert!(!folder.path("nothing").exists());

    let refused = folder.run(73, &["open", "backup.sealed", "--output", "/dev/null"]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("--force writes to it"), "{said}");
    folder.run(
        0,
        &["open", "backup.sealed", "--output", "/dev/null", "--force"],
    );
    let null = fs::metadata("/dev/null").unwrap();
    assert!(null.file_type().is_char_device());

    mkfifo(&folder.path("pipe"), Mode::S_IRWXU).unwrap();
    std::os::unix::fs::symlink("pipe", folder.path("link-to-pipe")).unwrap();
    for output in ["pipe", "link-to-pipe"] {
        let open = folder
            .command(&["open", "backup.sealed", "--output", output, "--force"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        assert_eq!(folder.read("pipe"), SECRET);
        assert!(open.wait_with_output().unwrap().status.success());
    }
    let pipe = fs::symlink_metadata(folder.path("pipe")).unwrap();
    assert!(pipe.file_type().is_fifo());
}

#[test]
fn the_path_of_stdout_is_stdout() {
    let folder = Folder::new();
    folder.write("backup", SECRET);
    folder.run(0, &["seal", "backup"]);
    let opened = folder.run(0, &["open", "backup.sealed", "--output", "/dev/stdout"]);
    assert_eq!(opened.stdout, SECRET);
}

#[test]
fn a_hostile_header_is_refused() {
    let folder = Folder::new();
    folder.write("backup", SECRET);
    folder.run(0, &["seal", "backup"]);
    let sealed = folder.read("backup.sealed");
    let (magic, rest) = sealed.split_at(8);
    let (len, rest) = rest.split_at(4);
    let len = u32::from_be_bytes(len.try_into().unwrap());
    let (recipients, rest) = rest.split_at(len.try_into().unwrap());
    let with = |recipients: &[u8], len: u32| [magic, &len.to_be_bytes(), recipients, rest].concat();
    let recipient = std::str::from_utf8(recipients).unwrap();
    let recipient = recipient.trim_matches(['[', ']']);
    let repeated = format!("[{}]", [recipient; 10].join(","));
    let length_of = |text: &str| u32::try_from(text.len()).unwrap();
    for hostile in [
        with(recipients, u32::MAX),
        with(recipients, len + 1),
        with(repeated.as_bytes(), length_of(&repeated)),
        with(b"not JSON", 8),
        with(b"[]", 2),
        with(br#"[{"kek":"x","dek":"AA=="}]"#, 26),
    ] {
        folder.write("hostile.sealed", &hostile);
        folder.run(65, &["open", "hostile.sealed", "--output", "out"]);
        assert!(!folder.path("out").exists());
    }
}

#[test]
fn errors_name_the_users_files_only() {
    let folder = Folder::new();
    folder.write("backup", SECRET);
    folder.run(0, &["seal", "backup"]);
    for (status, output, words) in [
        (
            73,
            "nowhere/backup",
            "nowhere/backup: it cannot be created: No such file",
        ),
        (
            73,
            "backup/below",
            "backup/below: it cannot be created: Not a directory",
        ),
        (74, "/dev/full", "No space left on device"),
    ] {
        let refused = folder.run(
            status,
            &["open", "backup.sealed", "--output", output, "--force"],
        );
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(said.contains(words), "{said}");
        assert!(!said.contains("tmp"), "{said}");
    }
}

#[test]
fn a_key_is_never_created_by_use() {
    let folder = Folder::new();
    folder.write("backup", SECRET);
    folder.run(0, &["seal", "backup"]);
    for command in [
        &["seal", "backup", "--force"][..],
        &["open", "backup.sealed", "--output", "o"],
    ] {
        for wrong in [["--key", "local://typo"], ["--keyring", "typo"]] {
            let output = program()
                .current_dir(folder.0.path())
                .args([command, &wrong].concat())
                .args(if wrong[0] == "--key" {
                    &["--keyring", "keys"][..]
                } else {
                    &[]
                })
                .output()
                .unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(78), "{command:?}: {said}");
            // A new key opens nothing.
            let create = said.contains("codec-server keys create");
            assert_eq!(create, command[0] == "seal", "{command:?}: {said}");
            assert!(create || said.contains("--key"), "{command:?}: {said}");
        }
    }
    assert!(!folder.path("typo").exists());
    assert!(!folder.path("keys").join("typo.json").exists());
}

#[test]
fn the_key_that_a_file_needs_is_told() {
    let folder = Folder::new();
    folder.create_key("2026");
    folder.write("backup", SECRET);
    folder.run(0, &["seal", "backup", "--key", "local://2026"]);
    let open = |status: i32, key: &str| {
        let open = ["open", "backup.sealed", "--output", "o", "--key", key];
        String::from_utf8(folder.run(status, &open).stderr).unwrap()
    };
    let missing = open(78, "local://typo");
    let keyring = folder.path("keys").canonicalize().unwrap();
    let expected = format!(
        "no key local://typo in {}; correct the name in --key, or the folder in --keyring: the file names local://2026",
        keyring.display()
    );
    assert!(missing.contains(&expected), "{missing}");
    let other = open(65, "local://default");
    let expected = "the file names the key local://2026, which --key does not name; name it with --key if you trust it";
    assert!(other.contains(expected), "{other}");
    folder.create_key("2027");
    let both = ["--key", "local://2026,local://2027"];
    folder.run(0, &[&["seal", "backup", "--force"][..], &both].concat());
    let other = open(65, "local://default");
    let expected = "the file names the keys local://2026, local://2027, and --key names none of them; name one of them with --key if you trust it";
    assert!(other.contains(expected), "{other}");
    assert!(!folder.path("o").exists());
}

#[test]
fn commands_are_quiet() {
    let folder = Folder::new();
    folder.write("backup", SECRET);
    for quiet in [&["--force"][..], &["--force", "--quiet"]] {
        let output = folder.run(0, &[&["seal", "backup"][..], quiet].concat());
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    }
}

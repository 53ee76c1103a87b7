//! How much memory `seal` and `open` take. This is a test program of its own: it measures every process that its own
//! process has started.

#![allow(
    clippy::unwrap_used,
    reason = "a test that panics has failed, as it should"
)]

use std::{
    io::{Read as _, Write as _},
    process::{Command, Stdio},
};

use nix::sys::resource::{UsageWho, getrusage};

/// 1 GiB through two pipes: sealed by one process, opened by another.
#[test]
fn a_gibibyte_takes_little_memory() {
    const BLOCK: usize = 1 << 20;
    let folder = tempfile::tempdir().unwrap();
    let command = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_codec-server"));
        command.env_clear().current_dir(folder.path());
        command.args(arguments).args(["--keyring", "keys"]);
        command
    };
    let created = command(&["keys", "create", "local://default"]).status();
    assert!(created.unwrap().success());
    let mut seal = command(&["seal", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut open = command(&["open", "-"])
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

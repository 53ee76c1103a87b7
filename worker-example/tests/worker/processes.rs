//! A supervised program never outlives its worker. Shell scripts imitate Claude Code and the tools that it starts.

use claude_tasks::{Launcher, ProgramSpec, Supervised};
use nix::{errno::Errno, sys::signal::kill, unistd::Pid};
use std::{ffi::OsString, time::Duration};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines},
    process::{ChildStderr, ChildStdout},
    time::timeout,
};

/// Leaves its session, its group and its parent, ignores all signals that it can, and prints its process id.
const ESCAPES: &str = r#"setsid sh -c 'trap "" TERM HUP INT; echo $$; exec sleep 100000' &"#;
const LIMIT: Duration = Duration::from_mins(1);

struct Program {
    supervised: Supervised,
    output: Lines<BufReader<ChildStdout>>,
    errors: ChildStderr,
}

async fn sh(script: &str, change: impl FnOnce(&mut ProgramSpec)) -> Program {
    let arguments: Vec<OsString> = vec!["-c".into(), script.into()];
    let mut spec = ProgramSpec::new("/bin/sh".into(), arguments, "/".into());
    spec.environment
        .push(("PATH".into(), "/usr/bin:/bin".to_owned().into()));
    spec.grace = Duration::from_millis(300);
    change(&mut spec);
    launch(spec, b"").await
}

async fn launch(spec: ProgramSpec, input: &[u8]) -> Program {
    let launcher = Launcher::new(env!("CARGO_BIN_EXE_claude-tasks"));
    let mut supervised = launcher.launch(spec, input).await.unwrap();
    let (output, errors) = supervised.output().unwrap();
    Program {
        supervised,
        output: BufReader::new(output).lines(),
        errors,
    }
}

impl Program {
    async fn line(&mut self) -> String {
        timeout(LIMIT, self.output.next_line())
            .await
            .unwrap()
            .unwrap()
            .expect("a line")
    }

    async fn pid(&mut self) -> Pid {
        Pid::from_raw(self.line().await.parse().unwrap())
    }

    /// Waits for the end. After it, no process may still hold the output.
    async fn end(&mut self) -> (i32, Vec<String>, String) {
        let code = timeout(LIMIT, self.supervised.wait())
            .await
            .unwrap()
            .unwrap();
        let mut lines = Vec::new();
        while let Some(line) = timeout(LIMIT, self.output.next_line())
            .await
            .unwrap()
            .unwrap()
        {
            lines.push(line);
        }
        let mut errors = String::new();
        timeout(LIMIT, self.errors.read_to_string(&mut errors))
            .await
            .unwrap()
            .unwrap();
        (code, lines, errors)
    }
}

fn is_gone(pid: Pid) -> bool {
    kill(pid, None) == Err(Errno::ESRCH)
}

async fn until_gone(pid: Pid) {
    let gone = async {
        while !is_gone(pid) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LIMIT, gone).await.expect("the process lives");
}

#[tokio::test]
async fn hands_through_input_environment_output_and_exit_code() {
    let arguments: Vec<OsString> = vec!["-c".into(), "cat; env; echo oops >&2; exit 7".into()];
    let mut spec = ProgramSpec::new("/bin/sh".into(), arguments, "/tmp".into());
    spec.environment
        .push(("TOKEN".into(), "a value".to_owned().into()));
    let mut program = launch(spec, b"line 1\nline 2\n").await;
    let (code, lines, errors) = program.end().await;
    assert_eq!((code, errors.as_str()), (7, "oops\n"));
    assert_eq!(lines[..2], ["line 1", "line 2"]);
    assert!(lines.contains(&"TOKEN=a value".to_owned()), "{lines:?}");
    // The shell sets these variables. Any other one would come from the supervisor.
    let own = |line: &&String| {
        !["TOKEN=", "PWD=", "SHLVL=", "_="]
            .iter()
            .any(|n| line.starts_with(n))
    };
    assert_eq!(lines[2..].iter().find(own), None);
}

#[tokio::test]
async fn a_program_that_reads_nothing_is_no_problem() {
    let spec = ProgramSpec::new("/bin/true".into(), vec![], "/".into());
    let mut program = launch(spec, &vec![b'x'; 1 << 20]).await;
    assert_eq!(program.end().await, (0, vec![], String::new()));
}

#[tokio::test]
async fn says_what_cannot_be_started() {
    for (path, code) in [("/no/such/program", 127), ("/etc/passwd", 126)] {
        let mut program = launch(
            ProgramSpec::new(path.into(), vec![], "/".into()),
            b"secret input",
        )
        .await;
        let (exit, _, errors) = program.end().await;
        assert_eq!(exit, code, "{errors}");
        assert!(
            errors.contains(path) && !errors.contains("secret"),
            "{errors}"
        );
    }
}

#[tokio::test]
async fn a_signal_shows_as_128_and_more() {
    let mut program = sh("kill -9 $$", |_| {}).await;
    assert_eq!(program.end().await.0, 137);
}

#[tokio::test]
async fn what_is_left_behind_is_killed_when_the_program_ends() {
    let folder = tempfile::tempdir().unwrap();
    let flag = folder.path().join("flag").display().to_string();
    let script = r#"
        setsid sh -c 'trap "" TERM HUP INT; echo $$; : > "$FLAG"; exec sleep 100000' &
        while [ ! -e "$FLAG" ]; do sleep 0.01; done
        exit 3"#;
    let mut program = sh(script, |spec| {
        spec.environment.push(("FLAG".into(), flag.into()));
    })
    .await;
    let escaped = program.pid().await;
    let (code, ..) = program.end().await;
    assert_eq!(code, 3);
    assert!(is_gone(escaped));
}

#[tokio::test]
async fn stopping_lets_the_program_clean_up_first() {
    let script = "trap 'echo cleaning; exit 9' TERM; echo ready; while :; do sleep 0.05; done";
    let mut program = sh(script, |spec| spec.grace = LIMIT).await;
    assert_eq!(program.line().await, "ready");
    program.supervised.stop();
    let (code, lines, _) = program.end().await;
    assert_eq!((code, lines), (9, vec!["cleaning".to_owned()]));
}

#[tokio::test]
async fn who_ignores_everything_is_killed_with_all_below() {
    let script = format!("trap '' TERM; echo $$; {ESCAPES} while :; do sleep 1; done");
    let mut program = sh(&script, |_| {}).await;
    let (main, escaped) = (program.pid().await, program.pid().await);
    program.supervised.stop();
    assert_eq!(program.end().await.0, 137);
    assert!(is_gone(main) && is_gone(escaped));
}

/// A tree of processes whose leaves run away. Each leaf starts a successor and ends, so that a list of processes shows it
/// late or not at all.
///
/// Its size is bounded. `tree` calls itself twice with a smaller number: 2⁶ − 1 = 63 processes. Each of the
/// 32 leaves becomes `comet`, which calls itself once with a smaller number: one or two of its processes live at a time,
/// and at most 1,001 ever. So fewer than 150 processes live at once, and the last one of each comet only sleeps. If the
/// test can become another user, the system allows that user at most 200 processes.
const RUNAWAY: &str = r#"
    comet() { if [ "$1" -gt 0 ]; then comet $(($1 - 1)) & else exec sleep 100000; fi; }
    tree() { if [ "$1" -gt 1 ]; then tree $(($1 - 1)) & tree $(($1 - 1)) & wait; else comet 1000; fi; }
    trap '' TERM HUP INT
    tree 6 &
    echo ready
    exec sleep 100000"#;

#[tokio::test]
async fn processes_that_run_away_are_all_killed() {
    let becomes = "exec setpriv --reuid=64999 --clear-groups sh -c";
    let script = format!(
        "ulimit -u 200 2>/dev/null
         if [ \"$(id -u)\" = 0 ] && setpriv --reuid=64999 --clear-groups true 2>/dev/null; then {becomes} \"$RUNAWAY\"; fi
         exec sh -c \"$RUNAWAY\""
    );
    let mut program = sh(&script, |spec| {
        spec.environment
            .push(("RUNAWAY".into(), RUNAWAY.to_owned().into()));
    })
    .await;
    assert_eq!(program.line().await, "ready");
    program.supervised.stop();
    // This waits until no process holds the output. Every process of the tree holds it.
    let (code, ..) = program.end().await;
    assert_eq!(code, 137);
}

#[tokio::test]
async fn a_stopped_supervisor_is_woken() {
    let mut program = sh("kill -STOP $PPID; echo ready; exec sleep 100000", |_| {}).await;
    assert_eq!(program.line().await, "ready");
    program.supervised.stop();
    program.supervised.wake();
    assert_eq!(program.end().await.0, 143);
}

#[tokio::test]
async fn the_longest_grace_time_does_not_overflow() {
    let script = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done";
    let mut program = sh(script, |spec| spec.grace = Duration::MAX).await;
    assert_eq!(program.line().await, "ready");
    program.supervised.stop();
    assert_eq!(program.end().await.0, 9);
}

#[tokio::test]
async fn letting_go_ends_the_program() {
    let mut program = sh(&format!("echo $$; {ESCAPES} wait"), |_| {}).await;
    let (main, escaped) = (program.pid().await, program.pid().await);
    drop(program);
    until_gone(main).await;
    until_gone(escaped).await;
}

#[tokio::test]
async fn a_killed_main_process_leaves_nothing() {
    let mut program = sh(&format!("echo $$; {ESCAPES} wait"), |_| {}).await;
    let (main, escaped) = (program.pid().await, program.pid().await);
    kill(main, nix::sys::signal::SIGKILL).unwrap();
    assert_eq!(program.end().await.0, 137);
    assert!(is_gone(escaped));
}

#[tokio::test]
async fn nothing_below_can_gain_rights() {
    let mut program = sh("grep NoNewPrivs /proc/self/status", |_| {}).await;
    let (_, lines, _) = program.end().await;
    assert_eq!(lines, ["NoNewPrivs:\t1"]);
}

#[tokio::test]
async fn the_lock_is_held_to_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lock");
    let lock = std::fs::File::create(&path).unwrap();
    let mut program = sh("echo ready; cat /dev/zero > /dev/null", |spec| {
        spec.lock = Some(path);
    })
    .await;
    assert_eq!(program.line().await, "ready");
    assert!(lock.try_lock().is_err(), "nobody holds the lock");
    program.supervised.stop();
    program.end().await;
    assert!(lock.try_lock().is_ok(), "somebody holds the lock");
}

#[tokio::test]
async fn refuses_what_is_no_description() {
    use std::{
        io::Write as _,
        process::{Command, Stdio},
    };
    let mut child = Command::new(env!("CARGO_BIN_EXE_claude-tasks"))
        .arg("supervise")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"{\"secret\": 1}\n")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(125));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        errors.contains("does not describe a program") && !errors.contains("secret"),
        "{errors}"
    );
}

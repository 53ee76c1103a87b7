//! The supervisor: a process of its own between the worker and the CLI.

use super::{
    spec::{MAX_INPUT, MAX_SPEC, Spec},
    tree::descendants,
};
use crate::{deadline::later, print};
use nix::{
    errno::Errno,
    sys::{
        prctl,
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{Pid, getpid},
};
use std::{
    fs::File,
    io::{self, Write as _},
    process::{ChildStdin, Command, ExitCode, Stdio},
    sync::mpsc::{Sender, channel},
    thread,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Stdin, stdin},
    signal::unix::{Signal as SignalStream, SignalKind, signal},
    time::{Instant, sleep, sleep_until},
};
use zeroize::Zeroizing;

/// The exit codes that `env` and `timeout` use for their own failures.
const FAILED: u8 = 125;
const NOT_RUNNABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

const SWEEP_TIME: Duration = Duration::from_secs(10);
const SWEEP_PAUSE: Duration = Duration::from_millis(20);

/// Runs what standard input describes, and returns its exit code (128 + N after signal N) when
/// nothing of it is left. This is the whole of the command `supervise`.
#[must_use]
pub(crate) fn supervise() -> ExitCode {
    let code = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => {
            let code = runtime.block_on(run());
            // Dropping it would wait for the thread that reads standard input.
            runtime.shutdown_background();
            code
        }
        Err(error) => Err(Failure {
            code: FAILED,
            error,
        }),
    };
    code.unwrap_or_else(|failure| {
        print::note(&format!("claude-tasks supervise: {}", failure.error));
        failure.code
    })
    .into()
}

struct Failure {
    code: u8,
    error: io::Error,
}

impl<E: Into<io::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self {
            code: FAILED,
            error: error.into(),
        }
    }
}

async fn run() -> Result<u8, Failure> {
    // In this order: nothing may start before what it does can be seen and ended.
    prctl::set_child_subreaper(true)?;
    prctl::set_no_new_privs()?;
    prctl::set_dumpable(false)?;
    let mut children = signal(SignalKind::child())?;
    let mut terminations = Terminations::listen()?;
    let mut leash = BufReader::new(stdin());
    let (spec, input) = receive(&mut leash).await?;
    let lock = spec.lock.as_ref().map(File::open).transpose()?;
    if let Some(lock) = &lock {
        lock.lock_shared()?;
    }
    let main = start(&spec, input)?;
    let grace = spec.grace;
    drop(spec);

    let mut exit = None;
    let mut kill_at = None;
    while exit.is_none() {
        tokio::select! {
            _ = children.recv() => {}
            () = terminations.recv(), if kill_at.is_none() => kill_at = Some(stop(main, grace)),
            () = released(&mut leash), if kill_at.is_none() => kill_at = Some(stop(main, grace)),
            () = sleep_until(kill_at.unwrap_or_else(Instant::now)), if kill_at.is_some() => break,
        }
        reap(main, &mut exit);
    }
    sweep(main, &mut exit).await;
    drop(lock);
    Ok(exit.unwrap_or(FAILED))
}

/// Reads the description and the standard input that follows it.
async fn receive(leash: &mut BufReader<Stdin>) -> io::Result<(Spec, Zeroizing<Vec<u8>>)> {
    let invalid = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut line = Zeroizing::new(Vec::new());
    leash
        .take(MAX_SPEC as u64)
        .read_until(b'\n', &mut line)
        .await?;
    let spec: Spec = serde_json::from_slice(&line)
        .map_err(|_| invalid("standard input does not describe a program"))?;
    if spec.input > MAX_INPUT {
        return Err(invalid("the standard input is too large"));
    }
    let mut input = Zeroizing::new(vec![0; spec.input]);
    leash.read_exact(&mut input).await?;
    Ok((spec, input))
}

fn start(spec: &Spec, input: Zeroizing<Vec<u8>>) -> Result<Pid, Failure> {
    let writer = writer(input)?;
    let started = Command::new(&spec.program)
        .args(&spec.arguments)
        .env_clear()
        .envs(
            spec.environment
                .iter()
                .map(|(name, value)| (name, value.as_str())),
        )
        .current_dir(&spec.folder)
        .stdin(Stdio::piped())
        .spawn();
    let mut child = started.map_err(|error| Failure {
        code: if error.kind() == io::ErrorKind::NotFound {
            NOT_FOUND
        } else {
            NOT_RUNNABLE
        },
        error: io::Error::new(
            error.kind(),
            format!("cannot start {}: {error}", spec.program.display()),
        ),
    })?;
    let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
    if let Some(stdin) = child.stdin.take() {
        // The thread waits for it.
        let _ = writer.send(stdin);
    }
    Ok(Pid::from_raw(pid))
}

/// Writes the program's standard input on a thread: a program that does not read its input must not stop us from watching
/// it. One that closes it early has what it wanted. The thread is made before the program is started, because nobody
/// would hold the program if it could not be made afterwards.
fn writer(input: Zeroizing<Vec<u8>>) -> io::Result<Sender<ChildStdin>> {
    let (sender, receiver) = channel::<ChildStdin>();
    thread::Builder::new().spawn(move || match receiver.recv() {
        Ok(mut stdin) => stdin.write_all(&input),
        Err(_) => Ok(()),
    })?;
    Ok(sender)
}

/// Asks the program to end; it has this long.
fn stop(main: Pid, grace: Duration) -> Instant {
    let _ = kill(main, Signal::SIGTERM);
    later(grace)
}

/// Returns when the worker has let go of the leash.
async fn released(leash: &mut BufReader<Stdin>) {
    let mut byte = [0];
    while matches!(leash.read(&mut byte).await, Ok(1..)) {}
}

/// Collects every child that has ended, adopted ones as well. Returns whether any is left.
fn reap(main: Pid, exit: &mut Option<u8>) -> bool {
    loop {
        let (pid, code) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) => (pid, u8::try_from(code).unwrap_or(u8::MAX)),
            Ok(WaitStatus::Signaled(pid, signal, _)) => (
                pid,
                128_u8.saturating_add(u8::try_from(signal as i32).unwrap_or(u8::MAX)),
            ),
            Ok(WaitStatus::StillAlive) => return true,
            Err(Errno::ECHILD) => return false,
            Ok(_) | Err(_) => continue,
        };
        if pid == main {
            *exit = Some(code);
        }
    }
}

/// Kills everything below this process until nothing is there. It does not give up: to end would free what is left.
async fn sweep(main: Pid, exit: &mut Option<u8>) {
    let mut complain_at = Instant::now() + SWEEP_TIME;
    loop {
        let seen = descendants(getpid().as_raw());
        for process in &seen {
            process.kill();
        }
        // At once, so that the dead do not fill the table of processes.
        if !reap(main, exit) {
            return;
        }
        if Instant::now() > complain_at {
            complain_at += SWEEP_TIME;
            let count = seen.len();
            print::note(&format!(
                "claude-tasks supervise: {count} processes of the task are still there; killing goes on"
            ));
        }
        sleep(SWEEP_PAUSE).await;
    }
}

/// The signals by which a service manager or a terminal ends a program.
struct Terminations([SignalStream; 3]);

impl Terminations {
    fn listen() -> io::Result<Self> {
        Ok(Self([
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
            signal(SignalKind::hangup())?,
        ]))
    }

    async fn recv(&mut self) {
        let [terminate, interrupt, hangup] = &mut self.0;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

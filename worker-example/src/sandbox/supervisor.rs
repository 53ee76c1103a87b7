//! The supervisor: a process of its own between the worker and the program.

use std::{
    fs::File,
    io::{self, Write as _},
    process::{ChildStdin, Command, ExitCode, Stdio},
    sync::mpsc::{Sender, channel},
    thread,
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::{
        prctl,
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{Pid, getpid},
};
use temporal_kms_codec_service::{deadline::later, lifecycle::StopSignals};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Stdin, stdin},
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep, sleep_until},
};
use zeroize::Zeroizing;

use super::{
    spec::{MAX_INPUT, MAX_SPEC, ProgramSpec},
    tree::{descendants, first_below},
};
use crate::print;

/// Exit codes for failures of the supervisor itself, as `env` and `timeout` use them.
pub(super) const FAILED: u8 = 125;
pub(super) const NOT_RUNNABLE: u8 = 126;
pub(super) const NOT_FOUND: u8 = 127;

const SWEEP_TIME: Duration = Duration::from_secs(10);
const SWEEP_PAUSE: Duration = Duration::from_millis(20);

/// The command `supervise`. It reads a program from standard input, runs it, and returns the program's exit code (128 + N
/// after signal N) when no process of the program is left.
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
        Err(error) => Err(SuperviseError {
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

struct SuperviseError {
    code: u8,
    error: io::Error,
}

impl<E: Into<io::Error>> From<E> for SuperviseError {
    fn from(error: E) -> Self {
        Self {
            code: FAILED,
            error: error.into(),
        }
    }
}

async fn run() -> Result<u8, SuperviseError> {
    // The order matters: the program must not start before its processes can be seen and killed.
    prctl::set_child_subreaper(true)?;
    prctl::set_no_new_privs()?;
    prctl::set_dumpable(false)?;
    let mut children = signal(SignalKind::child())?;
    let mut stops = StopSignals::listen()?;
    let mut control = BufReader::new(stdin());
    let (spec, input) = receive(&mut control).await?;
    let lock = spec.lock.as_ref().map(File::open).transpose()?;
    if let Some(lock) = &lock {
        lock.lock_shared()?;
    }
    let main = start(&spec, input)?;
    let ending = Ending {
        main,
        grace: spec.grace,
        is_wrapped: spec.is_wrapped,
    };
    drop(spec);

    let mut exit = None;
    let mut kill_at = None;
    while exit.is_none() {
        tokio::select! {
            _ = children.recv() => {}
            _ = stops.next(), if kill_at.is_none() => kill_at = Some(ending.begin()),
            () = closed(&mut control), if kill_at.is_none() => kill_at = Some(ending.begin()),
            () = sleep_until(kill_at.unwrap_or_else(Instant::now)), if kill_at.is_some() => break,
        }
        reap(main, &mut exit);
    }
    sweep(main, &mut exit).await;
    drop(lock);
    Ok(exit.unwrap_or(FAILED))
}

/// Reads the program and its standard input.
async fn receive(control: &mut BufReader<Stdin>) -> io::Result<(ProgramSpec, Zeroizing<Vec<u8>>)> {
    let invalid = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut line = Zeroizing::new(Vec::new());
    control
        .take(MAX_SPEC as u64)
        .read_until(b'\n', &mut line)
        .await?;
    let spec: ProgramSpec = serde_json::from_slice(&line)
        .map_err(|_| invalid("standard input does not describe a program"))?;
    if spec.input > MAX_INPUT {
        return Err(invalid("the standard input is too large"));
    }
    let mut input = Zeroizing::new(vec![0; spec.input]);
    control.read_exact(&mut input).await?;
    Ok((spec, input))
}

fn start(spec: &ProgramSpec, input: Zeroizing<Vec<u8>>) -> Result<Pid, SuperviseError> {
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
    let mut child = started.map_err(|error| SuperviseError {
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
        // The thread waits for the pipe.
        let _ = writer.send(stdin);
    }
    Ok(Pid::from_raw(pid))
}

/// Starts a thread that writes the program's standard input, because a program may read its input slowly or not at all. The
/// thread starts before the program: if it cannot start, there is no program to end.
fn writer(input: Zeroizing<Vec<u8>>) -> io::Result<Sender<ChildStdin>> {
    let (sender, receiver) = channel::<ChildStdin>();
    thread::Builder::new().spawn(move || match receiver.recv() {
        Ok(mut stdin) => stdin.write_all(&input),
        Err(_) => Ok(()),
    })?;
    Ok(sender)
}

/// How the program is ended.
struct Ending {
    main: Pid,
    grace: Duration,
    is_wrapped: bool,
}

impl Ending {
    /// Asks the program to end. Returns when it must have ended.
    fn begin(&self) -> Instant {
        // Bubblewrap would kill the program at once. Its process and its init process are above the program.
        let program = self
            .is_wrapped
            .then(|| first_below(self.main.as_raw(), 2))
            .flatten();
        if let Some(program) = program {
            program.signal(rustix::process::Signal::TERM);
        } else {
            let _ = kill(self.main, Signal::SIGTERM);
        }
        later(self.grace)
    }
}

/// Returns when the worker has closed the control pipe.
async fn closed(control: &mut BufReader<Stdin>) {
    let mut byte = [0];
    while matches!(control.read(&mut byte).await, Ok(1..)) {}
}

/// Collects every child that has ended, including adopted ones. Returns whether a child is left.
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

/// Kills all processes below this one until none is left. It never gives up: if the supervisor ended, they would be free.
async fn sweep(main: Pid, exit: &mut Option<u8>) {
    let mut report_at = Instant::now() + SWEEP_TIME;
    loop {
        let seen = descendants(getpid().as_raw());
        for process in &seen {
            process.kill();
        }
        // At once, so that dead processes do not fill the process table.
        if !reap(main, exit) {
            return;
        }
        if Instant::now() > report_at {
            report_at += SWEEP_TIME;
            let count = seen.len();
            print::note(&format!(
                "claude-tasks supervise: {count} processes of the task still run; trying again"
            ));
        }
        sleep(SWEEP_PAUSE).await;
    }
}

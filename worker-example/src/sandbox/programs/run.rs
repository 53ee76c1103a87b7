//! Runs a program to its end, or ends it, and keeps the beginning of its output.

use std::{io, time::Duration};

use temporal_kms_codec_service::deadline::later;
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    super::{disk::DiskProblem, spec::ProgramSpec, supervised::Supervised},
    Programs,
};

/// How much longer than the grace time a supervisor may take.
const SUPERVISOR_EXTRA: Duration = Duration::from_secs(20);
/// How long output may still arrive after the last process has ended.
const LAST_OUTPUT: Duration = Duration::from_secs(5);

/// How long a program may run, and how much of its output is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunLimits {
    /// How long it may run.
    pub(crate) timeout: Duration,
    /// The most bytes that are kept of its standard output, and as many of its standard error. The rest is read and dropped.
    pub(crate) output: usize,
}

/// A program that has ended, with all processes that it started.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Its exit code; 128 + N after signal N.
    pub(crate) exit_code: i32,
    /// The beginning of its standard output.
    pub(crate) stdout: Vec<u8>,
    /// The beginning of its standard error.
    pub(crate) stderr: Vec<u8>,
    /// Whether it printed more than the limit.
    pub(crate) truncated: bool,
}

/// A program did not run to its end.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum ProgramError {
    /// The supervisor did not start.
    #[error("cannot start the supervisor of {program}: {source}")]
    Launch {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// The program reached its time limit, and was ended.
    #[error("{program} was ended after {} s, its time limit", after.as_secs())]
    Timeout {
        /// The program.
        program: String,
        /// The time limit.
        after: Duration,
    },
    /// The task may not use more disk, and the program was ended.
    #[error("{program} was ended: {problem}")]
    Disk {
        /// The program.
        program: String,
        /// Why.
        problem: DiskProblem,
    },
    /// The task was cancelled, and the program was ended.
    #[error("{program} was ended because the task ends")]
    Cancelled {
        /// The program.
        program: String,
    },
    /// The end of the program cannot be observed.
    #[error("cannot wait for {program}: {source}")]
    Wait {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
}

impl Programs {
    /// Runs a program until it and all processes that it started have ended. `input` is its standard input.
    ///
    /// # Errors
    /// When it cannot be started, reaches its time limit, or `cancelled` is cancelled. No process is left then, too. A
    /// program that does not exist ends with exit code 127, and one that cannot be run with 126.
    pub(crate) async fn run(
        &self,
        spec: ProgramSpec,
        input: &[u8],
        limits: RunLimits,
        cancelled: &CancellationToken,
    ) -> Result<Finished, ProgramError> {
        let program = spec.program.display().to_string();
        let launch = |source| ProgramError::Launch {
            program: program.clone(),
            source,
        };
        let mut child = self.launch(spec, input).await.map_err(launch)?;
        let (stdout, stderr) = child
            .output()
            .ok_or_else(|| launch(io::Error::other("it has no output")))?;
        let (mut out, mut errors) = (Kept::new(limits.output), Kept::new(limits.output));
        let mut ended = None;
        let code = {
            let reading = async { tokio::join!(out.read(stdout), errors.read(stderr)) };
            tokio::pin!(reading);
            let disk = self.disk_exceeded();
            tokio::pin!(disk);
            let mut has_read = false;
            let mut deadline = later(limits.timeout);
            let mut code = None;
            while code.is_none() || !has_read {
                tokio::select! {
                    biased;
                    () = cancelled.cancelled(), if ended.is_none() && code.is_none() => {
                        ended = Some(ProgramError::Cancelled { program: program.clone() });
                        deadline = self.stop(&mut child);
                    }
                    problem = &mut disk, if ended.is_none() && code.is_none() => {
                        ended = Some(ProgramError::Disk { program: program.clone(), problem });
                        deadline = self.stop(&mut child);
                    }
                    _ = &mut reading, if !has_read => has_read = true,
                    waited = child.wait(), if code.is_none() => {
                        code = Some(waited);
                        deadline = later(LAST_OUTPUT);
                    }
                    () = sleep_until(deadline) => {
                        if code.is_some() || ended.is_some() {
                            break;
                        }
                        ended = Some(ProgramError::Timeout { program: program.clone(), after: limits.timeout });
                        deadline = self.stop(&mut child);
                    }
                }
            }
            code
        };
        if let Some(error) = ended {
            return Err(error);
        }
        let wait = |source| ProgramError::Wait {
            program: program.clone(),
            source,
        };
        let code = code.ok_or_else(|| wait(io::Error::other("its processes do not end")))?;
        Ok(Finished {
            exit_code: code.map_err(wait)?,
            truncated: out.truncated || errors.truncated,
            stdout: out.bytes,
            stderr: errors.bytes,
        })
    }

    fn stop(&self, child: &mut Supervised) -> Instant {
        child.stop();
        later(self.sandbox.shared.grace.saturating_add(SUPERVISOR_EXTRA))
    }
}

/// The beginning of an output.
struct Kept {
    bytes: Vec<u8>,
    limit: usize,
    truncated: bool,
}

impl Kept {
    fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            limit,
            truncated: false,
        }
    }

    /// Reads until the end, and drops what is above the limit, so that the program can write it and go on.
    async fn read(&mut self, mut from: impl AsyncRead + Unpin) {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            let room = self.limit.saturating_sub(self.bytes.len());
            self.truncated |= count > room;
            let read = buffer.get(..count.min(room)).unwrap_or_default();
            self.bytes.extend_from_slice(read);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keeps_the_beginning_and_reads_the_rest() {
        let mut kept = Kept::new(5);
        kept.read(&b"0123456789"[..]).await;
        assert_eq!(
            (kept.bytes.as_slice(), kept.truncated),
            (&b"01234"[..], true)
        );
        let mut all = Kept::new(5);
        all.read(&b"01234"[..]).await;
        assert_eq!(
            (all.bytes.as_slice(), all.truncated),
            (&b"01234"[..], false)
        );
    }
}

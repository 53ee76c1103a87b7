//! How a command of `codec-server` ends: its exit code, and what it says on stderr.

use std::{
    fmt,
    io::{self, Write as _},
    process::ExitCode,
};

pub(crate) use temporal_kms_codec_service::exit::Status;
use temporal_kms_codec_service::exit::after_signal;

use crate::{config::Problems, namespaces::OpenError, server::ServerError};

/// `SIGPIPE`: a program whose reader left ends as if by this signal.
const SIGPIPE: u8 = 13;

/// Why a command ends without having done what it was asked for.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    /// Empty when everything was said already.
    message: String,
}

impl Failure {
    pub(crate) fn new(status: Status, message: impl fmt::Display) -> Self {
        Self {
            code: status.code(),
            message: message.to_string(),
        }
    }

    pub(crate) fn said(status: Status) -> Self {
        Self::new(status, "")
    }

    pub(crate) fn io(what: &str, error: &io::Error) -> Self {
        Self::new(Status::Io, format_args!("{what}: {error}"))
    }

    /// Stdout cannot be written. A reader that left, as `head` does, has seen enough: nothing is said of it.
    pub(crate) fn stdout(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::signalled(SIGPIPE, "");
        }
        Self::io("stdout", error)
    }

    /// A signal ended the command.
    pub(crate) fn signalled(number: u8, message: impl fmt::Display) -> Self {
        Self {
            code: after_signal(number),
            message: message.to_string(),
        }
    }

    /// An error of the library about `what`.
    pub(crate) fn codec(error: &temporal_kms_codec::Error) -> Self {
        Self::new(Status::of(error), error)
    }

    pub(crate) fn exit(self) -> ExitCode {
        if !self.message.is_empty() {
            say(format_args!("{}", self.message));
        }
        ExitCode::from(self.code)
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::new(Status::Configuration, problems)
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        Self::new(Status::of(&error.source), error)
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        match error {
            ServerError::Configuration(problems) => problems.into(),
            ServerError::Keys(error) => error.into(),
            ServerError::Listen { .. } => Self::new(Status::Unavailable, error),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// A line on stderr. It is not an error when nobody reads it.
pub(crate) fn say(message: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "codec-server: {message}");
}

/// Writes text with a line break to stdout.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", text.trim_end())
        .and_then(|()| stdout.flush())
        .map_err(|error| Failure::stdout(&error))
}

/// Help and version are an answer; anything else is wrong usage.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    if error.use_stderr() {
        Status::Usage.into()
    } else {
        ExitCode::SUCCESS
    }
}

//! How the program ends: the statuses of BSD's `sysexits.h`, which scripts can tell apart.

use std::{fmt, io::Write as _, process::ExitCode};

use crate::{config::Problems, namespaces::OpenError, server::ServerError};

/// Why the program ends without having done what it was asked for.
#[derive(Debug)]
pub(super) struct Failure {
    status: Status,
    /// Empty when everything has been said already.
    message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// `EX_USAGE`: the command line or the configuration.
    Usage = 64,
    /// `EX_DATAERR`: the input.
    Data = 65,
    /// `EX_UNAVAILABLE`: an address is taken, or nobody answers there.
    Unavailable = 69,
    /// `EX_IOERR`: stdin, stdout or the system.
    Io = 74,
    /// `EX_TEMPFAIL`: a KMS is away.
    TryAgain = 75,
    /// `EX_NOPERM`: a permission is missing.
    NoPermission = 77,
}

impl Failure {
    pub(super) fn new(status: Status, message: impl fmt::Display) -> Self {
        Self {
            status,
            message: message.to_string(),
        }
    }

    pub(super) fn said(status: Status) -> Self {
        Self {
            status,
            message: String::new(),
        }
    }

    pub(super) fn io(what: &str, error: &std::io::Error) -> Self {
        Self::new(Status::Io, format_args!("{what}: {error}"))
    }

    pub(super) fn exit(self) -> ExitCode {
        if !self.message.is_empty() {
            say(format_args!("{}", self.message));
        }
        ExitCode::from(self.status as u8)
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::new(Status::Usage, problems)
    }
}

/// A key that cannot be opened at the start is a matter of configuration.
impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let transient = error.source.is_transient();
        Self::new(
            if transient {
                Status::TryAgain
            } else {
                Status::Usage
            },
            error,
        )
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        match error {
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

/// A line on stderr. That nobody reads it is no reason to fail.
pub(super) fn say(message: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "codec-server: {message}");
}

/// Help and version are an answer; anything else is wrong usage.
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    if error.use_stderr() {
        ExitCode::from(Status::Usage as u8)
    } else {
        ExitCode::SUCCESS
    }
}

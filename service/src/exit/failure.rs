//! How a command fails: its exit code, and its message on stderr.

use std::{
    fmt,
    io::{self, Write as _},
    process::ExitCode,
};

use temporal_kms_codec::{Error, audit::AuditError, kms::ProviderError};
use tokio::task::JoinError;

use super::{Status, after_signal};
use crate::{
    audit::OpenAuditError, env_origin, namespaces::OpenError, settings::Problems, terminal,
};

/// `SIGPIPE`: the exit code of a program whose reader left says that this signal ended it.
const SIGPIPE: u8 = 13;

/// Why a command ends without success.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    /// Empty when the user has read the reason already.
    message: String,
}

impl Failure {
    /// A failure with a status and what the user reads.
    pub fn new(status: Status, message: impl fmt::Display) -> Self {
        Self {
            code: status.code(),
            message: message.to_string(),
        }
    }

    /// A failure that the user was told of already.
    #[must_use]
    pub fn said(status: Status) -> Self {
        Self::new(status, "")
    }

    /// Reading or writing `what` failed.
    #[must_use]
    pub fn io(what: &str, error: &io::Error) -> Self {
        Self::new(Status::Io, format_args!("{what}: {error}"))
    }

    /// Stdout cannot be written. A reader such as `head` may leave early; that is not reported.
    #[must_use]
    pub fn stdout(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::signalled(SIGPIPE, "");
        }
        Self::io("stdout", error)
    }

    /// The signal `number` ended the command.
    pub fn signalled(number: u8, message: impl fmt::Display) -> Self {
        Self {
            code: after_signal(number),
            message: message.to_string(),
        }
    }

    /// The exit code.
    #[must_use]
    pub const fn code(&self) -> u8 {
        self.code
    }

    /// Says on stderr what failed, and returns the exit code. `program` is the name that the line begins with. A second line
    /// says whether a `.env` file has set what the failure is about.
    #[must_use]
    pub fn report(self, program: &str) -> ExitCode {
        if !self.message.is_empty() {
            say(program, format_args!("{}", self.message));
            if let Some(origin) = env_origin::of_error(&self.message) {
                say(program, format_args!("{origin}"));
            }
        }
        ExitCode::from(self.code)
    }
}

/// A line on stderr, such as `codec-server: done`. It is not an error when nobody reads it. Characters that steer a terminal,
/// such as those of a path, are replaced.
pub fn say(program: &str, message: fmt::Arguments<'_>) {
    let message = terminal::lines(&message.to_string());
    let _ = writeln!(io::stderr(), "{program}: {message}");
}

/// Writes text with a line break to stdout.
///
/// # Errors
/// When stdout cannot be written.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", text.trim_end())
        .and_then(|()| stdout.flush())
        .map_err(|error| Failure::stdout(&error))
}

/// The exit code after the command line was not understood, or asked for help or the version. It is printed.
#[must_use]
pub fn usage(error: &clap::Error) -> ExitCode {
    // Without a reader, the exit code still says it.
    let _ = error.print();
    if error.use_stderr() {
        Status::Usage.into()
    } else {
        ExitCode::SUCCESS
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::new(Status::Configuration, problems)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(Status::of(&error), error)
    }
}

impl From<ProviderError> for Failure {
    fn from(error: ProviderError) -> Self {
        Self::new(Status::of_provider(&error), error)
    }
}

/// Tells what became of a task, without the message of its panic.
impl From<JoinError> for Failure {
    fn from(error: JoinError) -> Self {
        Self::new(Status::Software, io::Error::from(error))
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        Self::new(Status::of(&error.source), error)
    }
}

impl From<AuditError> for Failure {
    fn from(error: AuditError) -> Self {
        let status = match &error {
            AuditError::NoLog(_) => Status::NoInput,
            AuditError::Io { action, source, .. } if *action == "read" => match source.kind() {
                io::ErrorKind::NotFound => Status::NoInput,
                io::ErrorKind::PermissionDenied => Status::NoPermission,
                _ => Status::Io,
            },
            AuditError::Damaged(_) => Status::Data,
            AuditError::InUse { .. } | AuditError::Syslog { .. } => Status::Unavailable,
            AuditError::Io { .. }
            | AuditError::Unwritten(_)
            | AuditError::TooSlow
            | AuditError::Thread(_) => Status::Io,
            _ => Status::Configuration,
        };
        Self::new(status, error)
    }
}

impl From<OpenAuditError> for Failure {
    fn from(error: OpenAuditError) -> Self {
        match error {
            OpenAuditError::Log(error) => error.into(),
            OpenAuditError::Key(error) => {
                let status = Status::of_provider(&error);
                Self::new(status, OpenAuditError::Key(error))
            }
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

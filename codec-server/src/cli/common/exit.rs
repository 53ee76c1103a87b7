//! How a command of `codec-server` ends, and what it says.

use std::fmt;

use clap::Command;
use serde::Serialize;
use temporal_kms_codec_service::exit::{self, SECOND_SIGNAL, SIGNALS, list, print};
pub(crate) use temporal_kms_codec_service::exit::{Failure, Status};

use crate::error::ServerError;

/// The name of the program, as users call it.
pub(crate) const PROGRAM: &str = "codec-server";

/// How a server ends after two signals, for [`list`].
pub(crate) const SECOND: (u8, &str) = (SECOND_SIGNAL, "a second signal ended a server");

/// A line on stderr. It is not an error when nobody reads it.
pub(crate) fn say(message: fmt::Arguments<'_>) {
    exit::say(PROGRAM, message);
}

/// Prints an answer as JSON for programs, or as `text` for people.
pub(crate) fn print_answer(
    json: bool,
    answer: &impl Serialize,
    text: impl FnOnce() -> String,
) -> Result<(), Failure> {
    if !json {
        return print(&text());
    }
    let json = serde_json::to_string_pretty(answer)
        .map_err(|error| Failure::new(Status::Software, error))?;
    print(&json)
}

/// `help` with the exit codes of a command that reads and writes files, and that a signal can end.
pub(crate) fn with_exit_codes(help: &str) -> String {
    format!("{help}\n\n{}", list(&Status::ALL, &SIGNALS))
}

/// `help` with the exit codes of a server. The first signal ends it with success.
pub(crate) fn with_server_exit_codes(help: &str) -> String {
    format!("{help}\n\n{}", list(&Status::ALL, &[SECOND]))
}

/// `command` with the exit codes behind its help.
pub(crate) fn add_exit_codes(command: Command) -> Command {
    let help = command.get_after_help().map(ToString::to_string);
    command.after_help(with_exit_codes(&help.unwrap_or_default()))
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        match error {
            ServerError::Configuration(problems) => problems.into(),
            ServerError::Keys(error) => error.into(),
            ServerError::Audit(error) => error.into(),
            ServerError::Tls(_) => Self::new(Status::Configuration, error),
            ServerError::Listen { .. } => Self::new(Status::Unavailable, error),
        }
    }
}

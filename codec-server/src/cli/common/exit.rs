//! How a command of `codec-server` ends, and what it says on stderr.

use std::fmt;

use temporal_kms_codec_service::exit;
pub(crate) use temporal_kms_codec_service::exit::{Failure, Status, print};

use crate::server::ServerError;

/// The name of the program, as users call it.
pub(crate) const PROGRAM: &str = "codec-server";

/// A line on stderr. It is not an error when nobody reads it.
pub(crate) fn say(message: fmt::Arguments<'_>) {
    exit::say(PROGRAM, message);
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

//! Sealed files: input of any length in constant memory, in the format of `format/file.rs`.

mod open;
mod seal;

use std::io;

use crate::{Error, PayloadError};

/// Why a file could not be sealed or opened. What had been written until then must be thrown away: it is incomplete, and
/// in a file that is being opened, only its beginning is known to be authentic.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealedFileError {
    /// The input cannot be read.
    #[error("the input cannot be read: {0}; check its path and permissions")]
    Read(#[source] io::Error),
    /// The output cannot be written.
    #[error(
        "the output cannot be written: {0}; check its path, its permissions and the free space"
    )]
    Write(#[source] io::Error),
    /// It does not begin as a sealed file does.
    #[error("the input is not a sealed file; check its name")]
    NotSealed,
    /// The end is missing.
    #[error("the input is incomplete: its end was cut off; transfer the file again")]
    Truncated,
    /// The last part is not authentic: the input ends in the middle of it, or it was altered.
    #[error(
        "the input is incomplete or was altered: its last part is not authentic; transfer the file again"
    )]
    IncompleteOrAltered,
    /// It was altered, or sealed under another context.
    #[error(
        "the input is not authentic: it was altered, or sealed under another context or another key; open it with the context and the key that it was sealed with"
    )]
    NotAuthentic,
    /// The input has another form, or a key cannot be used.
    #[error(transparent)]
    Codec(Error),
}

impl From<Error> for SealedFileError {
    fn from(error: Error) -> Self {
        match error {
            Error::Payload(PayloadError::NotAuthentic) => Self::NotAuthentic,
            other => Self::Codec(other),
        }
    }
}

impl From<PayloadError> for SealedFileError {
    fn from(error: PayloadError) -> Self {
        Error::from(error).into()
    }
}

impl SealedFileError {
    /// Whether the same call can succeed later without anything being changed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Codec(error) if error.is_transient())
    }
}

#[cfg(test)]
mod tests;

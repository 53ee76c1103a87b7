//! Exit codes: those of BSD's `sysexits.h`, the same in every program.

use std::process::ExitCode;

use temporal_kms_codec::{Error, kms::ProviderErrorKind};

/// Why a program ended without success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u8)]
pub enum Status {
    /// `EX_USAGE`: the command line.
    Usage = 64,
    /// `EX_DATAERR`: the input.
    Data = 65,
    /// `EX_NOINPUT`: an input file is missing or cannot be read.
    NoInput = 66,
    /// `EX_UNAVAILABLE`: the KMS, Temporal or an address cannot be reached. Trying again later can help.
    Unavailable = 69,
    /// `EX_SOFTWARE`: a defect of the program.
    Software = 70,
    /// `EX_CANTCREAT`: an output file cannot be created.
    CannotCreate = 73,
    /// `EX_IOERR`: reading or writing failed.
    Io = 74,
    /// `EX_NOPERM`: a permission or a credential is missing.
    NoPermission = 77,
    /// `EX_CONFIG`: a configuration file, an environment variable or a key is wrong.
    Configuration = 78,
}

impl Status {
    /// The number that the program exits with.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The status for an error of the library.
    #[must_use]
    pub fn of(error: &Error) -> Self {
        match error {
            Error::Payload(_) => Self::Data,
            Error::Provider(error) if error.is_transient() => Self::Unavailable,
            Error::Provider(error) => match error.kind() {
                ProviderErrorKind::PermissionDenied => Self::NoPermission,
                ProviderErrorKind::InvalidCiphertext | ProviderErrorKind::ContextMismatch => {
                    Self::Data
                }
                _ => Self::Configuration,
            },
            _ => Self::Configuration,
        }
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status.code())
    }
}

#[cfg(test)]
mod tests {
    use temporal_kms_codec::{KeyUri, PayloadError, kms::ProviderError};

    use super::*;

    fn refused(kind: ProviderErrorKind) -> Status {
        let key: KeyUri = "local://k".parse().unwrap();
        Status::of(&ProviderError::new(kind, &key).into())
    }

    #[test]
    fn every_fault_has_its_status() {
        assert_eq!(Status::of(&PayloadError::NotAuthentic.into()), Status::Data);
        assert_eq!(
            refused(ProviderErrorKind::PermissionDenied),
            Status::NoPermission
        );
        assert_eq!(refused(ProviderErrorKind::Unavailable), Status::Unavailable);
        assert_eq!(
            refused(ProviderErrorKind::KeyNotFound),
            Status::Configuration
        );
    }
}

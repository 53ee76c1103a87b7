//! Exit codes: those of BSD's `sysexits.h`, the same in every program.

mod failure;

use std::process::ExitCode;

use temporal_kms_codec::{
    Error,
    kms::{FailureCause, ProviderError, ProviderErrorKind},
};

pub use failure::{Failure, print, say, usage};

/// The exit code after a second signal ended a server. It is not a success, because answers were cut off.
pub const SECOND_SIGNAL: u8 = 1;

/// The exit codes of a command that a signal ended, and what they mean, for [`list`].
pub const SIGNALS: [(u8, &str); 4] = [
    (129, "the terminal was closed (SIGHUP)"),
    (130, "interrupted by Ctrl-C (SIGINT)"),
    (141, "the reader of the output left (SIGPIPE)"),
    (143, "told to stop (SIGTERM)"),
];

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

/// The exit code after a signal ended the program, as shells report it: 128 and the signal's number (POSIX, `sh`, "Exit
/// Status for Commands").
#[must_use]
pub const fn after_signal(number: u8) -> u8 {
    number.wrapping_add(128)
}

impl Status {
    /// Every status, in the order of its number.
    pub const ALL: [Self; 9] = [
        Self::Usage,
        Self::Data,
        Self::NoInput,
        Self::Unavailable,
        Self::Software,
        Self::CannotCreate,
        Self::Io,
        Self::NoPermission,
        Self::Configuration,
    ];

    /// What the status means, in a few words for help texts.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Usage => "wrong command line",
            Self::Data => "the input cannot be processed",
            Self::NoInput => "an input file is missing or cannot be read",
            Self::Unavailable => "a KMS, Temporal or an address is not available; try again",
            Self::Software => "a defect of the program",
            Self::CannotCreate => "the output file cannot be created",
            Self::Io => "reading or writing failed",
            Self::NoPermission => "a permission or a credential is missing",
            Self::Configuration => "a configuration, a variable or a key is wrong",
        }
    }

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
            Error::Provider(error) => Self::of_provider(error),
            _ => Self::Configuration,
        }
    }

    /// The status for an error of a key service.
    #[must_use]
    pub fn of_provider(error: &ProviderError) -> Self {
        if error.is_transient() {
            return Self::Unavailable;
        }
        match (error.kind(), error.cause()) {
            (ProviderErrorKind::PermissionDenied, _)
            | (
                _,
                Some(
                    FailureCause::NoCredentials
                    | FailureCause::UnusableCredentials
                    | FailureCause::RefusedCredentials,
                ),
            ) => Self::NoPermission,
            // A modified payload may name any version of its key.
            (
                ProviderErrorKind::InvalidCiphertext
                | ProviderErrorKind::ContextMismatch
                | ProviderErrorKind::KeyVersionGone,
                _,
            ) => Self::Data,
            _ => Self::Configuration,
        }
    }
}

/// The list of exit codes for a help text, one a line. `further` are codes of one program or command.
#[must_use]
pub fn list(statuses: &[Status], further: &[(u8, &str)]) -> String {
    let mut lines: Vec<(u8, &str)> = statuses
        .iter()
        .map(|status| (status.code(), status.meaning()))
        .chain([(0, "success")])
        .chain(further.iter().copied())
        .collect();
    lines.sort_unstable();
    let lines = lines
        .iter()
        .map(|(code, meaning)| format!("\n  {code:>3}  {meaning}"));
    format!("Exit codes:{}", lines.collect::<String>())
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

    fn error(kind: ProviderErrorKind) -> ProviderError {
        let key: KeyUri = "local://k".parse().unwrap();
        ProviderError::new(kind, &key)
    }

    fn refused(kind: ProviderErrorKind) -> Status {
        Status::of(&error(kind).into())
    }

    #[test]
    fn every_fault_has_its_status() {
        assert_eq!(Status::of(&PayloadError::NotAuthentic.into()), Status::Data);
        assert_eq!(
            refused(ProviderErrorKind::PermissionDenied),
            Status::NoPermission
        );
        assert_eq!(refused(ProviderErrorKind::Unavailable), Status::Unavailable);
        assert_eq!(refused(ProviderErrorKind::KeyVersionGone), Status::Data);
        assert_eq!(
            refused(ProviderErrorKind::KeyNotFound),
            Status::Configuration
        );
    }

    #[test]
    fn missing_credentials_are_a_missing_permission() {
        for cause in [
            FailureCause::NoCredentials,
            FailureCause::UnusableCredentials,
            FailureCause::RefusedCredentials,
        ] {
            let error = error(ProviderErrorKind::Misconfigured).with_cause(cause);
            assert_eq!(Status::of_provider(&error), Status::NoPermission);
        }
        let error = error(ProviderErrorKind::Misconfigured).with_cause(FailureCause::Module);
        assert_eq!(Status::of_provider(&error), Status::Configuration);
    }

    #[test]
    fn a_signal_is_listed_with_the_code_that_it_causes() {
        use nix::sys::signal::Signal;
        for ((code, meaning), signal) in SIGNALS.into_iter().zip([
            Signal::SIGHUP,
            Signal::SIGINT,
            Signal::SIGPIPE,
            Signal::SIGTERM,
        ]) {
            assert_eq!(code, after_signal(u8::try_from(signal as i32).unwrap()));
            assert!(meaning.contains(signal.as_str()), "{meaning}");
        }
    }

    #[test]
    fn the_list_has_every_status_once_and_in_order() {
        let list = list(&Status::ALL, &[(130, "interrupted")]);
        let codes: Vec<u8> = list
            .lines()
            .skip(1)
            .map(|line| line.split_whitespace().next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(codes, [0, 64, 65, 66, 69, 70, 73, 74, 77, 78, 130]);
        assert!(list.lines().all(|line| line.len() <= 78), "{list}");
    }
}

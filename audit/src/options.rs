//! How a log is written.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

/// How an audit log is written.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AuditOptions {
    /// Where the lines go.
    pub target: Target,
    /// The program that writes, in the first line of each file. Default: `temporal-kms-audit` and its version.
    pub program: String,
    /// Who runs the program, in the line `start`: for programs that people run.
    pub user: Option<String>,
    /// What happens when the log cannot be written.
    pub on_failure: OnFailure,
    /// When a line counts as written.
    pub sync: Sync,
    /// A new file begins before a file has more bytes. Default: 64 MiB.
    pub max_file: u64,
    /// A new file begins when a file is older. Default: a day.
    pub max_file_age: Duration,
    /// The permissions of new files: 0600, or 0640 for a group that may read them. Default: 0600.
    pub file_mode: u32,
    /// How long a caller waits for its line. Default: 10 seconds.
    pub patience: Duration,
}

/// Where the lines of a log go.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// Files in a folder that exists.
    Folder(PathBuf),
    /// Standard output.
    Stdout,
    /// A syslog service, as RFC 5424 has it.
    Syslog(SyslogAddress),
}

/// Where a syslog service receives messages.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyslogAddress {
    /// A socket of this machine, such as `/dev/log`.
    Unix(PathBuf),
    /// UDP, which loses messages.
    Udp(SocketAddr),
}

/// What happens when the log cannot be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnFailure {
    /// Nothing is done without a record of it: requests and calls of keys are refused.
    #[default]
    Refuse,
    /// The work goes on with an alarm. The next line that can be written says how many are missing.
    Continue,
}

/// When a line counts as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sync {
    /// When the system has it: it survives the end of the process.
    #[default]
    Write,
    /// When the disk has it: it survives a power cut.
    Fsync,
}

impl AuditOptions {
    /// A log in the files of a folder that exists.
    #[must_use]
    pub fn folder(path: impl AsRef<Path>) -> Self {
        Self::to(Target::Folder(path.as_ref().to_owned()))
    }

    /// A log to `target`.
    #[must_use]
    pub fn to(target: Target) -> Self {
        Self {
            target,
            program: concat!("temporal-kms-audit ", env!("CARGO_PKG_VERSION")).to_owned(),
            user: None,
            on_failure: OnFailure::default(),
            sync: Sync::default(),
            max_file: 64 << 20,
            max_file_age: Duration::from_hours(24),
            file_mode: 0o600,
            patience: Duration::from_secs(10),
        }
    }

    /// Sets the program that writes: its name and version.
    #[must_use]
    pub fn with_program(mut self, program: impl Into<String>) -> Self {
        self.program = program.into();
        self
    }

    /// Sets who runs the program.
    #[must_use]
    pub fn with_user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Sets what happens when the log cannot be written.
    #[must_use]
    pub fn with_on_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = on_failure;
        self
    }

    /// Sets when a line counts as written.
    #[must_use]
    pub fn with_sync(mut self, sync: Sync) -> Self {
        self.sync = sync;
        self
    }

    /// Sets the largest size and age of a file.
    #[must_use]
    pub fn with_max_file(mut self, bytes: u64, age: Duration) -> Self {
        (self.max_file, self.max_file_age) = (bytes, age);
        self
    }

    /// Sets the permissions of new files.
    #[must_use]
    pub fn with_file_mode(mut self, mode: u32) -> Self {
        self.file_mode = mode;
        self
    }
}

impl FromStr for OnFailure {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "refuse" => Ok(Self::Refuse),
            "continue" => Ok(Self::Continue),
            _ => Err("expected refuse or continue".to_owned()),
        }
    }
}

impl FromStr for Sync {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "write" => Ok(Self::Write),
            "fsync" => Ok(Self::Fsync),
            _ => Err("expected write or fsync".to_owned()),
        }
    }
}

impl FromStr for SyslogAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with('/') {
            return Ok(Self::Unix(text.into()));
        }
        let address = text.strip_prefix("udp:").and_then(|rest| rest.parse().ok());
        address.map(Self::Udp).ok_or_else(|| {
            "expected the path of a socket, such as /dev/log, or udp:ADDRESS:PORT".to_owned()
        })
    }
}

impl fmt::Display for SyslogAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Udp(address) => write!(f, "udp:{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_syslog_are_paths_or_udp() {
        for text in ["/dev/log", "udp:127.0.0.1:514", "udp:[::1]:514"] {
            let address: SyslogAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
        for bad in ["", "dev/log", "udp:localhost:514", "tcp:127.0.0.1:514"] {
            assert!(bad.parse::<SyslogAddress>().is_err(), "{bad}");
        }
    }
}

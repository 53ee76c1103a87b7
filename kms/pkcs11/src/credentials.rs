//! The source of a PIN.

mod read;

use std::path::{Path, PathBuf};

pub(super) use self::read::PinError;
use temporal_kms::ConfigurationError;

/// The source of a PIN. It is read again for every login, so that the PIN can change while the process runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PinSource {
    /// A file that holds only the PIN, and perhaps a line end. It must not be readable by all users.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
}

impl PinSource {
    /// Reads the value of `pin-source`: `file:/PATH`, `file:///PATH`, `/PATH` or `env:VARIABLE`.
    pub(super) fn parse(source: &str) -> Result<Self, ConfigurationError> {
        if let Some(name) = source.strip_prefix("env:") {
            let is_name = |name: &str| {
                !name.is_empty()
                    && name
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            };
            return if is_name(name) {
                Ok(Self::Variable(name.to_owned()))
            } else {
                Err(invalid("pin-source=env: must name a variable"))
            };
        }
        let path = source.strip_prefix("file:").unwrap_or(source);
        let path = path.strip_prefix("//").unwrap_or(path);
        absolute(path).map(Self::File)
    }
}

/// The path in a setting of a URI's query.
pub(super) fn absolute(path: &str) -> Result<PathBuf, ConfigurationError> {
    let path = Path::new(path);
    if path.is_absolute() {
        Ok(path.to_owned())
    } else {
        Err(invalid("module-path and pin-source must be absolute paths"))
    }
}

pub(super) fn invalid(reason: &'static str) -> ConfigurationError {
    ConfigurationError::invalid("PKCS#11 URI", reason)
}

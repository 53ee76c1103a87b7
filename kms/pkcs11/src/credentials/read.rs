//! Reads a PIN.

use std::{
    fs::{File, Metadata},
    io::{self, Read as _},
    path::Path,
};

use zeroize::Zeroizing;

use super::PinSource;

/// PKCS#11 tokens accept at most 255 bytes.
const MAX_LEN: usize = 255;

/// Why a PIN cannot be read. [`remedy`](PinError::remedy) says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PinError {
    #[error("the PIN file cannot be read")]
    Io(#[from] io::Error),
    #[error("the PIN file is not a regular file")]
    NotAFile,
    #[error("the PIN file is open to all users")]
    Public,
    #[error("the environment variable for the PIN is not set")]
    NotSet,
    #[error("the PIN is empty, longer than 255 bytes, or not UTF-8")]
    NoPin,
}

impl PinError {
    /// What to do.
    pub(crate) const fn remedy(&self) -> &'static str {
        match self {
            Self::Io(_) => "check its path and permissions",
            Self::NotAFile => "name the file that holds the PIN",
            Self::Public => "run `chmod o=` on it",
            Self::NotSet => "set it, or use a PIN file",
            Self::NoPin => "correct it",
        }
    }
}

impl PinSource {
    pub(crate) fn read(&self) -> Result<Zeroizing<String>, PinError> {
        let mut pin = Zeroizing::new(String::with_capacity(MAX_LEN + 2));
        match self {
            Self::Variable(name) => {
                let value = std::env::var(name)
                    .map(Zeroizing::new)
                    .map_err(|_| PinError::NotSet)?;
                pin.push_str(&value);
            }
            Self::File(path) => {
                let file = open(path)?;
                let metadata = file.metadata()?;
                if !metadata.is_file() {
                    return Err(PinError::NotAFile);
                }
                check_private(&metadata)?;
                file.take(MAX_LEN as u64 + 3)
                    .read_to_string(&mut pin)
                    .map_err(|error| match error.kind() {
                        io::ErrorKind::InvalidData => PinError::NoPin,
                        _ => error.into(),
                    })?;
            }
        }
        let len = pin.trim_end_matches(['\r', '\n']).len();
        pin.truncate(len);
        match pin.len() {
            1..=MAX_LEN => Ok(pin),
            _ => Err(PinError::NoPin),
        }
    }
}

/// Without this flag, opening a pipe would wait for its other end.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;

    use nix::fcntl::OFlag;

    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    File::options()
        .read(true)
        .custom_flags(flags.bits())
        .open(path)
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// The group may read the file, because container platforms give secrets to a process through its group.
#[cfg(unix)]
fn check_private(metadata: &Metadata) -> Result<(), PinError> {
    use std::os::unix::fs::MetadataExt as _;
    match metadata.mode() & 0o007 {
        0 => Ok(()),
        _ => Err(PinError::Public),
    }
}

#[cfg(not(unix))]
fn check_private(_: &Metadata) -> Result<(), PinError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    fn read(content: &[u8], mode: u32) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pin");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        PinSource::File(path)
            .read()
            .map(|pin| pin.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn takes_a_file_with_or_without_line_end() {
        for content in ["1234", "1234\n", "1234\r\n"] {
            assert_eq!(read(content.as_bytes(), 0o440).unwrap(), "1234");
        }
        assert_eq!(read(b" 12 34 ", 0o600).unwrap(), " 12 34 ");
    }

    #[test]
    fn refuses_what_is_not_a_pin_or_public_and_waits_for_nothing() {
        for (content, mode, reason) in [
            (&b"1234"[..], 0o644, "open to all"),
            (b"", 0o600, "empty"),
            (b"\n", 0o600, "empty"),
            (&[b'1'; 256], 0o600, "longer"),
            (&[b'1'; 9999], 0o600, "longer"),
            (b"\xff1234", 0o600, "not UTF-8"),
        ] {
            let error = read(content, mode).unwrap_err();
            assert!(error.contains(reason), "{error}");
            assert!(!error.contains("1234"), "{error}");
        }
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert!(matches!(
            PinSource::File(pipe).read(),
            Err(PinError::NotAFile)
        ));
        let absent = PinSource::File("/nonexistent/pin".into());
        assert!(matches!(absent.read(), Err(PinError::Io(_))));
        let unset = PinSource::Variable("TKC_NO_SUCH_PIN".into());
        assert!(matches!(unset.read(), Err(PinError::NotSet)));
    }
}

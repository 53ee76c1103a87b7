//! Secrets that a configuration names by file: the key of sessions, the client secret of a login.

use std::{fmt, fs::File, io::Read as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use nix::fcntl::OFlag;
use zeroize::Zeroizing;

/// No secret is longer.
const MOST: u64 = 64 << 10;

/// A text that is erased when it is dropped and that `Debug` does not show.
#[derive(Clone)]
pub(super) struct Secret(Zeroizing<String>);

impl Secret {
    pub(super) fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The secret itself.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The lines of a file that are not empty.
///
/// # Errors
/// What is wrong with the file, for the user. The text holds nothing of the file.
pub(super) fn read_lines(path: &Path) -> Result<Vec<Secret>, String> {
    let shown = path.display();
    let unreadable =
        |error| format!("{shown} cannot be read: {error}; check its path and permissions");
    // A pipe would block.
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = File::options()
        .read(true)
        .custom_flags(flags.bits())
        .open(path)
        .map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(format!("{shown} is not a regular file; name a file"));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(MOST + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if text.len() as u64 > MOST {
        return Err(format!(
            "{shown} is larger than 64 KiB; name the file of the secret"
        ));
    }
    let lines: Vec<Secret> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| Secret::new(line.to_owned()))
        .collect();
    if lines.is_empty() {
        return Err(format!("{shown} is empty; put the secret into it"));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn lines_are_read_and_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, "\n first \nsecond\n").unwrap();
        let lines = read_lines(&path).unwrap();
        let exposed: Vec<&str> = lines.iter().map(Secret::expose).collect();
        assert_eq!(exposed, ["first", "second"]);
        assert_eq!(format!("{lines:?}"), "[[redacted], [redacted]]");
    }

    #[test]
    fn what_is_not_a_small_file_with_text_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let error = read_lines(&path).unwrap_err();
        assert!(error.contains("check its path"), "{error}");
        fs::write(&path, "\n \n").unwrap();
        assert!(read_lines(&path).unwrap_err().contains("is empty"));
        fs::write(&path, vec![b'a'; 70_000]).unwrap();
        assert!(read_lines(&path).unwrap_err().contains("larger"));
        assert!(
            read_lines(folder.path())
                .unwrap_err()
                .contains("regular file")
        );
    }
}

//! Reads the file: within a limit, without waiting, and with a clear error for text that is not UTF-8.

use std::{fs::File, io::Read as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use nix::fcntl::OFlag;

/// No configuration is larger. A wrong path can name any file.
const MAX_FILE: u64 = 1 << 20;
const UTF_16: &str =
    "the file is in UTF-16, as PowerShell and Windows editors write it; save it as UTF-8";

/// The text of the file at `path`. A pipe would block, and is refused.
///
/// # Errors
/// What is wrong with the file, in words for the user. They do not repeat the path.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let unreadable =
        |error| format!("the file cannot be read: {error}; check its path and permissions");
    let file = File::options()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)
        .map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(
            "it is not a regular file; name a file, not a pipe, a device or a folder".to_owned(),
        );
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err("the file is larger than 1 MiB; check that it is a configuration".to_owned());
    }
    text(bytes)
}

fn text(bytes: Vec<u8>) -> Result<String, String> {
    // TOML has no zero bytes. In UTF-16, an ASCII character has one.
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") || bytes.contains(&0) {
        return Err(UTF_16.to_owned());
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = error.as_bytes().get(..valid).unwrap_or_default();
        let line = before.split(|byte| *byte == b'\n').count();
        format!("line {line} is not valid UTF-8; save the file as UTF-8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf16_is_named() {
        let little =
            |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
        let big =
            |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_be_bytes).collect() };
        for bytes in [
            little("\u{feff}[server]\n"),
            big("\u{feff}[server]\n"),
            little("[server]\n"),
            big("[server]\n"),
        ] {
            assert_eq!(text(bytes), Err(UTF_16.to_owned()));
        }
    }

    #[test]
    fn other_encodings_are_reported_with_the_line() {
        let error = text(b"[server]\n# caf\xe9\n".to_vec()).unwrap_err();
        assert!(error.starts_with("line 2 is not valid UTF-8"), "{error}");
        assert_eq!(text(b"# caf\xc3\xa9".to_vec()).unwrap(), "# caf\u{e9}");
    }
}

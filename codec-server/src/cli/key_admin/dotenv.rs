//! Settings in a `.env` file, of which every other byte stays.

use std::{
    fs::{self, Permissions},
    io::{self, Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use super::super::exit::{Failure, Status};

/// Larger than any file of settings.
const MAX_FILE: u64 = 1024 * 1024;
/// Such files tend to hold secrets.
const NEW_MODE: u32 = 0o600;

/// A file of lines `NAME=value`, as it was found.
pub(super) struct DotEnv {
    path: PathBuf,
    text: String,
    permissions: Permissions,
}

impl DotEnv {
    /// Reads the file; one that is missing is empty.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::io(&path.display().to_string(), &error);
        let new = || Self {
            path: path.to_owned(),
            text: String::new(),
            permissions: Permissions::from_mode(NEW_MODE),
        };
        // What a link points at is replaced, not the link.
        let path = match fs::canonicalize(path) {
            Ok(path) => path,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(new()),
            Err(error) => return Err(failed(error)),
        };
        let file = fs::File::open(&path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() || metadata.len() > MAX_FILE {
            return Err(Failure::new(
                Status::Data,
                format_args!("{}: it is no file of settings", path.display()),
            ));
        }
        let mut text = String::new();
        file.take(MAX_FILE)
            .read_to_string(&mut text)
            .map_err(failed)?;
        Ok(Self {
            path,
            text,
            permissions: metadata.permissions(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The text with these settings; `None` when it has them.
    pub(super) fn edit(&self, settings: &[(&str, String)]) -> Result<Option<String>, Failure> {
        if let Some((name, _)) = settings.iter().find(|(_, value)| !is_plain(value)) {
            return Err(Failure::new(
                Status::Usage,
                format_args!(
                    "{name}: its value has characters that a .env file would need quotes for"
                ),
            ));
        }
        let edited = with_settings(&self.text, settings);
        Ok((edited != self.text).then_some(edited))
    }

    /// Replaces the file at once, so that nobody reads half of it.
    pub(super) fn replace(&self, text: &str) -> Result<(), Failure> {
        let write = || {
            let folder = self.path.parent().filter(|p| !p.as_os_str().is_empty());
            let mut file = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
            file.write_all(text.as_bytes())?;
            file.as_file().set_permissions(self.permissions.clone())?;
            file.as_file().sync_all()?;
            file.persist(&self.path)?;
            Ok(())
        };
        write().map_err(|error: io::Error| Failure::io(&self.path.display().to_string(), &error))
    }
}

/// Sets what is there in its place, every time that it is there: readers differ in which one counts. The rest is added
/// at the end.
fn with_settings(text: &str, settings: &[(&str, String)]) -> String {
    let mut edited = String::with_capacity(text.len());
    let mut found = vec![false; settings.len()];
    for line in text.split_inclusive('\n') {
        let setting = settings
            .iter()
            .zip(&mut found)
            .find_map(|((name, value), found)| {
                let rest = after_name(line, name)?;
                *found = true;
                Some((rest, value))
            });
        match setting {
            Some((rest, value)) if split_value(rest).0 != value => {
                edited.push_str(line.strip_suffix(rest).unwrap_or_default());
                edited.push_str(value);
                edited.push_str(split_value(rest).1);
            }
            _ => edited.push_str(line),
        }
    }
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    for ((name, value), found) in settings.iter().zip(found) {
        if found {
            continue;
        }
        if !edited.is_empty() && !edited.ends_with('\n') {
            edited.push_str(end);
        }
        edited.extend([name, "=", value, end]);
    }
    edited
}

/// What follows `NAME=` on a line that sets it.
fn after_name<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    let line = line.trim_start();
    let line = line
        .strip_prefix("export")
        .filter(|rest| rest.starts_with([' ', '\t']))
        .map_or(line, str::trim_start);
    line.strip_prefix(name)?.strip_prefix('=')
}

/// A value without its quotes, and what follows it: a comment, the end of the line.
fn split_value(rest: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some((value, tail)) = rest
            .strip_prefix(quote)
            .and_then(|rest| rest.split_once(quote))
        {
            return (value, tail);
        }
    }
    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
    rest.split_at(end)
}

fn is_plain(value: &str) -> bool {
    !value.is_empty()
        && value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-./:@+".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(text: &str) -> String {
        let settings = [("RING", "new".to_owned()), ("NAME", "key".to_owned())];
        let edited = with_settings(text, &settings);
        assert_eq!(
            with_settings(&edited, &settings),
            edited,
            "a second time changes nothing"
        );
        edited
    }

    #[test]
    fn sets_in_place_and_adds_the_rest() {
        for (text, expected) in [
            ("", "RING=new\nNAME=key\n"),
            ("A=1", "A=1\nRING=new\nNAME=key\n"),
            (
                "# RING=old\nexport RING=old # mine\n\nNAME='key'\nZ=\"a b\"\n",
                "# RING=old\nexport RING=new # mine\n\nNAME='key'\nZ=\"a b\"\n",
            ),
            (
                "NAME=\"x y\"\nRING=\nNAME=z",
                "NAME=key\nRING=new\nNAME=key",
            ),
            ("A=1\r\nRING=old\r\n", "A=1\r\nRING=new\r\nNAME=key\r\n"),
            (
                "RINGS=1\nMY_RING=2\n",
                "RINGS=1\nMY_RING=2\nRING=new\nNAME=key\n",
            ),
        ] {
            assert_eq!(edit(text), expected);
        }
    }

    #[test]
    fn what_would_need_quotes_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = DotEnv::read(&folder.path().join(".env")).unwrap();
        for value in ["", "a b", "$(id)", "a\nB=1", "a#b", "\"", "é"] {
            assert!(file.edit(&[("NAME", value.to_owned())]).is_err(), "{value}");
        }
    }

    #[test]
    fn keeps_the_mode_and_the_link() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("settings"), folder.path().join(".env"));
        fs::write(&path, "A=1\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let file = DotEnv::read(&link).unwrap();
        let text = file.edit(&[("B", "2".to_owned())]).unwrap().unwrap();
        file.replace(&text).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "A=1\nB=2\n");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o640
        );
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }
}

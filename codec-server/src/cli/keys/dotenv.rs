//! Settings in a `.env` file. Every other byte of the file stays as it is.

use std::{
    fs::{self, Permissions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use nix::unistd::{Gid, Uid, fchown};
use tempfile::NamedTempFile;
use temporal_kms_codec_service::dotenv::{
    EnvFile, assignment, split_entry, split_mark, split_value,
};

use super::super::exit::{Failure, Status};

/// Such files tend to hold secrets.
const NEW_MODE: u32 = 0o600;
/// How often an edit starts again because another program changed the file meanwhile.
const MAX_TRIES: usize = 5;

/// A file of lines `NAME=value`, as it was read.
pub(super) struct DotEnv {
    path: PathBuf,
    text: String,
    /// Of the file that is there; `None` when there is none yet.
    found: Option<Found>,
}

/// What a file keeps when its text is replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Found {
    mode: u32,
    owner: u32,
    group: u32,
}

impl DotEnv {
    /// Reads the file; one that is missing is empty.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        // The target of a link is replaced, not the link.
        Ok(match EnvFile::read(path)? {
            None => Self {
                path: path.to_owned(),
                text: String::new(),
                found: None,
            },
            Some(file) => Self {
                path: file.path,
                text: file.text,
                found: Some(Found {
                    mode: file.metadata.permissions().mode(),
                    owner: file.metadata.uid(),
                    group: file.metadata.gid(),
                }),
            },
        })
    }

    /// Sets these settings in the file as it is now, and returns whether that changed anything. When another program
    /// changes the file meanwhile, the edit starts again from the new text, so that both changes are kept.
    pub(super) fn set(path: &Path, settings: &[(&str, String)]) -> Result<bool, Failure> {
        for _ in 0..MAX_TRIES {
            let file = Self::read(path)?;
            let Some(text) = file.edit(settings)? else {
                return Ok(false);
            };
            if file.replace(&text)? {
                return Ok(true);
            }
        }
        Err(Failure::new(
            Status::Io,
            format_args!(
                "cannot edit {}: another program keeps changing it; run the command again",
                path.display()
            ),
        ))
    }

    /// The text with these settings; `None` when it has them.
    pub(super) fn edit(&self, settings: &[(&str, String)]) -> Result<Option<String>, Failure> {
        if let Some((name, _)) = settings.iter().find(|(_, value)| !is_plain(value)) {
            return Err(Failure::new(
                Status::Usage,
                format_args!(
                    "{name}: its value needs quotes in a .env file; use letters, digits and _-./:@+, only"
                ),
            ));
        }
        let edited = with_settings(&self.text, settings);
        Ok((edited != self.text).then_some(edited))
    }

    /// Replaces the file at once, so that nobody reads half of it. `false` when it is not the file any more that was
    /// read.
    fn replace(&self, text: &str) -> Result<bool, Failure> {
        let write = || {
            let folder = self.path.parent().filter(|p| !p.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new("."));
            let mut file = NamedTempFile::new_in(folder)?;
            file.write_all(text.as_bytes())?;
            let mode = self.found.map_or(NEW_MODE, |found| found.mode);
            if let Some(found) = self.found {
                keep_owner(file.as_file(), found)?;
            }
            file.as_file()
                .set_permissions(Permissions::from_mode(mode))?;
            file.as_file().sync_all()?;
            if self.found.is_none() {
                return match file.persist_noclobber(&self.path) {
                    Ok(_) => Ok(true),
                    Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
                    Err(error) => Err(error.error),
                };
            }
            if fs::read(&self.path).ok().as_deref() != Some(self.text.as_bytes()) {
                return Ok(false);
            }
            file.persist(&self.path)?;
            Ok(true)
        };
        write().map_err(|error: io::Error| Failure::io(&self.path.display().to_string(), &error))
    }
}

/// Under `sudo` the new file would belong to root, and the user could not edit it any more.
fn keep_owner(file: &fs::File, found: Found) -> io::Result<()> {
    let new = file.metadata()?;
    if (new.uid(), new.gid()) != (found.owner, found.group) {
        let (owner, group) = (Uid::from_raw(found.owner), Gid::from_raw(found.group));
        fchown(file, Some(owner), Some(group))?;
    }
    Ok(())
}

/// Replaces each setting where it is, every time that it is there: readers differ in which one counts. The other settings
/// are added at the end.
fn with_settings(text: &str, settings: &[(&str, String)]) -> String {
    let (mark, text) = split_mark(text);
    let mut edited = String::with_capacity(text.len());
    let mut found = vec![false; settings.len()];
    let mut rest = text;
    while !rest.is_empty() {
        let (entry, after) = split_entry(rest);
        rest = after;
        let setting = settings
            .iter()
            .zip(&mut found)
            .find_map(|((name, value), found)| {
                let (_, assigned) = assignment(entry).filter(|(known, _)| known == name)?;
                *found = true;
                Some((assigned, value))
            });
        match setting {
            Some((assigned, value)) if split_value(assigned).0 != value => {
                edited.push_str(entry.strip_suffix(assigned).unwrap_or_default());
                edited.push_str(value);
                edited.push_str(behind_value(assigned));
            }
            _ => edited.push_str(entry),
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
    format!("{mark}{edited}")
}

/// What is kept behind a value that is replaced: a comment, and the end of the line. Text directly behind a quote is a part
/// of the value for some readers.
fn behind_value(assigned: &str) -> &str {
    let tail = split_value(assigned).1;
    if tail.is_empty() || tail.starts_with(char::is_whitespace) {
        return tail;
    }
    let line = tail.trim_end_matches(['\r', '\n']);
    tail.get(line.len()..).unwrap_or_default()
}

/// The text of a file with a setting. `None` for a value that needs quotes.
#[cfg(fuzzing)]
#[must_use]
pub fn with_setting(text: &str, name: &str, value: &str) -> Option<String> {
    is_plain(value).then(|| with_settings(text, &[(name, value.to_owned())]))
}

fn is_plain(value: &str) -> bool {
    !value.is_empty()
        && value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-./:@+,".contains(&byte))
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
            ("\u{feff}", "\u{feff}RING=new\nNAME=key\n"),
            ("\u{feff}RING=a", "\u{feff}RING=new\nNAME=key\n"),
            // Within a value, nothing is a setting.
            (
                "\u{feff}A='b\nRING=c\n'\n",
                "\u{feff}A='b\nRING=c\n'\nRING=new\nNAME=key\n",
            ),
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
    fn text_directly_behind_a_quote_is_replaced_too() {
        for (text, expected) in [
            (
                "RING=\"old\"er # mine\nNAME='a''b'\r\n",
                "RING=new\nNAME=key\r\n",
            ),
            ("NAME='a'b\nRING=\"=X=\"x\\n\"", "NAME=key\nRING=new"),
        ] {
            assert_eq!(edit(text), expected);
        }
    }

    #[test]
    fn lines_inside_a_quoted_value_of_another_variable_stay() {
        for text in [
            "PEM=\"-----\nRING=old\n-----\"\n",
            "PEM='a\nNAME=x\n'\nA=1\n",
            "PEM=\"say \\\"hi\\\"\nRING=old\"\n",
        ] {
            assert_eq!(edit(text), format!("{text}RING=new\nNAME=key\n"));
        }
        assert_eq!(
            edit("RING=\"a\nb\" # mine\nNAME='key'\n"),
            "RING=new # mine\nNAME='key'\n"
        );
        assert_eq!(
            edit("A=\"no end\nRING=old\n"),
            "A=\"no end\nRING=new\nNAME=key\n",
            "a quote without an end opens nothing"
        );
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
    fn keeps_the_mode_the_owner_and_the_link() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("settings"), folder.path().join(".env"));
        fs::write(&path, "A=1\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        // Only root may give a file away, as under `sudo`.
        let root = Uid::effective().is_root();
        let owner = if root {
            4321
        } else {
            Uid::effective().as_raw()
        };
        if root {
            nix::unistd::chown(&path, Some(Uid::from_raw(owner)), None).unwrap();
        }
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(DotEnv::set(&link, &[("B", "2".to_owned())]).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "A=1\nB=2\n");
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o640);
        assert_eq!(metadata.uid(), owner);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn an_edit_of_another_program_meanwhile_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        for before in [None, Some("A=1\n")] {
            let _ = fs::remove_file(&path);
            if let Some(text) = before {
                fs::write(&path, text).unwrap();
            }
            let stale = DotEnv::read(&path).unwrap();
            fs::write(&path, "A=2\n").unwrap();
            assert!(!stale.replace("B=2\n").unwrap(), "an edit was lost");
            assert!(DotEnv::set(&path, &[("B", "2".to_owned())]).unwrap());
            assert_eq!(fs::read_to_string(&path).unwrap(), "A=2\nB=2\n");
        }
    }

    #[test]
    fn a_pipe_is_refused_and_does_not_block() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(DotEnv::read(&path).is_err());
    }
}

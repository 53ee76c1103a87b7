//! Which `.env` file has set the variables that an error is about.
//!
//! A program that reads such a file ([`dotenv`](crate::dotenv)) starts itself again, and passes on what it has read.

use std::{env, path::Path};

use temporal_kms::support::variable;
use zeroize::Zeroizing;

use crate::terminal;

/// What a program passes to itself: the file and the names of its variables.
pub(crate) const READ: &str = "TEMPORAL_CODEC_ENV_READ";

/// Shorter values, such as `8081` and `true`, are in texts that have nothing to do with them.
const SHORTEST: usize = 6;

/// What a program passes to itself after it has read these variables from a file.
pub(crate) fn told<'n>(file: &Path, names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<_> = names.collect();
    format!("{}: {}", file.display(), names.join(", "))
}

/// The file that has set the variable, if it was read from one.
#[must_use]
pub fn file_of(name: &str) -> Option<String> {
    let read = variable(READ)?;
    let (file, names) = split(&read)?;
    let is_read = names.split(", ").any(|read| read == name);
    is_read.then(|| terminal::line(file))
}

/// A sentence about the variables that a `.env` file has set and `error` names, or whose values it shows. `None` where there
/// are none. The values may be secret, and are not in the sentence.
#[must_use]
pub fn of_error(error: &str) -> Option<String> {
    let folder = env::current_dir().ok();
    let folder = folder.and_then(|folder| Some(format!("{}/", folder.to_str()?)));
    origin_of(error, &variable(READ)?, &variable, folder.as_deref())
}

/// `read` is what was read, and `folder` the working folder with a slash.
fn origin_of(
    error: &str,
    read: &str,
    variable: &dyn Fn(&str) -> Option<String>,
    folder: Option<&str>,
) -> Option<String> {
    let (file, names) = split(read)?;
    let shows_value = |name: &str| {
        let value = variable(name).map(Zeroizing::new);
        value.is_some_and(|value| {
            let mut items = value.split(',').map(str::trim);
            items.any(|item| shows(error, item, folder, SHORTEST))
        })
    };
    let is_meant = |name: &&str| shows(error, name, None, 1) || shows_value(name);
    let names: Vec<&str> = names.split(", ").filter(is_meant).collect();
    if names.is_empty() {
        return None;
    }
    let (file, names) = (terminal::line(file), names.join(", "));
    Some(format!(
        "{file} sets {names}; if that is wrong, correct the file, or set the variable in the environment"
    ))
}

/// The file and the names of its variables.
fn split(read: &str) -> Option<(&str, &str)> {
    read.rsplit_once(": ")
}

/// Whether `text` has `word` on its own, or as a path in `folder`. Elsewhere, words shorter than `shortest` do not count.
fn shows(text: &str, word: &str, folder: Option<&str>, shortest: usize) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    !word.is_empty()
        && text.match_indices(word).any(|(start, _)| {
            let before = text.get(..start).unwrap_or_default();
            let after = text.get(start + word.len()..).unwrap_or_default();
            let in_folder = folder.and_then(|folder| before.strip_suffix(folder));
            let before = in_folder.unwrap_or(before);
            (in_folder.is_some() || word.len() >= shortest)
                && !before.chars().next_back().is_some_and(is_part)
                && !after.chars().next().is_some_and(is_part)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 4] = [
        "TEMPORAL_CODEC_KEY",
        "TEMPORAL_CODEC_KEYRING",
        "GCP_KMS_LOCATION",
        "PORT",
    ];

    /// The names of the variables that are told for an error.
    fn named(error: &str) -> Option<String> {
        let variable = |name: &str| {
            let value = match name {
                "TEMPORAL_CODEC_KEY" => "local://typo, local://other",
                "TEMPORAL_CODEC_KEYRING" => "kyes",
                "GCP_KMS_LOCATION" => "global",
                "PORT" => "8081",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let read = told(Path::new("/a: b/.env"), NAMES.into_iter());
        let told = origin_of(error, &read, &variable, Some("/work/"))?;
        let names = told.strip_prefix("/a: b/.env sets ").expect(&told);
        Some(names.split(';').next().expect(names).to_owned())
    }

    #[test]
    fn a_variable_is_told_by_its_name_or_its_value() {
        const KEY: &str = "TEMPORAL_CODEC_KEY";
        for (error, names) in [
            ("TEMPORAL_CODEC_KEY: not a key", Some(KEY)),
            ("no key local://typo; create it", Some(KEY)),
            ("local://other: key not found", Some(KEY)),
            (
                "no keyring /work/kyes; correct it",
                Some("TEMPORAL_CODEC_KEYRING"),
            ),
            (
                "no key local://typo in /work/kyes",
                Some("TEMPORAL_CODEC_KEY, TEMPORAL_CODEC_KEYRING"),
            ),
            (
                "gcp-kms://projects/p/locations/global/keyRings/r: key not found",
                Some("GCP_KMS_LOCATION"),
            ),
            ("PORT (environment variable) is wrong", Some("PORT")),
            // Other names, and values that are found by chance.
            ("TEMPORAL_CODEC_KEYS: not a key", None),
            ("local://typo-2: key not found", None),
            ("cannot listen on 127.0.0.1:8081", None),
            ("no keyring /elsewhere/kyes", None),
            ("TEMPORAL_CODEC_FORMAT: not a format", None),
        ] {
            assert_eq!(named(error).as_deref(), names, "{error}");
        }
    }

    #[test]
    fn the_value_of_a_variable_is_not_told() {
        let variable = |_: &str| Some("sk-secret".to_owned());
        let told = origin_of("A: wrong", "/.env: A", &variable, None).unwrap();
        assert_eq!(
            told,
            "/.env sets A; if that is wrong, correct the file, or set the variable in the environment"
        );
    }
}

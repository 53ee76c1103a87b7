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
/// Longer values of which the same is true: names of namespaces, profiles and keys.
const COMMON: [&str; 5] = [
    "default",
    "temporal",
    "worker",
    "codec-server",
    "claude-tasks",
];

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
///
/// An error that only names a variable may be about an option of the command that overrides it, so the sentence says that
/// options count first.
#[must_use]
pub fn of_error(error: &str) -> Option<String> {
    let folder = env::current_dir().ok();
    origin_of(error, &variable(READ)?, &variable, folder.as_deref())
}

/// `read` is what was read, and `folder` the working folder.
fn origin_of(
    error: &str,
    read: &str,
    variable: &dyn Fn(&str) -> Option<String>,
    folder: Option<&Path>,
) -> Option<String> {
    let (file, names) = split(read)?;
    // With a slash at its end.
    let folder = folder.map(|folder| folder.join(""));
    let folder = folder.as_deref().and_then(Path::to_str);
    let shows_value = |name: &str| {
        let value = variable(name).map(Zeroizing::new);
        value.is_some_and(|value| {
            let mut items = value.split(',').map(str::trim);
            items.any(|item| shows(error, item, folder))
        })
    };
    let mut meant = Vec::new();
    let mut may_be_overridden = false;
    for name in names.split(", ") {
        if shows_value(name) {
            meant.push(name);
        } else if has_word(error, "", name) {
            meant.push(name);
            may_be_overridden = true;
        }
    }
    if meant.is_empty() {
        return None;
    }
    let (file, names) = (terminal::line(file), terminal::line(&meant.join(", ")));
    let options = if may_be_overridden {
        ". An option of the command, where there is one, counts first"
    } else {
        ""
    };
    Some(format!(
        "{file} sets {names}; if that is wrong, correct the file, or set the variable in the environment{options}"
    ))
}

/// The file and the names of its variables.
fn split(read: &str) -> Option<(&str, &str)> {
    read.rsplit_once(": ")
}

/// Whether `text` shows a value: as a word that is long enough to tell it, or as a path in `folder`, which ends with a slash.
fn shows(text: &str, value: &str, folder: Option<&str>) -> bool {
    let value = value.trim_end_matches('/');
    let is_telling = value.len() >= SHORTEST && !COMMON.contains(&value);
    // Errors have whole paths. The text is searched without a copy of the value, which may be secret.
    let below = value.trim_start_matches("./");
    (is_telling && has_word(text, "", value))
        || folder.is_some_and(|folder| has_word(text, folder, below))
}

/// Whether `text` has `word` on its own, directly behind `folder`.
fn has_word(text: &str, folder: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    // A folder begins the path.
    let is_before = |c: char| is_part(c) || (!folder.is_empty() && c == '/');
    !word.is_empty()
        && text.match_indices(word).any(|(start, _)| {
            let before = text.get(..start).unwrap_or_default();
            let after = text.get(start + word.len()..).unwrap_or_default();
            before
                .strip_suffix(folder)
                .is_some_and(|before| !before.chars().next_back().is_some_and(is_before))
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
        let told = origin_of(error, &read, &variable, Some(Path::new("/work")))?;
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
    fn a_value_is_known_as_errors_show_it() {
        for (value, folder, error, is_shown) in [
            // Errors have whole paths.
            ("./keys", "/work", "no keyring /work/keys; create it", true),
            ("keys/", "/work", "no key local://a in /work/keys", true),
            ("../keys", "/work", "no keyring /work/../keys", true),
            ("./keys", "/work", "no keyring /work/keyring", false),
            ("./keys", "/work", "no keyring /home/work/keys", false),
            ("./", "/work", "cannot read /work/codec.toml", false),
            // The working folder may be the root.
            ("keys", "/", "no keyring /keys", true),
            ("./keys", "/", "no keyring /keys", true),
            ("keys", "/", "no keyring /work/keys", false),
            ("keys", "/", "local://keys: key not found", false),
            // A word of many names.
            ("default", "/work", "local://default: key not found", false),
            ("default", "/work", "no keyring /work/default", true),
            ("local://default", "/work", "no key local://default", true),
        ] {
            let variable = |_: &str| Some(value.to_owned());
            let told = origin_of(error, "/.env: A", &variable, Some(Path::new(folder)));
            assert_eq!(told.is_some(), is_shown, "{value} in {folder}: {error}");
        }
    }

    #[test]
    fn an_option_may_override_a_variable_that_is_only_named() {
        let variable = |_: &str| Some("payroll".to_owned());
        let told = |error| origin_of(error, "/.env: TEMPORAL_NAMESPACE", &variable, None).unwrap();
        let shown = told("no namespace `payroll`; check TEMPORAL_NAMESPACE");
        assert!(!shown.contains("option"), "{shown}");
        let named = told("no namespace `other`; check TEMPORAL_NAMESPACE");
        assert!(
            named.ends_with(". An option of the command, where there is one, counts first"),
            "{named}"
        );
    }

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        let told = origin_of("A\u{1b}: wrong", "/.env: A\u{1b}", &|_: &str| None, None).unwrap();
        assert!(told.starts_with("/.env sets A\u{fffd};"), "{told}");
    }

    #[test]
    fn the_value_of_a_variable_is_not_told() {
        let variable = |_: &str| Some("sk-secret".to_owned());
        let told = origin_of("A: wrong", "/.env: A", &variable, None).unwrap();
        assert_eq!(
            told,
            "/.env sets A; if that is wrong, correct the file, or set the variable in the environment. An option of the command, \
             where there is one, counts first"
        );
    }
}

//! Every setting of the file: what the server reads says its name and form, the example file says what it is for.

use std::collections::BTreeMap;

use temporal_kms_codec::kms::{Kms, Setting, SettingKind};
use temporal_kms_codec_service::settings::{Declared, Form};

use super::{Config, settings};

/// The example file, which documents every setting.
const EXAMPLE: &str = include_str!("../../codec.example.toml");

/// What is said of each path that need not be absolute.
const RELATIVE: &str = "A relative path is relative to the folder in which the program starts, not to that of the \
                        configuration.";

/// One setting.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    /// Its name, such as `server.listen`. A name that the user chooses is `*`.
    pub(crate) setting: String,
    pub(crate) forms: Vec<Form>,
    /// The variable over the file.
    pub(crate) variable: Option<String>,
    /// Variables that count where neither the file nor that variable sets it.
    pub(crate) further_variables: &'static [&'static str],
    /// What it is for.
    pub(crate) help: String,
    pub(crate) default: Fallback,
    pub(crate) is_secret: bool,
}

/// What counts where a setting is not set.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fallback {
    /// Nothing.
    None,
    /// A value.
    Value(toml::Value),
    /// It depends on other settings, as these words say.
    Depends(String),
}

/// Every setting, in the order in which the server reads them.
pub(crate) fn all() -> Vec<Reference> {
    let documented = Example::parse(EXAMPLE);
    let services: BTreeMap<String, &'static Setting> = Kms::default()
        .settings()
        .into_iter()
        .map(|setting| (format!("keys.{}", setting.name()), setting))
        .collect();
    let declared = settings().describe(Config::read);
    let described = declared.into_iter().map(|declared: Declared| {
        let service = services.get(&declared.setting);
        let entry = documented.find(&declared.setting);
        let help = match service {
            Some(setting) if setting.kind() == SettingKind::Path => {
                format!("{} {RELATIVE}", setting.help())
            }
            Some(setting) => setting.help().to_owned(),
            None => entry.map(|entry| entry.help.clone()).unwrap_or_default(),
        };
        Reference {
            default: match (service, entry) {
                (None, Some(entry)) => entry.default.clone(),
                _ => written_default(&help).unwrap_or(Fallback::None),
            },
            further_variables: service.map_or(&[], |setting| setting.variable_names()),
            is_secret: service.is_some_and(|setting| setting.is_secret())
                || is_secret_name(&declared.setting),
            setting: declared.setting,
            forms: declared.forms,
            variable: declared.variable,
            help,
        }
    });
    described.collect()
}

/// What the sections are for, by their names. A name that the user chooses is that of the example.
pub(crate) fn sections() -> BTreeMap<String, String> {
    Example::parse(EXAMPLE).sections
}

/// Whether a setting by this name holds a secret itself, and not the name of a file with one.
fn is_secret_name(setting: &str) -> bool {
    let name = setting.rsplit('.').next().unwrap_or(setting);
    let words: Vec<&str> = name.split('_').collect();
    let is_secret = |word: &&str| {
        matches!(
            *word,
            "secret" | "secrets" | "password" | "token" | "tokens" | "pin" | "cookie"
        )
    };
    let last = words.last().copied().unwrap_or_default();
    words.iter().any(is_secret)
        && !matches!(last, "file" | "files" | "path" | "url" | "age" | "ttl")
}

/// Whether `setting` has the form of `pattern`, and which name takes the place of its `*`.
pub(crate) fn name_in<'s>(pattern: &str, setting: &'s str) -> Option<&'s str> {
    let (before, behind) = pattern.split_once('*')?;
    let name = setting.strip_prefix(before)?.strip_suffix(behind)?;
    (!name.is_empty()).then_some(name)
}

/// How `setting` is declared, and the name in the place of `*`. A name may have dots in it, so the declaration with the
/// shortest name counts.
pub(crate) fn of<'r, 's>(
    all: &'r [Reference],
    setting: &'s str,
) -> Option<(&'r Reference, Option<&'s str>)> {
    let exact = all.iter().find(|reference| reference.setting == setting);
    if let Some(exact) = exact {
        return Some((exact, None));
    }
    let named = all.iter().filter_map(|reference| {
        let name = name_in(&reference.setting, setting)?;
        Some((reference, Some(name)))
    });
    named.min_by_key(|(_, name)| name.map_or(0, str::len))
}

/// The settings of the example file.
#[derive(Debug)]
struct Example {
    settings: BTreeMap<String, Entry>,
    sections: BTreeMap<String, String>,
}

#[derive(Debug)]
struct Entry {
    help: String,
    default: Fallback,
}

impl Example {
    fn parse(text: &str) -> Self {
        let values: toml::Table = toml::from_str(text).unwrap_or_default();
        let mut example = Self {
            settings: BTreeMap::new(),
            sections: BTreeMap::new(),
        };
        let (mut section, mut comment, mut last) = (String::new(), Vec::new(), String::new());
        for line in text.lines() {
            let is_indented = line.starts_with(' ');
            let line = line.trim();
            if line.is_empty() {
                comment.clear();
                last.clear();
            } else if let Some(name) = section_in(line) {
                name.clone_into(&mut section);
                example.sections.insert(name.to_owned(), comment.join(" "));
                comment.clear();
            } else if let Some(words) = line.strip_prefix('#') {
                let words = words.trim();
                match setting_in(words) {
                    Some((name, _)) => {
                        last = format!("{section}.{name}");
                        let entry = Entry::new(&comment, "", None);
                        example.settings.insert(last.clone(), entry);
                        comment.clear();
                    }
                    None if is_indented => {
                        if let Some(entry) = example.settings.get_mut(&last) {
                            entry.continue_with(words);
                        }
                    }
                    None => comment.push(words.to_owned()),
                }
            } else if let Some((name, value)) = setting_in(line) {
                last = format!("{section}.{name}");
                let found = lookup(&values, &section, name);
                let entry = Entry::new(&comment, behind_value(value), found);
                example.settings.insert(last.clone(), entry);
                comment.clear();
            }
        }
        example
    }

    /// The entry of a setting. In the example, a name takes the place of `*`.
    fn find(&self, setting: &str) -> Option<&Entry> {
        let exact = self.settings.get(setting);
        exact.or_else(|| {
            let mut settings = self.settings.iter();
            settings
                .find(|(name, _)| name_in(setting, name).is_some_and(|name| !name.contains('.')))
                .map(|(_, entry)| entry)
        })
    }
}

impl Entry {
    fn new(comment: &[String], behind: &str, value: Option<toml::Value>) -> Self {
        let mut words: Vec<&str> = comment.iter().map(String::as_str).collect();
        words.push(behind);
        let help = words.join(" ").trim().to_owned();
        let written = written_default(&help);
        Self {
            default: written.unwrap_or_else(|| value.map_or(Fallback::None, Fallback::Value)),
            help,
        }
    }

    fn continue_with(&mut self, words: &str) {
        self.help = format!("{} {words}", self.help);
        if let Some(written) = written_default(&self.help) {
            self.default = written;
        }
    }
}

/// The default that a help text states as `[default: …]`.
fn written_default(help: &str) -> Option<Fallback> {
    let (_, rest) = help.split_once("[default: ")?;
    let (words, _) = rest.split_once(']')?;
    Some(match words {
        "none" => Fallback::None,
        words => Fallback::Depends(words.to_owned()),
    })
}

/// The name of a section, which may be commented out.
fn section_in(line: &str) -> Option<&str> {
    let line = line.strip_prefix("# ").unwrap_or(line);
    let name = line.strip_prefix('[')?.strip_suffix(']')?;
    // Words in brackets are a part of a help text.
    (!name.contains([' ', ':'])).then_some(name)
}

/// The name and the rest of a line `name = value`.
fn setting_in(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(" = ")?;
    let is_name = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    is_name.then_some((name, value))
}

/// The comment behind a value.
fn behind_value(value: &str) -> &str {
    let mut in_text = false;
    let hash = value.char_indices().find(|(_, character)| {
        in_text ^= *character == '"';
        *character == '#' && !in_text
    });
    hash.and_then(|(place, _)| value.get(place + 1..))
        .unwrap_or_default()
        .trim()
}

fn lookup(values: &toml::Table, section: &str, name: &str) -> Option<toml::Value> {
    let mut table = values;
    for part in section.split('.') {
        table = table.get(part.trim_matches('"'))?.as_table()?;
    }
    table.get(name).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_explained_and_every_explained_setting_is_read() {
        let all = all();
        let unexplained: Vec<_> = all
            .iter()
            .filter(|reference| reference.help.is_empty())
            .map(|reference| &reference.setting)
            .collect();
        assert!(
            unexplained.is_empty(),
            "codec.example.toml says nothing of {unexplained:?}"
        );
        let example = Example::parse(EXAMPLE);
        for setting in example.settings.keys() {
            let is_read = all.iter().any(|reference| {
                reference.setting == *setting || name_in(&reference.setting, setting).is_some()
            });
            assert!(
                is_read,
                "codec.example.toml has {setting}, which is not read"
            );
        }
    }

    /// A file with each documented default means the same as a file without any of them.
    #[test]
    fn documented_defaults_are_the_defaults() {
        let small = "[keys]\nlocal_keyring = \"keys\"\n[namespaces.default]\nencrypt = [\"local://default\"]\n";
        let mut file: toml::Table = toml::from_str(small).unwrap();
        let mut set = 0;
        for reference in all() {
            let Fallback::Value(value) = reference.default else {
                continue;
            };
            let setting = reference.setting.replace('*', "default");
            let (section, name) = setting.rsplit_once('.').unwrap();
            let mut table = &mut file;
            for part in section.split('.') {
                let inner = table
                    .entry(part)
                    .or_insert_with(|| toml::Table::new().into());
                table = inner.as_table_mut().unwrap();
            }
            table.insert(name.to_owned(), value);
            set += 1;
        }
        assert!(set > 30, "{set}");
        let read = |text: &str| {
            let config = settings().parse(Some(text), &|_| None, Config::read);
            format!("{:#?}", config.unwrap())
        };
        assert_eq!(read(&toml::to_string(&file).unwrap()), read(small));
    }

    #[test]
    fn a_secret_is_told_from_the_name_of_its_file() {
        for secret in ["auth.tokens.*.token", "x.client_secret", "keys.pkcs11_pin"] {
            assert!(is_secret_name(secret), "{secret}");
        }
        for other in [
            "keys.pkcs11_pin_file",
            "server.listen",
            "auth.token_max_age",
        ] {
            assert!(!is_secret_name(other), "{other}");
        }
    }

    #[test]
    fn comments_before_behind_and_below_a_setting_are_its_help() {
        let example = Example::parse(
            "# Not of a setting.\n\n# About a.\n[a]\n# One,\n# two.\nx = \"#\"  # Three\n   # four.\n# Five.\n# y = 3\nz = 4 # Six [default: none].\n",
        );
        assert_eq!(example.sections["a"], "About a.");
        assert_eq!(example.settings["a.x"].help, "One, two. Three four.");
        assert_eq!(example.settings["a.x"].default, Fallback::Value("#".into()));
        assert_eq!(example.settings["a.y"].help, "Five.");
        assert_eq!(example.settings["a.y"].default, Fallback::None);
        assert_eq!(example.settings["a.z"].default, Fallback::None);
    }
}

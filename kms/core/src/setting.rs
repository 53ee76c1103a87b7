//! The settings of a key service, declared once: configuration files, environment variables, command line flags and the
//! example file come from the table.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use crate::ConfigurationError;

/// The most of anything that is counted.
const MOST: u64 = 1 << 32;

/// Reads one environment variable that is set and not empty.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// One setting of a key service: what it is called in each place where it can be set.
///
/// ```
/// use temporal_kms::{Setting, SettingKind};
///
/// const REGION: Setting = Setting::new("vault_region", SettingKind::Text, "The region of keys.")
///     .variables(&["VAULT_REGION"])
///     .flag("vault-region", "REGION")
///     .example("\"eu-west-1\"");
/// assert_eq!(REGION.flag_name(), Some("vault-region"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    name: &'static str,
    kind: SettingKind,
    help: &'static str,
    variables: &'static [&'static str],
    flag: Option<(&'static str, &'static str)>,
    example: Option<&'static str>,
    is_suggested: bool,
    is_secret: bool,
}

impl Setting {
    /// The setting called `name`, which begins with a word for the service: `aws_region`. `help` is one or two sentences.
    #[must_use]
    pub const fn new(name: &'static str, kind: SettingKind, help: &'static str) -> Self {
        Self {
            name,
            kind,
            help,
            variables: &[],
            flag: None,
            example: None,
            is_suggested: false,
            is_secret: false,
        }
    }

    /// The service's own environment variables for it. The first that is set counts.
    #[must_use]
    pub const fn variables(mut self, names: &'static [&'static str]) -> Self {
        self.variables = names;
        self
    }

    /// There is a command line flag `--NAME`, and help calls its value `value_name`.
    #[must_use]
    pub const fn flag(mut self, name: &'static str, value_name: &'static str) -> Self {
        self.flag = Some((name, value_name));
        self
    }

    /// The section `[keys]` of a configuration file may have it; `value` is one as the file has it.
    #[must_use]
    pub const fn example(mut self, value: &'static str) -> Self {
        self.example = Some(value);
        self
    }

    /// The example file sets it, and does not only mention it.
    #[must_use]
    pub const fn suggested(mut self) -> Self {
        self.is_suggested = true;
        self
    }

    /// Its value is a secret.
    #[must_use]
    pub const fn secret(mut self) -> Self {
        self.is_secret = true;
        self
    }

    /// The name in the section `[keys]`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// How values are written.
    #[must_use]
    pub const fn kind(&self) -> SettingKind {
        self.kind
    }

    /// What it is for.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        self.help
    }

    /// The service's own environment variables for it.
    #[must_use]
    pub const fn variable_names(&self) -> &'static [&'static str] {
        self.variables
    }

    /// The name of the command line flag, without `--`.
    #[must_use]
    pub fn flag_name(&self) -> Option<&'static str> {
        self.flag.map(|(name, _)| name)
    }

    /// What help calls the flag's value.
    #[must_use]
    pub fn value_name(&self) -> Option<&'static str> {
        self.flag.map(|(_, value_name)| value_name)
    }

    /// Whether a configuration file may have it.
    #[must_use]
    pub const fn is_in_file(&self) -> bool {
        self.example.is_some()
    }

    /// The lines of an example file; nothing for settings that a file does not have.
    #[must_use]
    pub fn example_lines(&self) -> String {
        let Some(value) = self.example else {
            return String::new();
        };
        let variables = match self.variables {
            [] => String::new(),
            names => format!(" Variable: {}.", names.join(", ")),
        };
        let mark = if self.is_suggested { "" } else { "# " };
        format!(
            "# {}{variables}\n{mark}{} = {value}\n",
            self.help, self.name
        )
    }

    /// Whether its value is a secret.
    #[must_use]
    pub const fn is_secret(&self) -> bool {
        self.is_secret
    }
}

/// How the values of a setting are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SettingKind {
    /// Any text.
    Text,
    /// A URL. The service checks which ones it permits.
    Url,
    /// A path, which may be relative to the working directory.
    Path,
    /// An absolute path.
    AbsolutePath,
    /// Texts; in a variable or flag with commas between them.
    List,
    /// `true` or `false`.
    Bool,
    /// A whole number, at least 1.
    Count,
}

impl SettingKind {
    /// Reads a value from a variable, a flag, or a single value of a file.
    ///
    /// # Errors
    /// What is wrong with it. The text does not repeat it.
    pub fn read(self, value: &OsStr) -> Result<SettingValue, String> {
        match self {
            Self::Path => return Ok(SettingValue::Path(value.into())),
            Self::AbsolutePath if Path::new(value).is_absolute() => {
                return Ok(SettingValue::Path(value.into()));
            }
            Self::AbsolutePath => return Err("must be an absolute path".to_owned()),
            _ => {}
        }
        let text = value.to_str().ok_or("it is not valid UTF-8")?;
        Ok(match self {
            Self::List => {
                let items = text.split(',').map(str::trim);
                let items = items.filter(|item| !item.is_empty());
                SettingValue::List(items.map(str::to_owned).collect())
            }
            Self::Bool => match text.to_ascii_lowercase().as_str() {
                "true" => SettingValue::Bool(true),
                "false" => SettingValue::Bool(false),
                _ => return Err("it must be `true` or `false`".to_owned()),
            },
            Self::Count => match text.parse() {
                Ok(count @ 1..=MOST) => SettingValue::Count(count),
                _ => return Err(format!("expected a whole number from 1 to {MOST}")),
            },
            _ => SettingValue::Text(text.to_owned()),
        })
    }
}

/// A value that a setting has, of its kind.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SettingValue {
    /// Of [`SettingKind::Text`] and [`SettingKind::Url`].
    Text(String),
    /// Of [`SettingKind::Path`] and [`SettingKind::AbsolutePath`].
    Path(PathBuf),
    /// Of [`SettingKind::List`].
    List(Vec<String>),
    /// Of [`SettingKind::Bool`].
    Bool(bool),
    /// Of [`SettingKind::Count`].
    Count(u64),
}

impl SettingValue {
    /// The text; `None` for another kind.
    #[must_use]
    pub fn into_text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The path; `None` for another kind.
    #[must_use]
    pub fn into_path(self) -> Option<PathBuf> {
        match self {
            Self::Path(path) => Some(path),
            _ => None,
        }
    }

    /// The items; `None` for another kind.
    #[must_use]
    pub fn into_list(self) -> Option<Vec<String>> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// Whether it is `true`.
    #[must_use]
    pub const fn is_true(&self) -> bool {
        matches!(self, Self::Bool(true))
    }

    /// The number; `None` for another kind, and for more than memory can address.
    #[must_use]
    pub fn into_count(self) -> Option<usize> {
        match self {
            Self::Count(count) => usize::try_from(count).ok(),
            _ => None,
        }
    }
}

/// One row of a service's table: a setting, and how its value gets into the service's options `O`.
pub struct SettingRow<O> {
    setting: Setting,
    /// `None` where variables alone can set it.
    set: Option<fn(&mut O, SettingValue)>,
    /// Whether its variables mean something together with others only, so that the service reads them itself.
    has_combined_variables: bool,
}

impl<O> SettingRow<O> {
    /// A setting of its own.
    #[must_use]
    pub const fn new(setting: Setting, set: fn(&mut O, SettingValue)) -> Self {
        Self {
            setting,
            set: Some(set),
            has_combined_variables: false,
        }
    }

    /// A setting whose variables mean something together with others only. The service reads them itself.
    #[must_use]
    pub const fn with_combined_variables(setting: Setting, set: fn(&mut O, SettingValue)) -> Self {
        Self {
            setting,
            set: Some(set),
            has_combined_variables: true,
        }
    }

    /// As [`with_combined_variables`](Self::with_combined_variables), where there is nothing but variables.
    #[must_use]
    pub const fn only_combined_variables(setting: Setting) -> Self {
        Self {
            setting,
            set: None,
            has_combined_variables: true,
        }
    }
}

/// All settings of a service whose options are an `O`.
#[allow(
    clippy::exhaustive_structs,
    reason = "each service writes its table as a constant"
)]
pub struct SettingTable<O: 'static>(pub &'static [SettingRow<O>]);

impl<O> SettingTable<O> {
    /// The settings without what is done with them.
    #[must_use]
    pub fn settings(&self) -> Vec<&'static Setting> {
        self.0.iter().map(|row| &row.setting).collect()
    }

    /// Puts a value into `options`. Whether there is such a setting.
    pub fn set(&self, options: &mut O, name: &str, value: SettingValue) -> bool {
        let found = self.0.iter().find(|row| row.setting.name == name);
        let set = found.and_then(|row| row.set);
        if let Some(set) = set {
            set(options, value);
        }
        set.is_some()
    }

    /// A copy of `options` with a value put into it; `None` when there is no such setting.
    #[must_use]
    pub fn changed(&self, options: &O, name: &str, value: SettingValue) -> Option<O>
    where
        O: Clone,
    {
        let mut changed = options.clone();
        self.set(&mut changed, name, value).then_some(changed)
    }

    /// Puts the values of environment variables into `options`, but those of combined settings.
    ///
    /// # Errors
    /// When a variable has a value that it cannot have.
    pub fn read_variables(
        &self,
        options: &mut O,
        variable: Variables<'_>,
    ) -> Result<(), ConfigurationError> {
        for row in self.0 {
            let Some(set) = row.set.filter(|_| !row.has_combined_variables) else {
                continue;
            };
            let mut names = row.setting.variables.iter();
            let found = names.find_map(|name| Some((*name, variable(name)?)));
            if let Some((name, text)) = found {
                let value = row.setting.kind.read(OsStr::new(&text));
                let value = value.map_err(|reason| ConfigurationError::invalid(name, reason))?;
                set(options, value);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Options {
        region: Option<String>,
        module: Option<PathBuf>,
    }

    const TABLE: SettingTable<Options> = SettingTable(&[
        SettingRow::new(
            Setting::new("x_region", SettingKind::Text, "The region.")
                .variables(&["X_REGION", "X_DEFAULT_REGION"])
                .flag("x-region", "REGION")
                .example("\"here\""),
            |options, value| options.region = value.into_text(),
        ),
        SettingRow::new(
            Setting::new("x_module", SettingKind::AbsolutePath, "The module.")
                .variables(&["X_MODULE"])
                .example("\"/lib/x.so\"")
                .suggested(),
            |options, value| options.module = value.into_path(),
        ),
        SettingRow::only_combined_variables(
            Setting::new("x_pin", SettingKind::Text, "The PIN.")
                .variables(&["X_PIN"])
                .secret(),
        ),
    ]);

    #[test]
    fn the_first_variable_that_is_set_counts() {
        let mut options = Options::default();
        let variable = |name: &str| match name {
            "X_DEFAULT_REGION" => Some("there".to_owned()),
            "X_MODULE" => Some("/m".to_owned()),
            _ => None,
        };
        TABLE.read_variables(&mut options, &variable).unwrap();
        assert_eq!(options.region.as_deref(), Some("there"));
        assert_eq!(options.module.as_deref(), Some(Path::new("/m")));
    }

    #[test]
    fn a_wrong_value_is_refused_by_the_name_of_its_variable() {
        let variable = |name: &str| (name == "X_MODULE").then(|| "sEcReT".to_owned());
        let refused = TABLE.read_variables(&mut Options::default(), &variable);
        let error = refused.unwrap_err().to_string();
        assert_eq!(error, "X_MODULE: must be an absolute path");
    }

    #[test]
    fn the_example_file_has_what_a_file_may_have() {
        let lines: String = TABLE
            .settings()
            .into_iter()
            .map(Setting::example_lines)
            .collect();
        assert_eq!(
            lines,
            "# The region. Variable: X_REGION, X_DEFAULT_REGION.\n# x_region = \"here\"\n\
             # The module. Variable: X_MODULE.\nx_module = \"/lib/x.so\"\n"
        );
    }

    #[test]
    fn values_are_of_their_kind() {
        let read = |kind: SettingKind, text: &str| kind.read(OsStr::new(text));
        let list = read(SettingKind::List, "a, b,,").unwrap();
        assert_eq!(list.into_list().unwrap(), ["a", "b"]);
        assert!(read(SettingKind::Bool, "TRUE").unwrap().is_true());
        assert_eq!(read(SettingKind::Count, "8").unwrap().into_count(), Some(8));
        for (kind, text) in [
            (SettingKind::Bool, "yes"),
            (SettingKind::Count, "0"),
            (SettingKind::Count, "-1"),
            (SettingKind::AbsolutePath, "lib.so"),
        ] {
            assert!(read(kind, text).is_err(), "{text}");
        }
    }
}

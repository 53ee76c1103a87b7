//! The settings of a key service, declared once. Configuration files, environment variables, command line flags and the
//! example file come from this table.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use crate::{AnyFolder, ConfigurationError};

/// The largest count.
const MOST: u64 = 1 << 32;

/// Reads an environment variable that is set and not empty.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// One setting of a key service, with its name in each place where it can be set.
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
    any_folder: AnyFolder,
}

impl Setting {
    /// The setting called `name`, which begins with a word for the service, such as `aws_region`. `help` is one or two
    /// sentences.
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
            any_folder: AnyFolder::Nothing,
        }
    }

    /// Adds the service's own environment variables. The first one that is set counts.
    #[must_use]
    pub const fn variables(mut self, names: &'static [&'static str]) -> Self {
        self.variables = names;
        self
    }

    /// Adds a command line flag `--NAME`. Help texts call its value `value_name`.
    #[must_use]
    pub const fn flag(mut self, name: &'static str, value_name: &'static str) -> Self {
        self.flag = Some((name, value_name));
        self
    }

    /// Allows the setting in the section `[keys]` of a configuration file. `value` is an example in the file's form.
    #[must_use]
    pub const fn example(mut self, value: &'static str) -> Self {
        self.example = Some(value);
        self
    }

    /// The example file sets it, instead of only showing it in a comment.
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

    /// Lets a `.env` file in the folder in which a program starts give it these values.
    #[must_use]
    pub const fn any_folder(mut self, values: AnyFolder) -> Self {
        self.any_folder = values;
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

    /// The service's own environment variables for the setting.
    #[must_use]
    pub const fn variable_names(&self) -> &'static [&'static str] {
        self.variables
    }

    /// The name of the command line flag, without `--`.
    #[must_use]
    pub fn flag_name(&self) -> Option<&'static str> {
        self.flag.map(|(name, _)| name)
    }

    /// The name of the flag's value in help texts.
    #[must_use]
    pub fn value_name(&self) -> Option<&'static str> {
        self.flag.map(|(_, value_name)| value_name)
    }

    /// Whether a configuration file may hold the setting.
    #[must_use]
    pub const fn is_in_file(&self) -> bool {
        self.example.is_some()
    }

    /// The lines of an example file. Empty for settings that a file cannot hold.
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

    /// Whether a `.env` file in the folder in which a program starts may give it this value. The folder can be a stranger's.
    #[must_use]
    pub fn is_for_any_folder(&self, value: &str) -> bool {
        match self.kind {
            SettingKind::List => self.any_folder.accepts(value.split(',').map(str::trim)),
            _ => self.any_folder.accepts([value]),
        }
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
    /// Texts. A variable or flag separates them by commas.
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
    /// A text that says what is wrong with the value. It does not repeat the value.
    pub fn read(self, value: &OsStr) -> Result<SettingValue, String> {
        match self {
            Self::Path => return Ok(SettingValue::Path(value.into())),
            Self::AbsolutePath if Path::new(value).is_absolute() => {
                return Ok(SettingValue::Path(value.into()));
            }
            Self::AbsolutePath => return Err("must be an absolute path".to_owned()),
            _ => {}
        }
        let text = value
            .to_str()
            .ok_or("it is not valid UTF-8; correct its encoding")?;
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

/// The value of a setting.
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

    /// The number. `None` for another kind, and for a number above `usize`.
    #[must_use]
    pub fn into_count(self) -> Option<usize> {
        match self {
            Self::Count(count) => usize::try_from(count).ok(),
            _ => None,
        }
    }
}

/// One row of a service's table: a setting, and the function that puts its value into the service's options `O`.
pub struct SettingRow<O> {
    setting: Setting,
    /// `None` if only variables can set it.
    set: Option<fn(&mut O, SettingValue)>,
    /// Whether its variables have a meaning only together with others, so that the service reads them itself.
    has_combined_variables: bool,
}

impl<O> SettingRow<O> {
    /// A setting that depends on no other.
    #[must_use]
    pub const fn new(setting: Setting, set: fn(&mut O, SettingValue)) -> Self {
        Self {
            setting,
            set: Some(set),
            has_combined_variables: false,
        }
    }

    /// A setting whose variables have a meaning only together with others. The service reads them itself.
    #[must_use]
    pub const fn with_combined_variables(setting: Setting, set: fn(&mut O, SettingValue)) -> Self {
        Self {
            setting,
            set: Some(set),
            has_combined_variables: true,
        }
    }

    /// As [`with_combined_variables`](Self::with_combined_variables), for a setting that only variables can set.
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
    /// The settings, without their functions.
    #[must_use]
    pub fn settings(&self) -> Vec<&'static Setting> {
        self.0.iter().map(|row| &row.setting).collect()
    }

    /// Puts a value into `options`. Returns whether the setting exists.
    pub fn set(&self, options: &mut O, name: &str, value: SettingValue) -> bool {
        let found = self.0.iter().find(|row| row.setting.name == name);
        let set = found.and_then(|row| row.set);
        if let Some(set) = set {
            set(options, value);
        }
        set.is_some()
    }

    /// A copy of `options` with the new value. `None` when the setting does not exist.
    #[must_use]
    pub fn changed(&self, options: &O, name: &str, value: SettingValue) -> Option<O>
    where
        O: Clone,
    {
        let mut changed = options.clone();
        self.set(&mut changed, name, value).then_some(changed)
    }

    /// Puts the values of environment variables into `options`, except those of combined settings.
    ///
    /// # Errors
    /// When the value of a variable is not valid.
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
    fn only_a_list_of_labels_may_have_several() {
        let of = |kind| Setting::new("x", kind, "X.").any_folder(AnyFolder::HostLabels);
        assert!(of(SettingKind::List).is_for_any_folder("us-west-2, eu-west-1"));
        assert!(!of(SettingKind::Text).is_for_any_folder("us-west-2,eu-west-1"));
        assert!(!Setting::new("x", SettingKind::Text, "X.").is_for_any_folder("a"));
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

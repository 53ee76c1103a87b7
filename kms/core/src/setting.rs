//! The settings of a key service, declared once. Configuration files, environment variables, command line flags and the
//! example file come from this table.

mod table;
mod value;

pub use self::{
    table::{SettingRow, SettingTable, Variables},
    value::{SettingKind, SettingValue},
};
use crate::AnyFolder;

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

#[cfg(test)]
mod tests;

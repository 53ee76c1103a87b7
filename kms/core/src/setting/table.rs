//! The table of a service: each setting with the function that puts its value into the service's options.

use std::ffi::OsStr;

use super::{Setting, SettingValue};
use crate::ConfigurationError;

/// Reads an environment variable that is set and not empty.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

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

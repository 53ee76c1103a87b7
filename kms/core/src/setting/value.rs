//! The values of settings, and how they are written.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

/// The largest count.
const MOST: u64 = 1 << 32;

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

//! What a configuration says, and where: for a person who asks what a program runs with.

use std::{collections::BTreeSet, path::PathBuf};

use serde_json::Value;
use toml::de::DeValue;

use super::problem::Place;

/// The settings of a program, and where they came from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Loaded<T> {
    /// The settings.
    pub settings: T,
    /// What the file and the variables say, in the order in which it was read. Values can be secret.
    pub found: Vec<Found>,
    /// The files and folders that settings name.
    pub files: BTreeSet<PathBuf>,
}

impl<T> Loaded<T> {
    pub(super) fn new(settings: T, found: Vec<Found>, files: BTreeSet<PathBuf>) -> Self {
        Self {
            settings,
            found,
            files,
        }
    }
}

/// One setting as the file or a variable has it.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Found {
    /// Its name with its section, such as `server.listen`.
    pub setting: String,
    /// Where it is.
    pub place: Place,
    /// The value, which can be secret. That of a variable is a text.
    pub value: Value,
}

impl Found {
    pub(super) fn new(setting: String, place: Place, value: Value) -> Self {
        Self {
            setting,
            place,
            value,
        }
    }
}

impl std::fmt::Debug for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Found")
            .field("setting", &self.setting)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// A value of a TOML file. A number that JSON does not have, and a time, is its text.
pub(super) fn value(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Boolean(flag) => (*flag).into(),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| number.as_str().into(), Into::into),
        DeValue::Float(number) => number.as_str().into(),
        DeValue::Datetime(time) => time.to_string().into(),
        DeValue::Array(items) => items
            .iter()
            .map(|item| self::value(item.get_ref()))
            .collect(),
        DeValue::Table(table) => {
            let pairs = table
                .iter()
                .map(|(name, item)| (name.get_ref().to_string(), self::value(item.get_ref())));
            Value::Object(pairs.collect())
        }
    }
}

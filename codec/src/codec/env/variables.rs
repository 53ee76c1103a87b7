//! The names of the variables, and how their values are read.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    str::FromStr,
};

use crate::{ConfigurationError, kms::Variables};

pub(super) const NAMESPACE: &str = "TEMPORAL_NAMESPACE";
pub(super) const KEY: &str = "TEMPORAL_CODEC_KEY";
pub(super) const DECRYPT_KEYS: &str = "TEMPORAL_CODEC_DECRYPT_KEYS";
pub(super) const FORMAT: &str = "TEMPORAL_CODEC_FORMAT";
pub(super) const DECRYPT_FORMATS: &str = "TEMPORAL_CODEC_DECRYPT_FORMATS";
pub(super) const CONTEXT: &str = "TEMPORAL_CODEC_CONTEXT";
pub(super) const REQUIRE_CONTEXT: &str = "TEMPORAL_CODEC_REQUIRE_CONTEXT";
pub(super) const PLAINTEXT: &str = "TEMPORAL_CODEC_PLAINTEXT";
pub(super) const STATIC_KEYS: &str = "TEMPORAL_CODEC_STATIC_KEYS";

/// Reads one environment variable; tests put a map in its place.
pub(super) type Lookup<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

/// The items between commas.
pub(super) fn items<T, C: FromIterator<T>>(
    list: &str,
    read: impl FnMut(&str) -> Result<T, ConfigurationError>,
) -> Result<C, ConfigurationError> {
    list.split(',').map(str::trim).map(read).collect()
}

/// Pairs `NAME=VALUE` of a variable, with commas between them.
pub(super) fn pairs(
    variable: &'static str,
    list: &str,
) -> Result<BTreeMap<String, String>, ConfigurationError> {
    let invalid = |reason| Err(ConfigurationError::invalid(variable, reason));
    let mut pairs = BTreeMap::new();
    for pair in list.split(',') {
        let Some((name, value)) = pair.split_once('=') else {
            return invalid(
                "each pair must have the form NAME=VALUE; separate pairs by commas".to_owned(),
            );
        };
        match pairs.entry(name.trim().to_owned()) {
            Entry::Vacant(place) => {
                place.insert(value.trim().to_owned());
            }
            Entry::Occupied(pair) => {
                return invalid(format!(
                    "the pair `{}` is set twice; set it once",
                    pair.key()
                ));
            }
        }
    }
    Ok(pairs)
}

pub(super) fn parsed<T: FromStr<Err = ConfigurationError>>(
    variable: Variables<'_>,
    name: &'static str,
) -> Result<Option<T>, ConfigurationError> {
    variable(name)
        .map(|value| value.parse().map_err(named(name)))
        .transpose()
}

/// Says which variable is at fault.
pub(super) fn named(variable: &'static str) -> impl Fn(ConfigurationError) -> ConfigurationError {
    move |error| ConfigurationError::invalid(variable, error.reason())
}

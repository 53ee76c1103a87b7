//! The variables of the data key cache.

use super::variables::named;
use crate::{CacheLimits, ConfigurationError, kms::Variables};

const DATA_KEYS: &str = "TEMPORAL_CODEC_CACHE_DATA_KEYS";
const TTL: &str = "TEMPORAL_CODEC_CACHE_TTL";

/// The limits that the variables set, and the defaults of the others.
pub(super) fn limits(variable: Variables<'_>) -> Result<CacheLimits, ConfigurationError> {
    let mut limits = CacheLimits::default();
    if let Some(count) = variable(DATA_KEYS) {
        limits.max_keys = count.parse().map_err(|_| {
            ConfigurationError::invalid(DATA_KEYS, "it must be a number, such as 10000")
        })?;
        limits.check().map_err(named(DATA_KEYS))?;
    }
    if let Some(time) = variable(TTL) {
        limits.ttl = humantime::parse_duration(&time).map_err(|_| {
            ConfigurationError::invalid(TTL, "it must be a time with its unit, such as 1h or 30m")
        })?;
        limits.check().map_err(named(TTL))?;
    }
    Ok(limits)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn from(count: &str, time: &str) -> Result<CacheLimits, ConfigurationError> {
        let set = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        limits(&|name| match name {
            DATA_KEYS => set(count),
            TTL => set(time),
            _ => None,
        })
    }

    #[test]
    fn each_variable_sets_its_limit() {
        assert_eq!(from("", "").unwrap(), CacheLimits::default());
        let limits = from("123", "90m").unwrap();
        assert_eq!(
            (limits.max_keys, limits.ttl),
            (123, Duration::from_mins(90))
        );
    }

    #[test]
    fn values_that_cannot_work_are_refused_with_their_variable() {
        for (count, time, variable) in [
            ("many", "", DATA_KEYS),
            ("0", "", DATA_KEYS),
            ("-1", "", DATA_KEYS),
            ("18446744073709551615", "", DATA_KEYS),
            ("", "60", TTL),
            ("", "0s", TTL),
            ("", "500000000000y", TTL),
            ("", "18446744073709551615s", TTL),
        ] {
            let error = from(count, time).unwrap_err();
            assert_eq!(error.setting(), variable, "{count} {time}: {error}");
        }
    }
}

//! The variables of the cache of data keys.

use std::time::Duration;

use super::Variables;
use crate::{CacheLimits, ConfigurationError};

const DATA_KEYS: &str = "TEMPORAL_CODEC_CACHE_DATA_KEYS";
const TTL: &str = "TEMPORAL_CODEC_CACHE_TTL";

pub(super) fn limits(variable: Variables<'_>) -> Result<CacheLimits, ConfigurationError> {
    let mut limits = CacheLimits::default();
    if let Some(text) = variable(DATA_KEYS) {
        let count = text.parse().ok().filter(|count| *count > 0);
        limits.max_keys = count.ok_or_else(|| {
            ConfigurationError::invalid(DATA_KEYS, "it must be a whole number above zero")
        })?;
    }
    if let Some(text) = variable(TTL) {
        limits.ttl = duration(&text).ok_or_else(|| {
            ConfigurationError::invalid(
                TTL,
                "it must be a time above zero with its unit, such as 90s, 30m or 1h",
            )
        })?;
    }
    limits.check()?;
    Ok(limits)
}

/// A whole number of seconds, minutes, hours or days.
fn duration(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let number: u64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return None,
    };
    let duration = Duration::from_secs(number.checked_mul(seconds)?);
    (!duration.is_zero()).then_some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(data_keys: &str, ttl: &str) -> Result<CacheLimits, String> {
        let variable = |name: &str| match name {
            DATA_KEYS => Some(data_keys.to_owned()),
            TTL => Some(ttl.to_owned()),
            _ => None,
        };
        limits(&variable).map_err(|error| error.to_string())
    }

    #[test]
    fn the_cache_of_data_keys_is_set_by_variables() {
        let limits = read("7", "90m").unwrap();
        assert_eq!(limits.max_keys, 7);
        assert_eq!(limits.ttl, Duration::from_mins(90));
    }

    #[test]
    fn what_is_wrong_names_its_variable() {
        for bad in ["0", "-1", "many", "18446744073709551616"] {
            let error = read(bad, "1h").unwrap_err();
            assert!(error.starts_with(DATA_KEYS), "{bad}: {error}");
        }
        for bad in ["0s", "1", "h", "1w", "-1h", "99999999999999999999d"] {
            let error = read("1", bad).unwrap_err();
            assert!(error.starts_with(TTL), "{bad}: {error}");
        }
    }
}

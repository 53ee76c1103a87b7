//! How single values are written.

use std::{fmt::Display, str::FromStr, time::Duration};

use temporal_kms_codec_service::units;

/// Longer than anything that is waited for, and short enough to be added to any time.
const LONGEST: Duration = Duration::from_hours(366 * 24);

/// Anything that knows how to parse itself.
pub(super) fn any<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

pub(super) fn flag(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

/// A number of things, at least one.
pub(super) fn count(text: &str) -> Result<usize, String> {
    const MOST: usize = 1 << 32;
    match text.parse() {
        Ok(count @ 1..=MOST) => Ok(count),
        _ => Err(format!("expected a whole number from 1 to {MOST}")),
    }
}

/// A time such as `500ms`, `30s` or `1h 30m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    units::time(text, LONGEST)
}

/// A time that is more than none.
pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    units::time_above_zero(text, LONGEST)
}

/// A number of bytes such as `4MiB`, at least one.
pub(crate) fn bytes(text: &str) -> Result<usize, String> {
    let size = units::size(text)?;
    usize::try_from(size.as_u64()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn huge_and_empty_values_are_refused() {
        for bad in ["367days", "584942417355y", "30", ""] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert_eq!(duration("1h 30m"), Ok(Duration::from_mins(90)));
        assert!(timeout("0s").is_err());
        assert!(bytes("0").is_err());
        assert_eq!(bytes("1TiB"), Ok(1 << 40));
        for bad in ["0", "4294967297", "18446744073709551615", "-1", "1.5", ""] {
            assert!(count(bad).is_err(), "{bad}");
        }
    }
}

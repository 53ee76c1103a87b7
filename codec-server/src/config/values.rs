//! How single values are written.

use std::{fmt::Display, str::FromStr, time::Duration};

use bytesize::ByteSize;

/// Longer than anything that is waited for, and short enough to be added to any time.
const LONGEST: Duration = Duration::from_hours(366 * 24);
/// More bytes than any limit needs.
const MOST_BYTES: u64 = 1 << 40;

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
    match humantime::parse_duration(text) {
        Ok(duration) if duration <= LONGEST => Ok(duration),
        Ok(_) | Err(humantime::DurationError::NumberOverflow) => {
            Err("it must be at most 366 days".to_owned())
        }
        Err(_) => {
            Err("expected a time with its unit, such as \"500ms\", \"30s\" or \"1h\"".to_owned())
        }
    }
}

/// A time that is more than none.
pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("it must be more than zero".to_owned()),
        timeout => Ok(timeout),
    }
}

/// A number of bytes such as `4MiB`, at least one.
pub(crate) fn bytes(text: &str) -> Result<usize, String> {
    match text.parse::<ByteSize>().map(|size| size.as_u64()) {
        Ok(size @ 1..=MOST_BYTES) => usize::try_from(size).map_err(|error| error.to_string()),
        Ok(1..) => Err("it must be at most 1TiB".to_owned()),
        _ => Err("expected a size above zero, such as 4194304 or \"4MiB\"".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn huge_and_empty_values_are_refused() {
        for bad in [
            "367days",
            "99999999999999999999y",
            "584942417355y",
            "30",
            "-1s",
            "",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert_eq!(duration("1h 30m"), Ok(Duration::from_mins(90)));
        assert!(timeout("0s").is_err());
        for bad in [
            "0",
            "2TiB",
            "18446744073709551616",
            "9EiB",
            "-1",
            "",
            "lots",
        ] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
        assert_eq!(bytes("1TiB"), Ok(1 << 40));
        for bad in ["0", "4294967297", "18446744073709551615", "-1", "1.5", ""] {
            assert!(count(bad).is_err(), "{bad}");
        }
    }
}

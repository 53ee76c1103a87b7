//! Parsers of single values. Their errors are texts for the user.

use std::{
    fmt::Display,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use crate::units;

/// No wait is longer, and it can be added to any time.
const LONGEST: Duration = Duration::from_hours(366 * 24);

/// A value of a type with its own parser.
///
/// # Errors
/// What its parser says.
pub fn any<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

/// `true` or `false`.
///
/// # Errors
/// For any other text.
pub fn flag(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

/// A number of things, at least one.
///
/// # Errors
/// When it is not a number from 1 to 2³².
pub fn count(text: &str) -> Result<usize, String> {
    const MOST: usize = 1 << 32;
    match text.parse() {
        Ok(count @ 1..=MOST) => Ok(count),
        _ => Err(format!("expected a whole number from 1 to {MOST}")),
    }
}

/// A time such as `500ms`, `30s` or `1h 30m`, at most 366 days.
///
/// # Errors
/// When it is not a time, or too long.
pub fn duration(text: &str) -> Result<Duration, String> {
    units::time(text, LONGEST)
}

/// A time above zero, at most 100 years: for the age of something.
///
/// # Errors
/// When it is not a time, zero, or too long.
pub fn long_time(text: &str) -> Result<Duration, String> {
    const LONGEST: Duration = Duration::from_hours(100 * 366 * 24);
    units::time_above_zero(text, LONGEST)
}

/// A time above zero, at most 366 days.
///
/// # Errors
/// As [`duration`], and for zero.
pub fn timeout(text: &str) -> Result<Duration, String> {
    units::time_above_zero(text, LONGEST)
}

/// A number of bytes such as `4MiB`, at least one.
///
/// # Errors
/// When it is not a size, zero, or too large.
pub fn bytes(text: &str) -> Result<usize, String> {
    let size = units::size(text)?;
    usize::try_from(size.as_u64()).map_err(|error| error.to_string())
}

/// A number of things that are allowed at the same time, at least one.
///
/// # Errors
/// As [`count`], and for more than a [semaphore](tokio::sync::Semaphore) can count.
pub fn permits(text: &str) -> Result<usize, String> {
    const MOST: usize = tokio::sync::Semaphore::MAX_PERMITS;
    match count(text)? {
        count if count > MOST => Err(format!("it must be at most {MOST}")),
        count => Ok(count),
    }
}

/// An absolute path. A relative one would depend on where the program is started.
///
/// # Errors
/// For a relative path.
pub fn absolute_path(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    if path.is_absolute() {
        return Ok(path.to_owned());
    }
    Err("expected an absolute path, which begins with /".to_owned())
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

//! How single values are written.

use std::{fmt::Display, str::FromStr, time::Duration};

use bytesize::ByteSize;

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
    match text.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err("expected a whole number above zero".to_owned()),
    }
}

/// A time such as `500ms`, `30s` or `1h 30m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| {
        "expected a time with its unit, such as \"500ms\", \"30s\" or \"1h\"".to_owned()
    })
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
    let size = text
        .parse::<ByteSize>()
        .ok()
        .filter(|size| size.as_u64() > 0);
    size.and_then(|size| usize::try_from(size.as_u64()).ok())
        .ok_or_else(|| "expected a size above zero, such as 4194304 or \"4MiB\"".to_owned())
}

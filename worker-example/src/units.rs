//! Times and sizes on the command line, written as everywhere in this project: `20s`, `512MiB`.

use std::time::Duration;

use bytesize::ByteSize;

/// The longest time that an option takes. Longer ones are typing errors, and would overflow clocks.
const LONGEST: Duration = Duration::from_hours(7 * 24);
/// The largest size that an option takes.
const LARGEST: u64 = 1 << 40;

/// A time of at most 7 days; zero is allowed.
///
/// # Errors
/// When it is not a time, or too long.
pub(crate) fn pause(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if time <= LONGEST => Ok(time),
        Ok(_) => Err("the longest time allowed is 7d".to_owned()),
        Err(_) => Err("expected a time with its unit, such as 500ms, 20s or 1h".to_owned()),
    }
}

/// A time above zero and of at most 7 days.
///
/// # Errors
/// When it is not a time, zero, or too long.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    match pause(text)? {
        Duration::ZERO => Err("it must be more than zero".to_owned()),
        time => Ok(time),
    }
}

/// A number of bytes above zero and of at most 1 TiB.
///
/// # Errors
/// When it is not a size, zero, or too large.
pub(crate) fn size(text: &str) -> Result<ByteSize, String> {
    match text.parse::<ByteSize>() {
        Ok(size) if (1..=LARGEST).contains(&size.as_u64()) => Ok(size),
        Ok(_) => Err("expected a size from 1B to 1TiB".to_owned()),
        Err(_) => Err("expected a size with its unit, such as 512MiB".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units_and_bounds() {
        assert_eq!(time("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(pause("0s"), Ok(Duration::ZERO));
        for bad in [
            "",
            "15",
            "0s",
            "8d",
            "-1s",
            "18446744073709551615s",
            "99999999999999999999y",
        ] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_have_bounds() {
        assert_eq!(size("512MiB"), Ok(ByteSize::mib(512)));
        for bad in [
            "",
            "0",
            "0MiB",
            "-1",
            "2TiB",
            "99999999999999999999EiB",
            "x",
        ] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}

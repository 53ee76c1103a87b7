//! Times and sizes as people write them, in arguments and configurations: `20s`, `512MiB`.

use std::time::Duration;

use bytesize::ByteSize;
use humantime::DurationError;

/// No limit needs more.
const LARGEST: u64 = 1 << 40;

/// A time of at most `longest`, such as `500ms`, `30s` or `1h 30m`. Zero is allowed.
///
/// # Errors
/// When it is not a time, or too long. The text is for the user and names neither the value nor its place.
pub fn time(text: &str, longest: Duration) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if time <= longest => Ok(time),
        Ok(_) | Err(DurationError::NumberOverflow) => {
            let days = longest.as_secs() / (24 * 60 * 60);
            Err(format!("it must be at most {days} days"))
        }
        Err(_) => Err("expected a time with its unit, such as 500ms, 30s or 1h".to_owned()),
    }
}

/// As [`time`], and more than zero.
///
/// # Errors
/// As [`time`], and for zero.
pub fn time_above_zero(text: &str, longest: Duration) -> Result<Duration, String> {
    match time(text, longest)? {
        Duration::ZERO => Err("it must be more than zero".to_owned()),
        time => Ok(time),
    }
}

/// A number of bytes from 1 B to 1 TiB, such as `4194304` or `4MiB`.
///
/// # Errors
/// When it is not a size, zero, or too large. The text is for the user.
pub fn size(text: &str) -> Result<ByteSize, String> {
    match text.parse::<ByteSize>() {
        Ok(size) if (1..=LARGEST).contains(&size.as_u64()) => Ok(size),
        Ok(size) if size.as_u64() > LARGEST => Err("it must be at most 1TiB".to_owned()),
        _ => Err("expected a size above zero, such as 4194304 or 4MiB".to_owned()),
    }
}

/// Whole days as people say them, such as `90d`; other times in seconds. humantime would turn 90 days into months.
#[must_use]
pub fn days(time: Duration) -> String {
    const DAY: u64 = 24 * 60 * 60;
    match time.as_secs() {
        seconds if seconds % DAY == 0 => format!("{}d", seconds / DAY),
        seconds => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEEK: Duration = Duration::from_hours(7 * 24);

    #[test]
    fn times_have_units_and_bounds() {
        assert_eq!(time_above_zero("1m 30s", WEEK), Ok(Duration::from_secs(90)));
        assert_eq!(time("0s", WEEK), Ok(Duration::ZERO));
        assert_eq!(time("7d", WEEK), Ok(WEEK));
        for long in ["8d", "18446744073709551615s", "99999999999999999999y"] {
            assert_eq!(
                time(long, WEEK),
                Err("it must be at most 7 days".to_owned()),
                "{long}"
            );
        }
        for bad in ["", "15", "0s", "-1s", "s"] {
            assert!(time_above_zero(bad, WEEK).is_err(), "{bad}");
        }
    }

    #[test]
    fn whole_days_stay_days() {
        assert_eq!(days(WEEK * 13), "91d");
        assert_eq!(days(WEEK + Duration::from_secs(1)), "604801s");
    }

    #[test]
    fn sizes_have_bounds() {
        assert_eq!(size("512MiB"), Ok(ByteSize::mib(512)));
        assert_eq!(size("1TiB"), Ok(ByteSize::tib(1)));
        assert!(size("2TiB").unwrap_err().contains("at most 1TiB"));
        for bad in [
            "",
            "0",
            "0MiB",
            "-1",
            "9EiB",
            "18446744073709551616",
            "99999999999999999999EiB",
            "lots",
        ] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}

//! The time of log lines.
//!
//! A server writes many lines within a second. The part of the time that stays the same is formatted once in a second.

use std::{
    cell::Cell,
    fmt::{self, Write},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tracing_subscriber::fmt::{format::Writer, time::FormatTime};

/// The length of `2026-11-27T10:47:06`.
const SECONDS: usize = 19;

/// A second, and its text.
#[derive(Clone, Copy)]
struct Second {
    number: u64,
    text: [u8; SECONDS],
}

thread_local! {
    static LAST: Cell<Option<Second>> = const { Cell::new(None) };
}

/// The time in UTC, as the library writes it: `2026-11-27T10:47:06.123456Z`.
#[derive(Clone, Copy, Debug)]
pub(super) struct UtcTime;

impl FormatTime for UtcTime {
    fn format_time(&self, out: &mut Writer<'_>) -> fmt::Result {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        write(out, since.map_err(|_| fmt::Error)?)
    }
}

fn write(out: &mut impl Write, since_1970: Duration) -> fmt::Result {
    let number = since_1970.as_secs();
    let second = match LAST.get().filter(|last| last.number == number) {
        Some(last) => last,
        None => Second::new(number)?,
    };
    LAST.set(Some(second));
    out.write_str(std::str::from_utf8(&second.text).map_err(|_| fmt::Error)?)?;
    write!(out, ".{:06}Z", since_1970.subsec_micros())
}

impl Second {
    /// No text after the year 9999.
    fn new(number: u64) -> Result<Self, fmt::Error> {
        let time = UNIX_EPOCH.checked_add(Duration::from_secs(number));
        let mut text = String::new();
        let shown = humantime::format_rfc3339_seconds(time.ok_or(fmt::Error)?);
        write!(text, "{shown}")?;
        let text = text.as_bytes().first_chunk().ok_or(fmt::Error)?;
        Ok(Self {
            number,
            text: *text,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first second of the year 10000.
    const END: u64 = 253_402_300_800;

    #[test]
    fn times_are_those_of_humantime() {
        // A second, the same again, the next one, and one that is far away.
        let seconds = (0..END).step_by(86_399 * 401).chain([951_782_399, END - 2]);
        for second in seconds.flat_map(|second| [second, second, second + 1]) {
            for nanos in [0, 999, 1000, 123_456_789, 999_999_999] {
                let since = Duration::new(second, nanos);
                let mut text = String::new();
                write(&mut text, since).unwrap();
                let expected = humantime::format_rfc3339_micros(UNIX_EPOCH + since);
                assert_eq!(text, expected.to_string());
            }
        }
    }

    #[test]
    fn a_clock_that_is_far_off_has_no_time() {
        for seconds in [END, u64::MAX] {
            let mut text = String::new();
            assert!(write(&mut text, Duration::from_secs(seconds)).is_err());
        }
    }
}

//! Times and sizes on the command line, within the limits of this program.

use std::time::Duration;

use temporal_kms_codec_service::units;

pub(super) use units::size;

/// The longest time that an option accepts. A longer one is a typing error.
const LONGEST: Duration = Duration::from_hours(7 * 24);

/// The longest time for which an option keeps files.
const LONGEST_RETENTION: Duration = Duration::from_hours(100 * 366 * 24);

/// A time of at most 7 days. Zero is allowed.
///
/// # Errors
/// When it is not a time, or too long.
pub(super) fn pause(text: &str) -> Result<Duration, String> {
    units::time(text, LONGEST)
}

/// A time of at most a hundred years. Zero is allowed.
///
/// # Errors
/// When it is not a time, or too long.
pub(super) fn retention(text: &str) -> Result<Duration, String> {
    units::time(text, LONGEST_RETENTION)
}

/// A time above zero and of at most 7 days.
///
/// # Errors
/// When it is not a time, zero, or too long.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    units::time_above_zero(text, LONGEST)
}

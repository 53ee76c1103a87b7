//! Times and sizes on the command line, with the bounds of this program.

use std::time::Duration;

use temporal_kms_codec_service::units;

pub(crate) use units::size;

/// The longest time that an option takes. Longer ones are typing errors.
const LONGEST: Duration = Duration::from_hours(7 * 24);

/// A time of at most 7 days; zero is allowed.
///
/// # Errors
/// When it is not a time, or too long.
pub(crate) fn pause(text: &str) -> Result<Duration, String> {
    units::time(text, LONGEST)
}

/// A time above zero and of at most 7 days.
///
/// # Errors
/// When it is not a time, zero, or too long.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    units::time_above_zero(text, LONGEST)
}

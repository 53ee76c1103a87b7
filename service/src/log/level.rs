//! What is logged: a level, also for parts of the program.

use std::{fmt, str::FromStr};

/// The levels, from the fewest lines to the most.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
/// No level is longer.
const MOST: usize = 1000;

/// What is logged, such as `info`, or `warn,temporal_kms=debug` with another level for one part of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLevel(String);

impl LogLevel {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LogLevel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_level = |text: &str| LEVELS.contains(&text);
        let is_part = |name: &str| {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-:".contains(&byte);
            !name.is_empty() && name.bytes().all(is_plain)
        };
        let is_directive = |text: &str| match text.split_once('=') {
            Some((part, level)) => is_part(part) && is_level(level),
            None => is_level(text),
        };
        if text.len() <= MOST && text.split(',').all(is_directive) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!(
            "expected a level ({}), or several with commas, such as \"info,temporal_kms=debug\"",
            LEVELS.join(", ")
        ))
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_not_a_level_is_refused() {
        for good in ["info", "off", "warn,temporal_kms=debug", "a::b=trace,error"] {
            assert_eq!(good.parse::<LogLevel>().unwrap().to_string(), good);
        }
        // The library would take the first one for the name of a part, and log all of it.
        for bad in [
            "verbose",
            "",
            "INFO",
            "info,",
            "a=b",
            "=info",
            "a[b]=info",
            "info;debug",
        ] {
            assert!(bad.parse::<LogLevel>().is_err(), "{bad}");
        }
    }
}

//! What is wrong with a configuration, and where.

use std::fmt;

use serde::Serialize;

/// All mistakes of one configuration, in the order of the file.
#[derive(Clone, Debug, Serialize)]
pub struct Problems {
    /// The file that was read.
    pub file: String,
    /// At least one.
    pub problems: Vec<Problem>,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The line or the variable; `None` for the whole file.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// The setting, such as `server.listen`; empty for the whole file.
    pub setting: String,
    /// What is wrong, and what to do.
    pub message: String,
}

/// Where a setting came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// Line of the file, counted from 1.
    Line(usize),
    /// An environment variable.
    Variable(String),
}

/// A mistake in a valid setting that does not fit another one, such as a limit below another limit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The setting with its section, such as `server.admin_listen`.
    pub setting: String,
    /// What is wrong, and what to do.
    pub message: String,
    /// Other settings that the fault may follow from. When one of them has a mistake, only that mistake is reported.
    pub follows_from: Vec<String>,
}

impl Fault {
    /// A fault in `setting`.
    pub fn new(setting: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            setting: setting.into(),
            message: message.into(),
            follows_from: Vec::new(),
        }
    }

    /// Adds another setting that the fault may follow from.
    #[must_use]
    pub fn following_from(mut self, setting: impl Into<String>) -> Self {
        self.follows_from.push(setting.into());
        self
    }
}

impl Problems {
    /// The problems of settings that were not read from a file.
    ///
    /// # Errors
    /// All faults, if there are any.
    pub fn of_faults(faults: impl IntoIterator<Item = Fault>) -> Result<(), Self> {
        let problems = Self::from_faults(faults);
        if problems.problems.is_empty() {
            return Ok(());
        }
        Err(problems)
    }

    /// The problems of settings that were not read from a file.
    #[must_use]
    pub fn from_faults(faults: impl IntoIterator<Item = Fault>) -> Self {
        let problem = |fault: Fault| Problem::new(None, fault.setting, &fault.message);
        Self {
            file: String::new(),
            problems: faults.into_iter().map(problem).collect(),
        }
    }
}

impl Problem {
    /// A mistake. `message` may repeat values of the file, so what controls a terminal is escaped in it.
    pub(super) fn new(place: Option<Place>, setting: String, message: &str) -> Self {
        let mut printable = String::with_capacity(message.len());
        for c in message.chars() {
            if c.is_control() && c != '\n' {
                printable.extend(c.escape_debug());
            } else {
                printable.push(c);
            }
        }
        Self {
            place,
            setting,
            message: printable,
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            match &problem.place {
                Some(Place::Line(line)) => write!(f, "{}:{line}: ", self.file)?,
                Some(Place::Variable(name)) => write!(f, "{name}: ")?,
                None if self.file.is_empty() => {}
                None => write!(f, "{}: ", self.file)?,
            }
            if !problem.setting.is_empty() {
                write!(f, "{}: ", problem.setting)?;
            }
            f.write_str(&problem.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_steers_no_terminal() {
        let message = "`0.0\r\u{1b}[2J` is not ADDRESS:PORT\nö";
        let problem = Problem::new(None, "listen".to_owned(), message);
        assert_eq!(problem.message, "`0.0\\r\\u{1b}[2J` is not ADDRESS:PORT\nö");
    }
}

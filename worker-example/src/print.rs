//! Lines for people and programs. A reader that has gone away is no reason to stop: the task goes
//! on, and its end still decides the exit code.

use std::io::{Write as _, stderr, stdout};

/// A line on standard output.
pub(crate) fn line(text: &str) {
    let mut out = stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// A line on standard error.
pub(crate) fn note(text: &str) {
    let _ = writeln!(stderr().lock(), "{text}");
}

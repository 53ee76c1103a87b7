//! Prints lines. A reader that has gone away is not an error: the task continues, and the exit code still tells its end.

use std::io::{Write as _, stderr, stdout};

/// Prints a line on standard output.
pub(crate) fn line(text: &str) {
    let mut out = stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Prints a line on standard error.
pub(crate) fn note(text: &str) {
    let _ = writeln!(stderr().lock(), "{text}");
}

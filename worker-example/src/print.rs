//! Prints lines. A reader that has gone away is not an error: the task continues, and the exit code still tells its end.
//!
//! A line of `submit` and `follow` on standard error begins with the task that it is about, or with `warning:`, `error:` or
//! `note:`.

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

/// Prints on standard error what may be a mistake. `text` must be safe for a terminal.
pub(crate) fn warning(text: &str) {
    note(&format!("warning: {text}"));
}

/// Prints on standard error why something failed. `text` must be safe for a terminal.
pub(crate) fn error(text: &str) {
    note(&format!("error: {text}"));
}

//! Prints lines. A reader that has gone away is not an error: the task continues, and the exit code still tells its end.
//!
//! A line of `submit` and `follow` on standard error begins with the task that it is about, or with `warning:`, `error:` or
//! `note:`.

use std::io::{Write as _, stderr, stdout};

use temporal_kms_codec_service::terminal;

/// Prints a line on standard output.
pub(crate) fn line(text: &str) {
    let mut out = stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Prints on standard error, such as `task t-1 started`. `text` begins with its label. Words from outside can be in it: they
/// cannot steer the terminal, and only the first line begins at the margin, so that they cannot look like another line of
/// this program.
pub(crate) fn note(text: &str) {
    let _ = writeln!(stderr().lock(), "{}", shown(text));
}

/// Prints on standard error behind a label, such as `note`.
pub(crate) fn labelled(label: &str, text: &str) {
    note(&format!("{label}: {text}"));
}

/// Prints on standard error what may be a mistake.
pub(crate) fn warning(text: &str) {
    labelled("warning", text);
}

/// Prints on standard error why something failed.
pub(crate) fn error(text: &str) {
    labelled("error", text);
}

/// A text that is safe for a terminal. The lines behind the first one begin with spaces.
fn shown(text: &str) -> String {
    let safe = terminal::lines(text);
    safe.trim_end_matches('\n').replace('\n', "\n  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_line_begins_at_the_margin() {
        for (text, expected) in [
            ("task t-1 started", "task t-1 started"),
            ("queue \u{1b}[2J", "queue \u{fffd}[2J"),
            (
                "error: no\ntask t-1 completed: 3 events\n\nwarning: x\n",
                "error: no\n  task t-1 completed: 3 events\n  \n  warning: x",
            ),
        ] {
            assert_eq!(shown(text), expected);
        }
    }
}

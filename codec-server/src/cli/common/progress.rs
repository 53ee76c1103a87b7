//! Progress bars on a terminal.

use std::io::{self, IsTerminal as _};

use indicatif::{ProgressBar, ProgressStyle};

/// Progress in bytes: of `len` bytes, or of an unknown number.
pub(crate) fn bytes(quiet: bool, len: Option<u64>) -> ProgressBar {
    match len {
        Some(len) => bar(
            quiet,
            || ProgressBar::new(len),
            "{wide_bar} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}",
        ),
        None => bar(
            quiet,
            ProgressBar::new_spinner,
            "{spinner} {bytes} {binary_bytes_per_sec} {elapsed}",
        ),
    }
}

/// Progress in a number of things that is not known before.
pub(crate) fn count(quiet: bool, what: &str) -> ProgressBar {
    let template = format!("{{spinner}} {{human_pos}} {what} {{per_sec}} {{elapsed}}");
    bar(quiet, ProgressBar::new_spinner, &template)
}

fn bar(quiet: bool, make: impl FnOnce() -> ProgressBar, template: &str) -> ProgressBar {
    if quiet || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    match ProgressStyle::with_template(template) {
        Ok(style) => make().with_style(style),
        Err(_) => make(),
    }
}

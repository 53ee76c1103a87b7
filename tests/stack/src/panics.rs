//! What a program shows of a panic.

use std::process::Output;

use crate::Forms;

/// The message of a panic, which nobody may see.
pub const PANIC_SECRET: &str = "correct-horse-battery-staple";

/// Checks what a process printed that panicked with [`PANIC_SECRET`] in `file` after `program` had begun: the place and the version,
/// and not the message.
///
/// # Panics
/// It printed something else.
pub fn assert_panic_is_told(output: &Output, program: &str, file: &str, version: &str) {
    for shown in [&output.stdout, &output.stderr] {
        assert_eq!(Forms::of(PANIC_SECRET.as_bytes()).find_in(shown), None);
    }
    let told = String::from_utf8_lossy(&output.stderr);
    let place = format!("{program}: error: the program panicked at {file}:");
    assert!(told.contains(&place), "{told}");
    assert!(told.contains(version), "{told}");
}

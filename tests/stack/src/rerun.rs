//! A test of the running test program once more, in a process of its own: for a test that ends its process, or changes it.

use std::{
    env, io,
    process::{Command, Output},
};

/// Only the other process has this variable.
const MARK: &str = "DEV_SERVERS_RERUN";

/// Runs one test of this program in a process of its own, and returns what it printed. `test` is its full name.
///
/// # Errors
/// The process cannot be started.
pub fn rerun(test: &str) -> io::Result<Output> {
    Command::new(env::current_exe()?)
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(MARK, "")
        .output()
}

/// Whether [`rerun`] started this process. The test that it runs does nothing elsewhere.
#[must_use]
pub fn is_rerun() -> bool {
    env::var_os(MARK).is_some()
}

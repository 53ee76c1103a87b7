//! What a program says when it panics: the place, and never the message of the panic. That can hold a value.

use std::{
    io::{self, Write as _},
    panic::{self, PanicHookInfo},
    thread,
};

/// Has every panic of this process told on stderr, in one line with its place and its thread. A panic ends what it ended
/// before: its thread, its task or the program.
///
/// `program` and `version` are for the report of the defect. A program calls this before everything else.
pub fn install(program: &'static str, version: &'static str) {
    panic::set_hook(Box::new(move |panic: &PanicHookInfo<'_>| {
        let line = line(program, version, panic);
        // The log itself can be what panics, so this line does not go through it. `eprintln` would panic without a reader.
        let _ = io::stderr().write_all(line.as_bytes());
    }));
}

fn line(program: &str, version: &str, panic: &PanicHookInfo<'_>) -> String {
    let place = panic.location().map_or_else(
        || "an unknown place".to_owned(),
        |location| format!("{}:{}", location.file(), location.line()),
    );
    let thread = thread::current();
    let thread = thread.name().unwrap_or("without a name");
    format!(
        "{program}: error: the program panicked at {place} in thread {thread}, which is a defect. Report it with this place \
         and version {version}. The message of the panic is not shown, because it can hold a secret.\n"
    )
}

#[cfg(test)]
mod tests {
    use dev_servers::{Forms, PANIC_SECRET as SECRET, is_rerun, rerun};
    use tokio::runtime::Runtime;

    use super::*;
    use crate::exit::Failure;

    /// Panics as an assertion does, whose message holds the values.
    fn fail(expected: &str) {
        assert_eq!(SECRET, expected, "{SECRET} is not {expected}");
    }

    #[test]
    fn panics_in_a_process_of_its_own() {
        if !is_rerun() {
            return;
        }
        install("program", "1.2.3");
        let runtime = Runtime::new().unwrap();
        let ended = runtime.block_on(runtime.spawn(async { fail("a task") }));
        println!("the program goes on: {}", Failure::from(ended.unwrap_err()));
        fail("the thread of the test");
    }

    #[test]
    fn a_panic_is_told_with_its_place_and_without_its_message() {
        let output = rerun("panics::tests::panics_in_a_process_of_its_own").unwrap();
        let [stdout, stderr] =
            [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
        for shown in [&stdout, &stderr] {
            assert_eq!(
                Forms::of(SECRET.as_bytes()).find_in(shown.as_bytes()),
                None,
                "{shown}"
            );
        }
        assert_eq!(output.status.code(), Some(101), "{stdout}{stderr}");
        assert!(
            stdout.contains("the program goes on: task panicked"),
            "{stdout}{stderr}"
        );
        let beginning = format!("program: error: the program panicked at {}:", file!());
        let told: Vec<_> = stderr
            .lines()
            .filter(|line| line.starts_with(&beginning))
            .collect();
        assert_eq!(told.len(), 2, "{stderr}");
        assert!(
            told.iter().all(|line| line.contains("version 1.2.3")),
            "{told:?}"
        );
    }
}

//! Configurations of the task service: a mistake has a line of the file, and every text can be printed.

#![no_main]

use claude_tasks::fuzzing::{Place, mistakes};
use fuzz::is_printable;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let lines = text.split('\n').count();
    let found = mistakes(text);
    assert_eq!(found, mistakes(text));
    for problem in found {
        assert!(is_printable(&problem.setting), "{:?}", problem.setting);
        assert!(is_printable(&problem.message), "{:?}", problem.message);
        if let Some(Place::Line(line)) = problem.place {
            assert!((1..=lines).contains(&line), "{line} of {lines}");
        }
    }
});

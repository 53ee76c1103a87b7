//! Configurations of the codec server: a mistake has a line of the file, and every text can be printed.

#![no_main]

use fuzz::is_printable;
use libfuzzer_sys::fuzz_target;
use temporal_kms_codec_server::config::{Config, Place};

fuzz_target!(|text: &str| {
    let lines = text.split('\n').count();
    match Config::parse(text) {
        Ok(config) => {
            let again = Config::parse(text).map(|again| format!("{again:?}"));
            assert_eq!(again, Ok(format!("{config:?}")));
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in problems {
                if let Some(Place::Line(line)) = problem.place {
                    assert!((1..=lines).contains(&line), "{line} of {lines}");
                }
                assert!(is_printable(&problem.setting), "{:?}", problem.setting);
                assert!(is_printable(&problem.message), "{:?}", problem.message);
            }
        }
    }
});

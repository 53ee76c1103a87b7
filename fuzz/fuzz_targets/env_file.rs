//! `.env` files: a setting that is written is read again, and every other variable keeps its value.

#![no_main]

use libfuzzer_sys::fuzz_target;
use temporal_kms_codec_server::cli::fuzzing::with_setting;
use temporal_kms_codec_service::dotenv::{split_entry, variables};

const NAME: &str = "NEW_NAME";

fuzz_target!(|input: (&str, &str)| {
    let (value, text) = input;
    let mut rest = text;
    while !rest.is_empty() {
        let (entry, after) = split_entry(rest);
        assert!(!entry.is_empty());
        rest = after;
    }
    let before = variables(text);
    for value in [value, "gcp-kms://projects/p/locations/l"] {
        let Some(edited) = with_setting(text, NAME, value) else {
            continue;
        };
        assert_eq!(with_setting(&edited, NAME, value).as_ref(), Some(&edited));
        // A text with a mistake may keep it.
        let Some(before) = &before else { continue };
        let after = variables(&edited).expect("it had no mistake before");
        let of_name = after.iter().filter(|(name, _)| name == NAME);
        assert!(of_name.map(|(_, value)| value.as_str()).eq([value]));
        let others = |all: &[(String, String)]| -> Vec<_> {
            all.iter()
                .filter(|(name, _)| name != NAME)
                .cloned()
                .collect()
        };
        assert_eq!(others(&after), others(before));
    }
});

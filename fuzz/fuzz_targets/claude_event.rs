//! Lines that Claude Code prints: each becomes one line of JSON, and none can pass for an event of the worker.

#![no_main]

use claude_tasks::fuzzing::event;
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

/// More than a result's text, in JSON.
const MOST_TEXT: usize = (1 << 20) + 16;

fuzz_target!(|line: &str| {
    let (json, kind, result) = event(line);
    let fields: Map<String, Value> = serde_json::from_str(&json).expect("it is a JSON object");
    for (name, value) in &fields {
        assert!(
            !name.eq_ignore_ascii_case("type") || value != "claude_tasks",
            "{json}"
        );
    }
    let own = fields
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    assert_eq!(kind, own);
    if json == line.trim() {
        assert_eq!(
            serde_json::from_str::<Value>(line).ok().as_ref(),
            Some(&Value::Object(fields.clone()))
        );
    } else {
        assert_eq!(kind, "text");
        assert_eq!(fields.get("content").and_then(Value::as_str), Some(line));
        assert!(!json.contains('\n'));
    }
    assert_eq!(result.is_some(), kind == "result");
    if let Some(result) = result {
        assert_eq!(
            result.is_error,
            fields.get("is_error") != Some(&Value::Bool(false))
        );
        let whole = fields.get("result").and_then(Value::as_str);
        assert_eq!(result.text.is_some(), whole.is_some());
        if let (Some(text), Some(whole)) = (result.text, whole) {
            let length = serde_json::to_string(&text)
                .expect("text has a form in JSON")
                .len();
            assert!(length <= MOST_TEXT && whole.starts_with(text.trim_end_matches('…')));
        }
    }
});

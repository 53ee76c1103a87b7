//! Requests of tasks: a request that is accepted is accepted again by the worker, and no error shows a value.

#![no_main]

use claude_tasks::{RequestRules, TaskId, TaskInput, TaskRequest};
use fuzz::is_printable;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// The seeds have it where a request has a secret.
const SECRET: &str = "zqzqzqzqzq";

fuzz_target!(|json: &[u8]| {
    match TaskRequest::from_json(json) {
        Ok(request) => {
            let shown = format!("{request:?}");
            let task: TaskId = "fuzz".parse().expect("the id is valid");
            let input = TaskInput::new(request, &task);
            let first = serde_json::to_value(&input).expect("it has a form in JSON");
            assert_eq!(first["taskId"], "fuzz");
            let request = input.into_request(RequestRules::default());
            let request = request.expect("the worker has the rules of the client");
            let second = serde_json::to_value(TaskInput::new(request, &task));
            assert_eq!(second.expect("it has a form in JSON"), first);
            let model = first["model"].as_str().unwrap_or_default();
            assert!(model.contains(SECRET) || !shown.contains(SECRET), "{shown}");
        }
        Err(error) => {
            let text = error.to_string();
            assert!(is_printable(&text), "{text:?}");
            let value = serde_json::from_slice(json).unwrap_or_default();
            assert!(
                names(&value).contains(SECRET) || !text.contains(SECRET),
                "{text}"
            );
        }
    }
});

/// The names of all fields. An error may show them.
fn names(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let all = fields
                .iter()
                .map(|(name, value)| format!("{name} {} ", names(value)));
            all.collect()
        }
        Value::Array(values) => values.iter().map(names).collect(),
        _ => String::new(),
    }
}

//! Other ways to write the same request, which clients in JavaScript and Python use.

use serde_json::{Map, Value};

/// Optional texts. JavaScript passes on a variable that is not set as an empty text.
const TEXTS: [&str; 15] = [
    "taskId",
    "anthropicApiKey",
    "anthropicOAuthToken",
    "systemPrompt",
    "appendSystemPrompt",
    "permissionMode",
    "model",
    "fallbackModel",
    "cwdRelative",
    "gitRepo",
    "gitBranch",
    "sshKey",
    "mcpConfig",
    "mcpConfigJson",
    "callbackUrl",
];
/// The optional texts of `postExecutionActions.git` and `postExecutionActions.uploadFiles`.
const TEXTS_OF_ACTIONS: [(&str, &[&str]); 2] = [
    ("git", &["commitMessage", "branch", "conflictStrategy"]),
    ("uploadFiles", &["gcsPrefix"]),
];
/// Whole numbers. Python writes `6.0` for a number that was divided.
const NUMBERS: [&str; 3] = ["maxTurns", "timeoutMinutes", "gitDepth"];

/// Removes optional fields without a value, and writes whole numbers without a point. A part of a minute counts as a minute.
pub(super) fn normalize(fields: &mut Map<String, Value>) {
    fields.retain(|name, value| !value.is_null() && !is_empty(&TEXTS, name, value));
    for name in NUMBERS {
        if let Some(value) = fields.get_mut(name)
            && let Some(whole) = whole(value, name == "timeoutMinutes")
        {
            *value = whole.into();
        }
    }
    let Some(Value::Object(actions)) = fields.get_mut("postExecutionActions") else {
        return;
    };
    for (action, texts) in TEXTS_OF_ACTIONS {
        if let Some(Value::Object(fields)) = actions.get_mut(action) {
            fields.retain(|name, value| !is_empty(texts, name, value));
        }
    }
}

fn is_empty(texts: &[&str], name: &str, value: &Value) -> bool {
    value.as_str() == Some("") && texts.contains(&name)
}

/// A number with a point as a whole number.
fn whole(value: &Value, round_up: bool) -> Option<u32> {
    let number = value.as_f64().filter(|_| value.is_f64())?;
    let number = if round_up { number.ceil() } else { number };
    // Only whole numbers are texts of digits.
    number.to_string().parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn normalized(mut value: Value) -> Value {
        normalize(value.as_object_mut().unwrap());
        value
    }

    #[test]
    fn empty_optional_texts_count_as_left_out() {
        let mut all: Map<String, Value> = TEXTS
            .iter()
            .map(|name| ((*name).to_owned(), json!("")))
            .collect();
        all.insert("metadata".to_owned(), json!(null));
        assert_eq!(normalized(Value::Object(all)), json!({}));
        let git =
            json!({"commit": true, "commitMessage": "", "branch": "", "conflictStrategy": ""});
        let upload = json!({"globPatterns": ["x"], "gcsPrefix": ""});
        assert_eq!(
            normalized(json!({"postExecutionActions": {"git": git, "uploadFiles": upload}})),
            json!({"postExecutionActions": {"git": {"commit": true}, "uploadFiles": {"globPatterns": ["x"]}}})
        );
        let others = json!({"prompt": "", "maxTurns": "", "other": "", "postExecutionActions": ""});
        assert_eq!(normalized(others.clone()), others);
    }

    #[test]
    fn whole_numbers_may_have_a_point() {
        for (given, expected) in [
            (json!(6), json!(6)),
            (json!(6.0), json!(6)),
            (json!(6.5), json!(6.5)),
            (json!(-1.0), json!(-1.0)),
            (json!(1e300), json!(1e300)),
            (json!("6"), json!("6")),
        ] {
            let numbers = normalized(json!({"maxTurns": given, "gitDepth": given}));
            assert_eq!(numbers, json!({"maxTurns": expected, "gitDepth": expected}));
        }
        for (given, expected) in [
            (0.5, json!(1)),
            (5.1, json!(6)),
            (55.0, json!(55)),
            (-0.5, json!(-0.5)),
        ] {
            let minutes = normalized(json!({"timeoutMinutes": given}));
            assert_eq!(minutes, json!({"timeoutMinutes": expected}));
        }
    }
}

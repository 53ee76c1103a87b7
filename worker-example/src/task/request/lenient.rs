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
/// Objects whose entries are optional. The callers choose the names.
const MAPS: [&str; 3] = ["environmentSecrets", "slashCommands", "subagents"];
/// Whole numbers. Python writes `6.0` for a number that was divided.
const NUMBERS: [&str; 3] = ["maxTurns", "timeoutMinutes", "gitDepth"];

/// Removes optional fields without a value, and writes whole numbers without a point. A part of a minute counts as a minute.
/// JSON that belongs to the caller stays as it is: `metadata`, `mcpConfig`, and what is within `frontmatter`.
pub(super) fn normalize(fields: &mut Map<String, Value>) {
    fields.retain(|name, value| !value.is_null() && !is_empty(&TEXTS, name, value));
    for name in NUMBERS {
        if let Some(value) = fields.get_mut(name)
            && let Some(whole) = whole(value, name == "timeoutMinutes")
        {
            *value = whole.into();
        }
    }
    if let Some(turns) = fields.get_mut("maxTurns")
        && turns
            .as_f64()
            .is_some_and(|turns| turns > f64::from(u32::MAX))
    {
        // The worker lowers it. Clients in JavaScript send the largest number that they know.
        *turns = u32::MAX.into();
    }
    for name in MAPS {
        let Some(Value::Object(entries)) = fields.get_mut(name) else {
            continue;
        };
        remove_nulls(entries);
        for entry in entries.values_mut().filter_map(Value::as_object_mut) {
            remove_nulls(entry);
        }
    }
    let Some(Value::Object(actions)) = fields.get_mut("postExecutionActions") else {
        return;
    };
    remove_nulls(actions);
    for (action, texts) in TEXTS_OF_ACTIONS {
        if let Some(Value::Object(fields)) = actions.get_mut(action) {
            remove_nulls(fields);
            fields.retain(|name, value| !is_empty(texts, name, value));
        }
    }
}

fn remove_nulls(fields: &mut Map<String, Value>) {
    fields.retain(|_, value| !value.is_null());
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
    fn a_null_within_a_field_counts_as_left_out() {
        let given = json!({
            "environmentSecrets": {"A": "a", "B": null},
            "slashCommands": {"a": {"frontmatter": null, "content": "c"}, "b": null},
            "subagents": {"a": {"frontmatter": {"tools": null}, "content": "c"}},
            "postExecutionActions": {
                "git": {"commit": null, "push": null, "files": null, "conflictStrategy": null, "branch": "b"},
                "uploadFiles": null,
            },
            "metadata": {"own": null}, "mcpConfig": {"own": null},
        });
        let expected = json!({
            "environmentSecrets": {"A": "a"},
            "slashCommands": {"a": {"content": "c"}},
            "subagents": {"a": {"frontmatter": {"tools": null}, "content": "c"}},
            "postExecutionActions": {"git": {"branch": "b"}},
            "metadata": {"own": null}, "mcpConfig": {"own": null},
        });
        assert_eq!(normalized(given), expected);
        let others = json!({"slashCommands": null, "subagents": [null], "environmentSecrets": "x"});
        let rest = json!({"subagents": [null], "environmentSecrets": "x"});
        assert_eq!(normalized(others), rest);
    }

    #[test]
    fn whole_numbers_may_have_a_point() {
        for (given, expected) in [
            (json!(6), json!(6)),
            (json!(6.0), json!(6)),
            (json!(6.5), json!(6.5)),
            (json!(-1.0), json!(-1.0)),
            (json!("6"), json!("6")),
        ] {
            let numbers = normalized(json!({"maxTurns": given, "gitDepth": given}));
            assert_eq!(numbers, json!({"maxTurns": expected, "gitDepth": expected}));
        }
        for huge in [json!(1e300), json!(9_007_199_254_740_991_u64)] {
            let numbers = normalized(json!({"maxTurns": huge, "gitDepth": huge}));
            assert_eq!(numbers, json!({"maxTurns": u32::MAX, "gitDepth": huge}));
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

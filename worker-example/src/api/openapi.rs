//! The description of the API as an `OpenAPI` document.

/// The document, as `GET /openapi.json` answers it.
pub(crate) const DOCUMENT: &str = include_str!("../../openapi.json");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;
    use crate::task::TaskRequest;

    fn document() -> Value {
        serde_json::from_str(DOCUMENT).unwrap()
    }

    #[test]
    fn every_field_of_a_request_is_described() {
        let document = document();
        let described = &document["components"]["schemas"]["TaskRequest"]["properties"];
        for (field, schema) in described.as_object().unwrap() {
            // A known field with a wrong type is refused. An unknown one is only a warning.
            let wrong = match schema["type"].as_str() {
                Some("string") => json!([]),
                _ => json!("text"),
            };
            if field == "mcpConfigJson" {
                continue;
            }
            let mut request = json!({"prompt": "p", "anthropicApiKey": "k"});
            request[field] = wrong;
            assert!(TaskRequest::from_value(request).is_err(), "{field}");
        }
        let full = json!({
            "taskId": "t", "prompt": "p", "anthropicApiKey": "k", "systemPrompt": "s", "appendSystemPrompt": "a",
            "allowedTools": [], "disallowedTools": [], "permissionMode": "plan", "maxTurns": 3, "model": "m",
            "fallbackModel": "f", "useNamedPipe": false, "timeoutMinutes": 5, "environmentSecrets": {"A": "b"},
            "metadata": {}, "cwdRelative": "a", "gitRepo": "git@h:a", "gitBranch": "b", "gitDepth": 1,
            "sshKey": "-----BEGIN PRIVATE KEY-----", "preExecutionCommands": ["a"], "mcpConfig": {},
            "slashCommands": {"a": {"content": ""}}, "subagents": {"a": {"content": ""}},
            "postExecutionActions": {}, "callbackUrl": "http://h/",
        });
        let request = TaskRequest::from_value(full).unwrap();
        let fields = serde_json::to_value(request).unwrap();
        let described: BTreeSet<&String> = described.as_object().unwrap().keys().collect();
        for field in fields.as_object().unwrap().keys() {
            assert!(described.contains(field), "{field} is not described");
        }
        assert!(described.contains(&"anthropicOAuthToken".to_owned()));
    }

    fn text(beginning: &str, length: usize) -> String {
        format!("{beginning}{}", "x".repeat(length - beginning.len()))
    }

    /// So many entries with this value.
    fn entries(count: usize, value: &Value) -> Value {
        (0..count)
            .map(|n| (format!("V{n}"), value.clone()))
            .collect()
    }

    fn git(field: &str, value: &Value) -> Value {
        json!({"postExecutionActions": {"git": {field: value}}})
    }

    fn uploads(field: &str, value: Value) -> Value {
        let mut actions = json!({"uploadFiles": {"globPatterns": []}});
        actions["uploadFiles"][field] = value;
        json!({"postExecutionActions": actions})
    }

    #[test]
    #[allow(clippy::too_many_lines, reason = "a table")]
    fn the_described_limits_are_those_of_the_service() {
        type Make = fn(usize) -> Value;
        let limits: &[(&str, Make)] = &[
            (
                "TaskRequest/properties/anthropicApiKey/maxLength",
                |n| json!({"anthropicApiKey": text("", n)}),
            ),
            (
                "TaskRequest/properties/allowedTools/maxItems",
                |n| json!({"allowedTools": vec!["x"; n]}),
            ),
            (
                "TaskRequest/properties/allowedTools/items/maxLength",
                |n| json!({"allowedTools": [text("", n)]}),
            ),
            (
                "TaskRequest/properties/disallowedTools/maxItems",
                |n| json!({"disallowedTools": vec!["x"; n]}),
            ),
            (
                "TaskRequest/properties/timeoutMinutes/maximum",
                |n| json!({"timeoutMinutes": n}),
            ),
            (
                "TaskRequest/properties/model/maxLength",
                |n| json!({"model": text("", n)}),
            ),
            (
                "TaskRequest/properties/fallbackModel/maxLength",
                |n| json!({"fallbackModel": text("", n)}),
            ),
            (
                "TaskRequest/properties/cwdRelative/maxLength",
                |n| json!({"cwdRelative": text("", n)}),
            ),
            (
                "TaskRequest/properties/gitRepo/maxLength",
                |n| json!({"gitRepo": text("https://h.example/", n)}),
            ),
            (
                "TaskRequest/properties/gitBranch/maxLength",
                |n| json!({"gitBranch": text("", n)}),
            ),
            (
                "TaskRequest/properties/gitDepth/maximum",
                |n| json!({"gitDepth": n}),
            ),
            (
                "TaskRequest/properties/sshKey/maxLength",
                |n| json!({"sshKey": text("-----BEGIN PRIVATE KEY-----", n)}),
            ),
            (
                "TaskRequest/properties/preExecutionCommands/maxItems",
                |n| json!({"preExecutionCommands": vec!["x"; n]}),
            ),
            (
                "TaskRequest/properties/preExecutionCommands/items/maxLength",
                |n| json!({"preExecutionCommands": [text("", n)]}),
            ),
            (
                "TaskRequest/properties/environmentSecrets/maxProperties",
                |n| json!({"environmentSecrets": entries(n, &json!("x"))}),
            ),
            (
                "TaskRequest/properties/environmentSecrets/propertyNames/maxLength",
                |n| json!({"environmentSecrets": {text("", n): "x"}}),
            ),
            (
                "TaskRequest/properties/environmentSecrets/additionalProperties/maxLength",
                |n| json!({"environmentSecrets": {"V": text("", n)}}),
            ),
            (
                "TaskRequest/properties/slashCommands/maxProperties",
                |n| json!({"slashCommands": entries(n, &json!({"content": "x"}))}),
            ),
            (
                "TaskRequest/properties/subagents/propertyNames/maxLength",
                |n| json!({"subagents": {text("", n): {"content": "x"}}}),
            ),
            (
                "PromptFile/properties/content/maxLength",
                |n| json!({"subagents": {"a": {"content": text("", n)}}}),
            ),
            (
                "TaskRequest/properties/postExecutionActions/properties/git/properties/commitMessage/maxLength",
                |n| git("commitMessage", &text("", n).into()),
            ),
            (
                "TaskRequest/properties/postExecutionActions/properties/git/properties/branch/maxLength",
                |n| git("branch", &text("", n).into()),
            ),
            (
                "TaskRequest/properties/postExecutionActions/properties/git/properties/files/maxItems",
                |n| git("files", &vec!["x"; n].into()),
            ),
            (
                "TaskRequest/properties/postExecutionActions/properties/git/properties/files/items/maxLength",
                |n| git("files", &vec![text("", n)].into()),
            ),
            (
                "TaskRequest/properties/postExecutionActions/properties/uploadFiles/properties/globPatterns/maxItems",
                |n| uploads("globPatterns", vec!["x"; n].into()),
            ),
            (
                "TaskRequest/properties/postExecutionActions/properties/uploadFiles/properties/gcsPrefix/maxLength",
                |n| uploads("gcsPrefix", text("", n).into()),
            ),
            (
                "TaskRequest/properties/callbackUrl/maxLength",
                |n| json!({"callbackUrl": text("https://h.example/", n)}),
            ),
            (
                "TaskRequest/properties/anthropicOAuthToken/maxLength",
                |n| json!({"anthropicApiKey": null, "anthropicOAuthToken": text("", n)}),
            ),
        ];
        let document = document();
        for &(place, make) in limits {
            let described = document.pointer(&format!("/components/schemas/{place}"));
            let limit = described.and_then(Value::as_u64).expect(place);
            let limit = usize::try_from(limit).unwrap();
            for (length, is_accepted) in [(limit, true), (limit + 1, false)] {
                let mut request = json!({"prompt": "p", "anthropicApiKey": "k"});
                let fields = make(length).as_object().unwrap().clone();
                request.as_object_mut().unwrap().extend(fields);
                let read = TaskRequest::from_value(request);
                assert_eq!(read.is_ok(), is_accepted, "{place} {length}: {read:?}");
            }
        }
    }
}

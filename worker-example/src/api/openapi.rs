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
}

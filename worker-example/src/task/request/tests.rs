use std::time::Duration;

use serde_json::{Value, json};

use super::*;

fn parse(value: &Value) -> Result<TaskRequest, RequestError> {
    TaskRequest::from_json(value.to_string().as_bytes())
}

fn with(extra: Value) -> Result<TaskRequest, RequestError> {
    let mut value = json!({"prompt": "do it", "anthropicApiKey": "sk-1"});
    let Value::Object(extra) = extra else {
        panic!("an object")
    };
    value.as_object_mut().unwrap().extend(extra);
    parse(&value)
}

#[test]
fn fills_in_the_defaults() {
    let request = with(json!({})).unwrap();
    assert_eq!(request.max_turns, 6);
    assert_eq!(request.timeout(), Duration::from_mins(55));
    assert_eq!(
        request.credential().unwrap().variable(),
        "ANTHROPIC_API_KEY"
    );
    let request = parse(&json!({"prompt": "x", "anthropicOAuthToken": "t"})).unwrap();
    assert_eq!(
        request.credential().unwrap().variable(),
        "CLAUDE_CODE_OAUTH_TOKEN"
    );
}

#[test]
fn survives_its_own_serialization() {
    let full = json!({
        "taskId": "t", "prompt": "p", "anthropicOAuthToken": "t", "systemPrompt": "s", "appendSystemPrompt": "a",
        "allowedTools": ["Bash(git *)"], "disallowedTools": ["WebFetch"], "permissionMode": "plan",
        "maxTurns": 3, "model": "claude-opus-5-5[1m]", "fallbackModel": "sonnet", "useNamedPipe": false,
        "timeoutMinutes": 1440, "environmentSecrets": {"TOKEN": "x"}, "metadata": {"a": [1]},
    });
    let request = parse(&full).unwrap();
    assert_eq!(
        serde_json::to_value(TaskInput::new(request, &"t".parse().unwrap())).unwrap(),
        full
    );
}

#[test]
fn says_what_is_wrong_in_the_words_of_the_api() {
    let message = |value: Value| parse(&value).unwrap_err().to_string();
    assert_eq!(
        message(json!({"anthropicApiKey": "k"})),
        "prompt is required"
    );
    assert_eq!(
        message(json!({"prompt": " ", "anthropicApiKey": "k"})),
        "prompt is required"
    );
    assert_eq!(
        message(json!({"prompt": "x"})),
        "Either anthropicApiKey or anthropicOAuthToken is required"
    );
    assert_eq!(message(json!([])), "the request must be a JSON object");
    let both = json!({"prompt": "x", "anthropicApiKey": "k", "anthropicOAuthToken": "t"});
    assert_eq!(
        message(both),
        "give anthropicApiKey or anthropicOAuthToken, not both"
    );
}

#[test]
fn refuses_what_it_would_have_to_ignore() {
    assert_eq!(
        with(json!({"gitRepo": "git@example.org:a/b"})).unwrap_err(),
        RequestError::NotSupported { field: "gitRepo" }
    );
    assert_eq!(
        with(json!({"maxTurn": 3})).unwrap_err(),
        RequestError::Unknown {
            field: "`maxTurn`".into()
        }
    );
    let hidden = with(json!({"sk secret\u{1b}": 3})).unwrap_err().to_string();
    assert!(!hidden.contains("secret"), "{hidden}");
}

#[test]
fn holds_the_bounds() {
    for bad in [
        json!({"maxTurns": 0}),
        json!({"maxTurns": 1.5}),
        json!({"maxTurns": -1}),
        json!({"timeoutMinutes": 0}),
        json!({"timeoutMinutes": 1441}),
        json!({"permissionMode": "auto"}),
        json!({"taskId": "../x"}),
        json!({"model": "--dangerous"}),
        json!({"model": "a b"}),
        json!({"allowedTools": [""]}),
        json!({"allowedTools": "Bash"}),
        json!({"environmentSecrets": {"PATH": "x"}}),
        json!({"environmentSecrets": {"A": "nul\u{0}"}}),
        json!({"environmentSecrets": {"A": 1}}),
        json!({"anthropicApiKey": "sk 1"}),
        json!({"anthropicApiKey": "sk-1\n"}),
        json!({"metadata": {"a": "x".repeat(70_000)}}),
        json!({"metadata": []}),
    ] {
        assert!(with(bad.clone()).is_err(), "{bad}");
    }
    let huge = json!({"prompt": "x".repeat(MAX_REQUEST_BYTES), "anthropicApiKey": "k"});
    assert_eq!(
        parse(&huge).unwrap_err(),
        RequestError::TooLarge {
            limit: MAX_REQUEST_BYTES
        }
    );
}

#[test]
fn no_error_and_no_debug_shows_a_value() {
    let secret = "sk-ant-very-secret";
    for bad in [
        json!({"maxTurns": secret}),
        json!({"permissionMode": secret}),
        json!({"prompt": [secret]}),
        json!({"environmentSecrets": {"A": [secret]}}),
        json!({"environmentSecrets": secret}),
        json!({"model": format!("{secret} !")}),
        json!({"anthropicApiKey": format!("{secret} !")}),
    ] {
        let error = with(bad.clone()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(secret), "{bad}");
    }
    let broken = TaskRequest::from_json(format!("{{\"prompt\": {secret}").as_bytes()).unwrap_err();
    assert!(!format!("{broken} {broken:?}").contains(secret));
    let request = with(
        json!({"anthropicApiKey": secret, "prompt": secret, "systemPrompt": secret,
        "environmentSecrets": {"A": secret}, "metadata": {"m": secret}}),
    );
    assert!(!format!("{:?}", request.unwrap()).contains(secret));
}

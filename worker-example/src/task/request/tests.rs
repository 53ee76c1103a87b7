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
        "cwdRelative": "sub/folder", "gitRepo": "git@github.com:a/b.git", "gitBranch": "dev", "gitDepth": 5,
        "sshKey": "-----BEGIN OPENSSH PRIVATE KEY-----\r\nabc\r\n-----END OPENSSH PRIVATE KEY-----",
        "preExecutionCommands": ["npm ci"], "mcpConfig": {"mcpServers": {"a": {"url": "${URL}"}}},
        "slashCommands": {"fix": {"frontmatter": {"description": "d"}, "content": "c"}},
        "subagents": {"reviewer": {"content": "c"}}, "callbackUrl": "https://h.example/hook",
        "postExecutionActions": {
            "git": {"commit": true, "commitMessage": "m", "push": true, "branch": "b", "files": ["**/*.rs"],
                "conflictStrategy": "fail"},
            "uploadFiles": {"globPatterns": ["out/**"], "gcsPrefix": "results"},
        },
    });
    let request = parse(&full).unwrap();
    assert!(request.warnings().is_empty());
    assert_eq!(request.git_branch(), "dev");
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
}

#[test]
fn of_two_credentials_the_api_key_counts_and_the_other_is_erased() {
    let both = json!({"prompt": "x", "anthropicApiKey": "k-1", "anthropicOAuthToken": "t-secret"});
    let expected =
        ["anthropicOAuthToken has no effect, because the request also has anthropicApiKey"];
    let request = parse(&both).unwrap();
    assert_eq!(request.credential().unwrap().secret().expose(), "k-1");
    assert_eq!(request.warnings(), expected);
    assert!(!format!("{request:?}").contains("t-secret"));
    let input = TaskInput::new(request, &"t".parse().unwrap());
    let stored = serde_json::to_string(&input).unwrap();
    assert!(!stored.contains("t-secret"), "{stored}");
    // The worker tells it, too. A caller cannot claim it.
    let request = input.into_request(RequestRules::default()).unwrap();
    assert_eq!(request.warnings(), expected);
    let claimed = with(json!({"droppedToken": true})).unwrap();
    assert_eq!(
        claimed.warnings(),
        ["unknown field `droppedToken` has no effect"]
    );
    let wrong = json!({"prompt": "x", "anthropicApiKey": "k 1", "anthropicOAuthToken": "t"});
    let error = parse(&wrong).unwrap_err().to_string();
    assert!(error.starts_with("anthropicApiKey must be"), "{error}");
}

#[test]
fn a_request_of_run_ignores_a_callback_without_use() {
    let rules = RequestRules::default().with_extra_callback();
    let read = |callback: Value| {
        let value = json!({"prompt": "p", "anthropicApiKey": "k", "callbackUrl": callback});
        TaskRequest::from_value_with(value, rules).unwrap()
    };
    for unusable in [json!("ftp://h/x"), json!("x"), json!(7), json!({"a": 1})] {
        let request = read(unusable);
        assert_eq!(request.callback_url, None);
        assert_eq!(
            request.warnings(),
            ["unknown field `callbackUrl` has no effect"]
        );
    }
    let request = read(json!("https://h.example/hook"));
    assert_eq!(
        request.callback_url.as_deref(),
        Some("https://h.example/hook")
    );
    assert!(request.warnings().is_empty() && read(json!(null)).warnings().is_empty());
}

#[test]
fn unknown_fields_become_warnings() {
    let request = with(json!({"maxTurn": 3, "postExecutionActions": {"git": {"sign": true}}}));
    assert_eq!(
        request.unwrap().warnings(),
        [
            "unknown field `maxTurn` has no effect",
            "unknown field `postExecutionActions.git.sign` has no effect"
        ]
    );
    let hidden = with(json!({"sk secret\u{1b}": 3})).unwrap().warnings();
    assert!(!format!("{hidden:?}").contains("secret"), "{hidden:?}");
    let many: Value = (0..1000).map(|n| (format!("f{n}"), json!(1))).collect();
    assert_eq!(with(many).unwrap().warnings().len(), 32);
    assert!(with(json!({"model": null, "maxTurns": null})).is_ok());
    let nulls = json!({"environmentSecrets": {"A": null}, "slashCommands": {"a": {"frontmatter": null, "content": "c"}},
        "postExecutionActions": {"git": {"commit": null, "conflictStrategy": null}}});
    let request = with(nulls).unwrap();
    assert!(request.environment_secrets.is_empty() && request.warnings().is_empty());
    let missing = with(json!({"subagents": {"a": {"content": null}}})).unwrap_err();
    assert_eq!(missing.to_string(), "content is required");
    let endless = with(json!({"maxTurns": 9_007_199_254_740_991_u64})).unwrap();
    assert_eq!(endless.max_turns, u32::MAX);
}

/// As clients in JavaScript and Python send them.
#[test]
fn a_request_may_have_empty_texts_and_numbers_with_a_point() {
    let request = json!({"prompt": "p", "anthropicApiKey": "", "anthropicOAuthToken": "t", "callbackUrl": "", "gitRepo": "",
        "sshKey": "", "gitBranch": "", "model": "", "maxTurns": 7.0, "timeoutMinutes": 5.5,
        "postExecutionActions": {"git": {"commit": true, "push": false, "commitMessage": ""}}});
    let request = parse(&request).unwrap();
    assert!(matches!(
        request.credential(),
        Some(Credential::OauthToken(_))
    ));
    assert!(request.warnings().is_empty());
    assert_eq!((request.max_turns, request.timeout_minutes), (7, 6));
    for field in ["anthropicApiKey", "anthropicOAuthToken"] {
        let error = parse(&json!({"prompt": "p", field: ""})).unwrap_err();
        assert_eq!(error, RequestError::NoCredential);
    }
}

#[test]
fn older_callers_name_the_mcp_configuration_differently() {
    let config = json!({"mcpServers": {"a": {"command": "x"}}});
    for old in [config.clone(), json!(config.to_string())] {
        let request = with(json!({"mcpConfigJson": old})).unwrap();
        assert_eq!(
            Value::Object(request.mcp_config.as_ref().unwrap().expose().clone()),
            config
        );
        assert!(request.warnings().is_empty());
    }
    let both = with(json!({"mcpConfigJson": {"old": 1}, "mcpConfig": {"new": 1}})).unwrap();
    assert!(
        both.mcp_config
            .as_ref()
            .unwrap()
            .expose()
            .contains_key("new")
    );
    assert_eq!(
        both.warnings(),
        ["unknown field `mcpConfigJson` has no effect"]
    );
    for bad in [json!("{"), json!("[]"), json!(1)] {
        let error = with(json!({"mcpConfigJson": bad})).unwrap_err();
        assert_eq!(error.to_string(), "mcpConfigJson must be a JSON object");
    }
}

#[test]
fn a_task_in_the_background_has_an_address_for_its_webhook() {
    let rules = RequestRules::default().with_callback_required();
    let problem = |callback: Value| {
        let value = json!({"prompt": "p", "anthropicApiKey": "k", "callbackUrl": callback});
        TaskRequest::from_value_with(value, rules)
            .map(drop)
            .map_err(|e| e.to_string())
    };
    for missing in [json!(null), json!("")] {
        let expected = "callbackUrl is required for async tasks";
        assert_eq!(problem(missing), Err(expected.to_owned()));
    }
    for bad in ["ftp://h/x", "file:///etc/passwd", "javascript:alert(1)"] {
        let expected = "callbackUrl must use http or https protocol";
        assert_eq!(problem(json!(bad)), Err(expected.to_owned()), "{bad}");
    }
    for bad in ["x", "http://", "https://u:p@h/"] {
        assert!(problem(json!(bad)).is_err(), "{bad}");
    }
    assert_eq!(problem(json!("https://h.example/hook?t=1")), Ok(()));
    let bad = with(json!({"taskId": "a/b"})).unwrap_err().to_string();
    assert!(bad.starts_with("taskId must be URL-safe ("), "{bad}");
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
        json!({"cwdRelative": "../x"}),
        json!({"cwdRelative": "/x"}),
        json!({"gitRepo": "ext::sh -c id"}),
        json!({"gitRepo": "file:///etc"}),
        json!({"gitRepo": 1}),
        json!({"gitBranch": "--x"}),
        json!({"gitDepth": 0}),
        json!({"gitDepth": "1"}),
        json!({"sshKey": "no key"}),
        json!({"sshKey": format!("-----BEGIN OPENSSH PRIVATE KEY-----{}", "x".repeat(40_000))}),
        json!({"preExecutionCommands": "make"}),
        json!({"preExecutionCommands": [""]}),
        json!({"preExecutionCommands": vec!["make"; 65]}),
        json!({"mcpConfig": "{}"}),
        json!({"mcpConfig": {"a": "x".repeat(300_000)}}),
        json!({"mcpConfig": {"a": (0..40).fold(json!(1), |inner, _| json!([inner]))}}),
        json!({"slashCommands": {"../x": {"content": "x"}}}),
        json!({"slashCommands": {"x": {"frontmatter": {}}}}),
        json!({"slashCommands": {"x": "text"}}),
        json!({"subagents": {"a b": {"content": "x"}}}),
        json!({"subagents": (0..129).map(|n| (format!("a{n}"), json!({"content": "x"}))).collect::<Value>()}),
        json!({"postExecutionActions": {"git": {"branch": "-x"}}}),
        json!({"postExecutionActions": {"git": {"files": ["../*"]}}}),
        json!({"postExecutionActions": {"git": {"conflictStrategy": "ours"}}}),
        json!({"postExecutionActions": {"git": {"commit": "yes"}}}),
        json!({"postExecutionActions": {"uploadFiles": {"globPatterns": ["/etc/*"]}}}),
        json!({"postExecutionActions": {"uploadFiles": {"globPatterns": [], "gcsPrefix": "../x"}}}),
        json!({"postExecutionActions": {"uploadFiles": {}}}),
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
        json!({"sshKey": secret}),
        json!({"gitRepo": format!("https://{secret}@h/a")}),
        json!({"mcpConfigJson": secret}),
        json!({"preExecutionCommands": {"a": secret}}),
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

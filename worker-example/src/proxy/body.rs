//! What a call of the API asks for, read from its body.
//!
//! The API works for a task on Anthropic's servers: it searches the web, fetches pages and pictures, runs code and calls MCP
//! servers. A task without network would reach other servers through it, so the proxy refuses such calls.

mod part;

use serde::{Deserialize, de::IgnoredAny};

use self::part::Part;
use super::budget::ProxyLimits;

/// Types of tools that the task itself runs, without the date at their end.
const CLIENT_TOOLS: [&str; 4] = ["bash_", "computer_", "memory_", "text_editor_"];
/// Types of tools that the API runs, and that reach no other server: the search among the tools of the call, and the advice
/// of another model.
const CLOSED_TOOLS: [&str; 2] = ["advisor_", "tool_search_tool_"];

/// What a checked call may cost.
#[derive(Debug)]
pub(super) struct CallCost {
    /// The most tokens of its answer.
    pub(super) max_tokens: u64,
}

#[derive(Deserialize)]
struct Body {
    model: Option<String>,
    max_tokens: Option<u64>,
    tools: Option<Vec<Tool>>,
    mcp_servers: Option<Vec<IgnoredAny>>,
    container: Option<IgnoredAny>,
    #[serde(default)]
    messages: Part,
    #[serde(default)]
    system: Part,
}

#[derive(Deserialize)]
struct Tool {
    r#type: Option<String>,
    model: Option<String>,
}

/// Checks a call. A body that gives a field twice is refused: the API could take the other value.
///
/// # Errors
/// The reason, when the body is not one of the API, or the limits do not allow what it asks for.
pub(super) fn check(body: &[u8], limits: &ProxyLimits) -> Result<CallCost, String> {
    let Ok(body) = serde_json::from_slice::<Body>(body) else {
        return Err("the body is not a JSON object with the fields of the API".to_owned());
    };
    let tools = body.tools.as_deref().unwrap_or_default();
    let found = body.messages.found.and(body.system.found);
    if !limits.models.is_empty() {
        let advisors = tools.iter().filter_map(|tool| tool.model.as_deref());
        for model in advisors.chain([body.model.as_deref().unwrap_or_default()]) {
            check_model(model, limits)?;
        }
        if found.server_tool {
            return Err(
                "a message defines a tool of the API, which could use any model".to_owned(),
            );
        }
    }
    if !limits.web {
        let server_tool = tools
            .iter()
            .filter_map(|tool| tool.r#type.as_deref())
            .find(|kind| !is_of_client(kind) && !begins_with(kind, &CLOSED_TOOLS));
        let asks_for = if let Some(kind) = server_tool {
            format!("the tool {kind:.50} of the API")
        } else if found.server_tool {
            "a tool of the API".to_owned()
        } else if body.mcp_servers.is_some_and(|servers| !servers.is_empty()) {
            "MCP servers that the API calls".to_owned()
        } else if body.container.is_some() {
            "a container of the API".to_owned()
        } else if found.url {
            "a picture or document that the API fetches".to_owned()
        } else {
            String::new()
        };
        if !asks_for.is_empty() {
            return Err(format!(
                "tasks of this worker have no network, and this call asks for {asks_for}"
            ));
        }
    }
    Ok(CallCost {
        max_tokens: body.max_tokens.unwrap_or(0),
    })
}

fn check_model(model: &str, limits: &ProxyLimits) -> Result<(), String> {
    let is_allowed = limits.models.iter().any(|allowed| {
        allowed
            .strip_suffix('*')
            .map_or(*allowed == model, |beginning| model.starts_with(beginning))
    });
    if is_allowed {
        return Ok(());
    }
    Err(format!(
        "this worker does not allow the model {model:.100}; it allows {}",
        limits.models.join(", ")
    ))
}

fn is_of_client(kind: &str) -> bool {
    kind == "custom" || begins_with(kind, &CLIENT_TOOLS)
}

fn begins_with(kind: &str, beginnings: &[&str]) -> bool {
    beginnings
        .iter()
        .any(|beginning| kind.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn only_allowed_models() {
        let limits = ProxyLimits {
            models: vec!["claude-sonnet-*".into(), "claude-opus-5-5".into()],
            web: true,
            ..ProxyLimits::default()
        };
        let check = |body: &str| check(body.as_bytes(), &limits);
        assert!(check(r#"{"model":"claude-sonnet-5-5","x":[1]}"#).is_ok());
        assert!(check(r#"{"model":"claude-opus-5-5"}"#).is_ok());
        let advisor = |model| {
            json!({"model": "claude-opus-5-5", "tools": [{"type": "advisor_20260301", "name": "advisor", "model": model}]})
                .to_string()
        };
        assert!(check(&advisor("claude-sonnet-5-5")).is_ok());
        for body in [
            r#"{"model":"claude-opus-5-50"}"#,
            r#"{"model":"claude-opus-5-5","model":"other"}"#,
            r#"{"model":"other","\u006dodel":"claude-opus-5-5"}"#,
            r#"{"model":["claude-opus-5-5"]}"#,
            &advisor("other"),
            r"{}",
            "",
        ] {
            assert!(check(body).is_err(), "{body}");
        }
        assert!(super::check(b"{}", &ProxyLimits::default()).is_ok());
        assert!(super::check(b"", &ProxyLimits::default()).is_err());
    }

    fn with(further: &Value) -> Vec<u8> {
        let mut body = json!({"model": "m", "max_tokens": 5, "stream": true, "system": "s",
            "messages": [{"role": "user", "content": "hello"}],
            "tools": [{"name": "Bash", "input_schema": {"type": "object", "properties": {"type": {"type": "string"}}}}]});
        let fields = body.as_object_mut().unwrap();
        fields.extend(further.as_object().unwrap().clone());
        body.to_string().into_bytes()
    }

    fn content(block: &Value) -> Value {
        json!({"messages": [{"role": "user", "content": [block]}]})
    }

    #[test]
    fn a_task_without_network_gets_none_by_the_api() {
        let limits = ProxyLimits::default();
        let picture = json!({"type": "image", "source": {"type": "url", "url": "https://evil/x"}});
        for further in [
            json!({"mcp_servers": [{"type": "url", "url": "https://evil", "name": "x"}]}),
            json!({"container": "c"}),
            json!({"container": {"skills": []}}),
            json!({"tools": [{"name": "x"}, {"type": "web_search_20250305", "name": "web_search"}]}),
            json!({"tools": [{"type": "web_fetch_20250910", "name": "web_fetch"}]}),
            json!({"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]}),
            json!({"tools": [{"type": "mcp_toolset", "mcp_server_name": "x"}]}),
            json!({"tools": [{"type": "of_the_future_20300101"}]}),
            content(&picture),
            content(&json!({"type": "tool_result", "tool_use_id": "t", "content": [picture]})),
            content(
                &json!({"type": "document", "source": {"type": "content", "content": [picture]}}),
            ),
            content(&json!({"type": "x", "input": [picture]})),
            json!({"messages": [{"role": "system", "content": [{"type": "tool_addition", "tool": {"type": "tool_definition",
                "definition": {"type": "web_fetch_20250910", "name": "web_fetch"}}}]}]}),
            json!({"system": [picture]}),
        ] {
            let body = with(&further);
            let refused = check(&body, &limits).unwrap_err();
            assert!(refused.contains("no network"), "{further}: {refused}");
            let web = ProxyLimits {
                web: true,
                ..ProxyLimits::default()
            };
            assert!(check(&body, &web).is_ok(), "{further}");
        }
        // The API could take either value.
        for body in [
            r#"{"tools":[],"tools":[{"type":"web_fetch_20250910"}]}"#,
            r#"{"tools":[{"type":"web_fetch_20250910","type":"custom"}]}"#,
            r#"{"messages":[{"content":[{"type":"image","source":{"type":"url","type":"base64"}}]}]}"#,
            r#"{"messages":[{"content":[{"type":"image","source":{"type":"url"},"source":1}]}]}"#,
            r#"{"messages":[{"type":"tool_use","type":"x","input":{"source":{"type":"url"}}}]}"#,
        ] {
            assert!(check(body.as_bytes(), &limits).is_err(), "{body}");
        }
    }

    #[test]
    fn what_claude_code_sends_passes() {
        for further in [
            json!({}),
            json!({"mcp_servers": [], "container": null, "tools": null}),
            json!({"tools": [{"type": "custom", "name": "x"}, {"type": "bash_20250124", "name": "bash"},
                {"type": "advisor_20260301", "name": "advisor", "model": "m"},
                {"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"}]}),
            content(
                &json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}),
            ),
            content(&json!({"type": "text", "text": "{\"source\":{\"type\":\"url\"}}"})),
            json!({"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "mcp__x__y",
                "input": {"source": {"type": "url"}, "n": [1, -1, 1.5, true, null]}}]}]}),
            json!({"messages": [{"role": "system", "content": [
                {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": {"name": "x", "input_schema": {}}}},
                {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "x"}}]}]}),
        ] {
            let cost = check(&with(&further), &ProxyLimits::default());
            assert_eq!(cost.map(|cost| cost.max_tokens), Ok(5), "{further}");
        }
    }
}

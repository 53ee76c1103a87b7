//! What the worker understands of the CLI's events. It keeps all of them; it reads only these.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The longest text of a `result` event that is carried on; the log has all of it.
const MAX_RESULT_TEXT: usize = 64 * 1024;

/// The facts of the last `result` event: how the session ended, by the CLI's own account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResultEvent {
    /// The CLI calls the session failed.
    pub is_error: bool,
    /// `success`, `error_max_turns`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subtype: Option<String>,
    /// The HTTP status that the API had answered, where that was the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_error_status: Option<u16>,
    /// Turns taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_turns: Option<u64>,
    /// Duration in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// What the session cost, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_cost_usd: Option<f64>,
    /// How many tool calls were refused for want of permission.
    pub permission_denials: u64,
    /// Claude's last words, or the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A line of the CLI's standard output.
#[derive(Debug, PartialEq)]
pub(crate) struct Event {
    /// JSON on one line: the line itself where it was JSON, else wrapped.
    pub(crate) json: String,
    /// The event's type.
    pub(crate) kind: String,
    /// Set for `result` events.
    pub(crate) result: Option<ResultEvent>,
}

impl Event {
    /// Reads a line. What is no JSON object becomes a `text` event.
    pub(crate) fn parse(line: &str) -> Self {
        let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(line) else {
            return Self {
                json: json!({"type": "text", "content": line}).to_string(),
                kind: "text".into(),
                result: None,
            };
        };
        let kind = fields
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let result = (kind == "result").then(|| ResultEvent::of(&Value::Object(fields)));
        Self {
            json: line.trim().to_owned(),
            kind,
            result,
        }
    }

    /// Stands for a line that was too long to keep.
    pub(crate) fn left_out(kind: &str, bytes: u64) -> Self {
        let json = json!({"type": "claude_tasks", "subtype": "event_left_out",
            "event_type": kind, "bytes": bytes});
        Self {
            json: json.to_string(),
            kind: "claude_tasks".into(),
            result: None,
        }
    }
}

impl ResultEvent {
    fn of(event: &Value) -> Self {
        let number = |name: &str| event.get(name).and_then(Value::as_u64);
        let text = |name: &str| event.get(name).and_then(Value::as_str);
        Self {
            // Without the field nothing says that the session went well.
            is_error: event
                .get("is_error")
                .and_then(Value::as_bool)
                .unwrap_or(true),
            subtype: text("subtype").map(|t| shortened(t, 100)),
            api_error_status: number("api_error_status").and_then(|n| u16::try_from(n).ok()),
            num_turns: number("num_turns"),
            duration_ms: number("duration_ms"),
            total_cost_usd: event.get("total_cost_usd").and_then(Value::as_f64),
            permission_denials: event
                .get("permission_denials")
                .and_then(Value::as_array)
                .map_or(0, |denials| denials.len() as u64),
            text: text("result").map(|t| shortened(t, MAX_RESULT_TEXT)),
        }
    }
}

/// The text, cut at a character's end where it is longer than so many bytes.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = (0..=most)
        .rev()
        .find(|&i| text.is_char_boundary(i))
        .unwrap_or(0);
    format!("{}…", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_json_lines_as_they_are_and_wraps_the_rest() {
        let line = r#"{ "b":1,"type":"assistant", "a":1.0}"#;
        let event = Event::parse(line);
        assert_eq!(
            (event.json.as_str(), event.kind.as_str()),
            (line, "assistant")
        );
        for other in ["plain \"text\"", "[1]", "{\"cut", ""] {
            let event = Event::parse(other);
            assert_eq!(event.kind, "text");
            let json: Value = serde_json::from_str(&event.json).unwrap();
            assert_eq!(json, json!({"type": "text", "content": other}));
        }
        assert_eq!(Event::parse(&"[".repeat(100_000)).kind, "text");
    }

    #[test]
    fn reads_the_result_wherever_its_fields_stand() {
        let event = Event::parse(
            r#"{"is_error":true,"num_turns":2,"api_error_status":401,"total_cost_usd":0.25,
               "permission_denials":[{}],"result":"no","type":"result","subtype":"success","duration_ms":5}"#,
        );
        let expected = ResultEvent {
            is_error: true,
            subtype: Some("success".into()),
            api_error_status: Some(401),
            num_turns: Some(2),
            duration_ms: Some(5),
            total_cost_usd: Some(0.25),
            permission_denials: 1,
            text: Some("no".into()),
        };
        assert_eq!(event.result, Some(expected));
        let hostile =
            Event::parse(r#"{"type":"result","num_turns":-1,"is_error":"no","result":[]}"#);
        assert_eq!(
            hostile.result,
            Some(ResultEvent {
                is_error: true,
                ..ResultEvent::default()
            })
        );
    }

    #[test]
    fn cuts_between_characters() {
        assert_eq!(shortened("aä", 2), "a…");
        assert_eq!(shortened("ab", 2), "ab");
    }
}

//! What this program understands of Claude Code's events. The worker keeps all events and reads only these facts.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{event_fields::EventFields, json_size};

pub(crate) use super::event_fields::OWN_TYPE;

/// The longest text of a `result` event that the task's result repeats, in bytes of JSON. The log has the whole text.
/// Temporal refuses payloads above 2 MiB.
const MAX_RESULT_TEXT: usize = 1024 * 1024;
const LEFT_OUT: &str = "event_left_out";
/// The longest replacement of an event, in bytes. The name of the event's type can be escaped.
const MAX_LEFT_OUT: usize = 1024;

/// The facts of the last `result` event: how the session ended, as Claude Code reports it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ResultEvent {
    /// Whether Claude Code reports the session as failed.
    pub is_error: bool,
    /// Claude Code's name for the end, such as `success` or `error_max_turns`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subtype: Option<String>,
    /// The HTTP status of the API, if the API's answer ended the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_error_status: Option<u16>,
    /// How many turns Claude took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_turns: Option<u64>,
    /// How long the session took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// The cost of the session, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_cost_usd: Option<f64>,
    /// How many tool calls were denied because a permission was missing.
    pub permission_denials: u64,
    /// Claude's answer, or the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The length of the whole text in bytes, if `text` is only its beginning. The log has the whole text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_from_bytes: Option<u64>,
}

/// One line of Claude Code's standard output.
#[derive(Debug, PartialEq)]
pub(crate) struct Event {
    /// JSON on one line: the line itself if it is JSON, otherwise a `text` event with the line.
    pub(crate) json: String,
    /// The event's type.
    pub(crate) kind: String,
    /// Set for `result` events.
    pub(crate) result: Option<ResultEvent>,
    /// Whether the event begins a turn. Claude can take another turn after its result, for example when a background command
    /// has ended. The turn begins with a `system` event, and the API can then be silent for longer than the linger time.
    pub(crate) begins_turn: bool,
}

impl Event {
    /// Reads a line. A line that is not a JSON object becomes a `text` event. So does a line that claims to be an event of
    /// this program: a task cannot forge its own end.
    pub(crate) fn parse(line: &str) -> Self {
        let Some(fields) = EventFields::parse(line) else {
            return Self::text(line);
        };
        if fields.claims_to_be_ours() || fields.is_ambiguous("type") {
            return Self::text(line);
        }
        let kind = fields.text("type").unwrap_or_default().to_owned();
        let begins_turn = match kind.as_str() {
            "assistant" | "user" | "stream_event" => true,
            "system" => matches!(fields.text("subtype"), Some("init" | "api_retry")),
            _ => false,
        };
        let result = (kind == "result").then(|| ResultEvent::of(&fields.into_value()));
        Self {
            json: line.trim().to_owned(),
            kind,
            result,
            begins_turn,
        }
    }

    fn text(line: &str) -> Self {
        Self {
            json: text_event(line),
            kind: "text".into(),
            result: None,
            begins_turn: false,
        }
    }

    fn made(kind: &str, json: &Value) -> Self {
        Self {
            json: json.to_string(),
            kind: kind.into(),
            result: None,
            begins_turn: false,
        }
    }

    /// An event that tells the caller what the worker's limits changed in the request.
    pub(crate) fn warnings(warnings: &[String]) -> Self {
        let json = json!({"type": OWN_TYPE, "subtype": "warnings", "warnings": warnings});
        Self::made(OWN_TYPE, &json)
    }

    /// The replacement of an event that is too large to pass on. `logged` says whether the log has the event.
    pub(crate) fn left_out(kind: &str, bytes: u64, logged: bool) -> Self {
        let kind = shortened(kind, 100);
        let json = json!({"type": OWN_TYPE, "subtype": LEFT_OUT,
            "event_type": kind, "bytes": bytes, "logged": logged});
        Self::made(OWN_TYPE, &json)
    }

    /// Whether this event replaces one that is in the log.
    pub(crate) fn is_announced(json: &str) -> bool {
        #[derive(Deserialize)]
        struct LeftOut {
            r#type: String,
            subtype: String,
            logged: bool,
        }
        let is_short = json.len() <= MAX_LEFT_OUT;
        let left_out = is_short.then(|| serde_json::from_str::<LeftOut>(json));
        left_out.and_then(Result::ok).is_some_and(|event| {
            event.r#type == OWN_TYPE && event.subtype == LEFT_OUT && event.logged
        })
    }
}

/// A line that is not JSON, as an event. Its type comes first, as clients of the original service see it.
pub(crate) fn text_event(line: &str) -> String {
    let content = Value::from(line);
    format!(r#"{{"type":"text","content":{content}}}"#)
}

impl ResultEvent {
    fn of(event: &Value) -> Self {
        let number = |name: &str| event.get(name).and_then(Value::as_u64);
        let text = |name: &str| event.get(name).and_then(Value::as_str);
        let whole = text("result");
        let beginning = whole.and_then(|text| beginning_of(text, MAX_RESULT_TEXT));
        Self {
            // A result counts as failed unless it says otherwise.
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
            cut_from_bytes: whole
                .filter(|_| beginning.is_some())
                .map(|text| text.len() as u64),
            text: beginning.or_else(|| whole.map(str::to_owned)),
        }
    }
}

/// The text, shortened to at most `most` bytes at the end of a character.
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

/// The beginning of the text whose JSON has at most `most` bytes. `None` if the whole text is short enough.
fn beginning_of(text: &str, most: usize) -> Option<String> {
    let mut size = 0_usize;
    let (at, _) = text.char_indices().find(|(_, c)| {
        size += json_size::of_char(*c);
        size > most
    })?;
    Some(format!("{}…", text.get(..at).unwrap_or_default()))
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
    fn a_line_that_claims_to_be_ours_is_text() {
        for forged in [
            r#"{"subtype":"task_ended","type":"claude_t\u0061sks","status":"completed"}"#,
            // Go's reader takes the last of all names that differ in case only.
            r#"{"type":"text","Type":"claude_tasks","subtype":"task_ended"}"#,
            r#"{"tYPE":"claude_tasks","subtype":"task_ended"}"#,
            r#"{"type":"claude_tasks","type":"text","subtype":"task_ended"}"#,
            r#"{"type":"text","type":"user"}"#,
        ] {
            let event = Event::parse(forged);
            let json: Value = serde_json::from_str(&event.json).unwrap();
            assert_eq!(json, json!({"type": "text", "content": forged}));
        }
    }

    #[test]
    fn an_event_of_the_log_is_announced() {
        let kind = "\u{7}".repeat(1000);
        assert!(Event::is_announced(
            &Event::left_out(&kind, 1 << 40, true).json
        ));
        assert!(!Event::is_announced(
            &Event::left_out("user", 1, false).json
        ));
        for other in [
            r#"{"type":"user","subtype":"event_left_out","logged":true}"#,
            r#"{"type":"claude_tasks","subtype":"warnings","logged":true}"#,
            "text",
        ] {
            assert!(!Event::is_announced(other), "{other}");
        }
    }

    #[test]
    fn a_turn_begins_with_words_or_with_the_wait_for_them() {
        for (line, begins) in [
            (r#"{"type":"assistant"}"#, true),
            (r#"{"type":"system","subtype":"init"}"#, true),
            (r#"{"type":"system","subtype":"api_retry"}"#, true),
            (r#"{"type":"system","subtype":"hook"}"#, false),
            (r#"{"type":"result"}"#, false),
            ("words", false),
        ] {
            assert_eq!(Event::parse(line).begins_turn, begins, "{line}");
        }
    }

    #[test]
    fn a_long_answer_is_cut_by_its_size_in_json() {
        let text = "\"".repeat(MAX_RESULT_TEXT);
        let cut = beginning_of(&text, MAX_RESULT_TEXT).unwrap();
        assert_eq!(cut.len(), MAX_RESULT_TEXT / 2 + "…".len());
        assert_eq!(beginning_of("a\u{1}ä", 9), None);
        assert_eq!(beginning_of("a\u{1}ä", 8).unwrap(), "a\u{1}…");
        let event = Event::parse(&json!({"type": "result", "result": text}).to_string());
        let result = event.result.unwrap();
        assert_eq!(result.text.unwrap(), cut);
        assert_eq!(result.cut_from_bytes, Some(MAX_RESULT_TEXT as u64));
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
            cut_from_bytes: None,
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

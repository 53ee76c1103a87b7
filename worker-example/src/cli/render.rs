//! Shows events to people: a few words for each, with nothing that could control the terminal.

use serde_json::Value;
use temporal_kms_codec_service::terminal;

use crate::{
    client::TaskProgress,
    task::{OWN_TYPE, TaskResult},
};

/// The longest text of a line, in characters.
const LINE: usize = 500;

/// The text for an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    /// The text, safe for a terminal.
    pub(super) text: String,
    /// Claude's last words in it, unchanged.
    pub(super) said: Option<String>,
}

/// The text for an event. `None` if the event is not shown to people.
#[must_use]
pub(super) fn printed(json: &str) -> Option<Shown> {
    let json = serde_json::from_str(json).ok()?;
    Some(Shown {
        text: terminal::lines(&event(&json)?.replace("\r\n", "\n")),
        said: said(&json),
    })
}

/// The text for events that were missed.
#[must_use]
pub(super) fn missed(count: u64) -> String {
    let events = counted(count, "event was", "events were");
    format!("· ({events} printed too fast to follow; the log has them)")
}

/// One line about a task's end.
#[must_use]
pub(super) fn summary(result: &TaskResult) -> String {
    let mut parts = vec![counted(result.events, "event", "events")];
    if let Some(facts) = &result.result {
        parts.extend(facts.num_turns.map(|turns| counted(turns, "turn", "turns")));
        #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
        parts.extend(
            facts
                .duration_ms
                .map(|ms| format!("{:.1} s", ms as f64 / 1000.0)),
        );
        parts.extend(facts.total_cost_usd.map(|usd| format!("${usd:.4}")));
        if facts.permission_denials > 0 {
            let calls = counted(facts.permission_denials, "tool call", "tool calls");
            parts.push(format!("{calls} denied"));
        }
    }
    terminal::line(&format!(
        "{} · log in {} at the worker",
        parts.join(" · "),
        result.logs_path
    ))
}

/// One line about a task that has not ended. `None` if nothing is known.
#[must_use]
pub(super) fn progress(progress: &TaskProgress) -> Option<String> {
    let mut parts = Vec::new();
    parts.extend(progress.step.map(|step| format!("step: {step}")));
    let turns = progress
        .turns
        .map(|turns| format!("{} so far", counted(turns, "turn", "turns")));
    parts.extend(turns);
    parts.extend(progress.cost_usd.map(|usd| format!("${usd:.4} so far")));
    (!parts.is_empty()).then(|| parts.join(" · "))
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Claude's last words in an event.
fn said(event: &Value) -> Option<String> {
    if event.get("type")?.as_str()? != "assistant" {
        return None;
    }
    let content = event.get("message")?.get("content")?.as_array()?;
    let mut texts = content
        .iter()
        .filter(|block| block.get("type").is_some_and(|t| t == "text"));
    Some(texts.next_back()?.get("text")?.as_str()?.to_owned())
}

fn event(event: &Value) -> Option<String> {
    let text = |name: &str| event.get(name).and_then(Value::as_str);
    match (text("type")?, text("subtype")) {
        ("system", Some("init")) => Some(format!("· session with {}", text("model")?)),
        ("system", Some("api_retry")) => {
            let status = event.get("error_status").and_then(Value::as_u64);
            let why = status.map_or_else(|| "no answer".to_owned(), |s| format!("status {s}"));
            Some(format!("· the API failed ({why}), trying again"))
        }
        ("assistant" | "user", _) => {
            let content = event.get("message")?.get("content")?;
            let blocks: Vec<_> = content.as_array()?.iter().filter_map(block).collect();
            (!blocks.is_empty()).then(|| blocks.join("\n"))
        }
        ("text", _) => Some(line(text("content")?)),
        (OWN_TYPE, Some("warnings")) => {
            let warnings = event.get("warnings")?.as_array()?.iter();
            let warnings = warnings.filter_map(Value::as_str);
            let lines: Vec<_> = warnings.map(|text| format!("· warning: {text}")).collect();
            (!lines.is_empty()).then(|| lines.join("\n"))
        }
        // The answer is shown at the task's end.
        (OWN_TYPE, Some("event_left_out")) if text("event_type") != Some("result") => {
            let bytes = event
                .get("bytes")
                .and_then(Value::as_u64)
                .unwrap_or_default();
            let place = match event.get("logged").and_then(Value::as_bool) {
                Some(false) => "too large to keep",
                _ => "too large to show; the log has it",
            };
            Some(format!("· (an event of {bytes} bytes, {place})"))
        }
        _ => None,
    }
}

fn block(block: &Value) -> Option<String> {
    let text = |name: &str| block.get(name).and_then(Value::as_str);
    match text("type")? {
        "text" => text("text").map(str::to_owned),
        "tool_use" => {
            let input = block.get("input").map(Value::to_string).unwrap_or_default();
            Some(format!("→ {} {}", text("name")?, line(&input)))
        }
        "tool_result" => {
            let content = block.get("content")?;
            let shown = content
                .as_str()
                .map_or_else(|| content.to_string(), str::to_owned);
            Some(format!("← {}", line(&shown)))
        }
        _ => None,
    }
}

/// The first line, shortened if it is long.
fn line(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    let mut short: String = first.chars().take(LINE).collect();
    if short.len() < text.trim_end().len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(event: &Value) -> Option<String> {
        printed(&event.to_string()).map(|shown| shown.text)
    }

    #[test]
    fn shows_what_people_care_for() {
        let said = json!({"type": "assistant", "message": {"content": [
            {"type": "text", "text": "Hello\nworld"}, {"type": "thinking", "thinking": "hm"},
            {"type": "tool_use", "name": "Bash", "input": {"command": "ls"}}]}});
        assert_eq!(
            shown(&said).unwrap(),
            "Hello\nworld\n→ Bash {\"command\":\"ls\"}"
        );
        let result = json!({"type": "user", "message": {"content": [
            {"type": "tool_result", "content": "a\nb"}]}});
        assert_eq!(shown(&result).unwrap(), "← a…");
        assert_eq!(shown(&json!({"type": "something new"})), None);
        assert_eq!(shown(&json!({"type": "assistant", "message": 1})), None);
    }

    #[test]
    fn keeps_what_claude_said_last() {
        let said = json!({"type": "assistant", "message": {"content": [
            {"type": "text", "text": "one"}, {"type": "text", "text": "two\u{1b}"}]}});
        let shown = printed(&said.to_string()).unwrap();
        assert_eq!(shown.said.as_deref(), Some("two\u{1b}"));
        assert_eq!(shown.text, "one\ntwo\u{fffd}");
        let text = json!({"type": "text", "content": "other"});
        assert_eq!(printed(&text.to_string()).unwrap().said, None);
    }

    #[test]
    fn one_turn_is_not_turns() {
        assert_eq!(counted(1, "turn", "turns"), "1 turn");
        assert_eq!(counted(0, "turn", "turns"), "0 turns");
    }

    #[test]
    fn shows_how_far_a_task_is() {
        let mut known = TaskProgress::default();
        assert_eq!(progress(&known), None);
        known.step = Some(crate::task::Step::Run);
        assert_eq!(progress(&known).as_deref(), Some("step: running"));
        (known.turns, known.cost_usd) = (Some(1), Some(0.5));
        assert_eq!(
            progress(&known).as_deref(),
            Some("step: running · 1 turn so far · $0.5000 so far")
        );
    }

    #[test]
    fn shows_what_the_worker_does_not_allow() {
        let warnings = json!({"type": "claude_tasks", "subtype": "warnings", "warnings": ["less", "fewer\u{1b}"]});
        assert_eq!(
            shown(&warnings).as_deref(),
            Some("· warning: less\n· warning: fewer\u{fffd}")
        );
    }

    #[test]
    fn what_is_not_claude_s_begins_with_a_dot() {
        let missed = missed(2);
        assert_eq!(
            missed,
            "· (2 events were printed too fast to follow; the log has them)"
        );
        let retry = json!({"type": "system", "subtype": "api_retry", "error_status": 529});
        assert!(shown(&retry).unwrap().starts_with("· "));
    }

    #[test]
    fn says_where_a_large_event_is() {
        let left_out = |kind: &str, logged: bool| {
            shown(&json!({"type": "claude_tasks", "subtype": "event_left_out",
                "event_type": kind, "bytes": 40_000, "logged": logged}))
        };
        let large = "· (an event of 40000 bytes, too large to show; the log has it)";
        assert_eq!(left_out("user", true).as_deref(), Some(large));
        assert!(
            left_out("unknown", false)
                .unwrap()
                .ends_with("too large to keep)")
        );
        assert_eq!(left_out("result", true), None);
    }

    #[test]
    fn nothing_reaches_the_terminal_as_a_command() {
        let hostile = json!({"type": "text", "content": "a\u{1b}]0;title\u{7}\u{9b}2J\u{202e}b"});
        assert_eq!(
            shown(&hostile).unwrap(),
            "a\u{fffd}]0;title\u{fffd}\u{fffd}2J\u{fffd}b"
        );
    }
}

//! Events for people: a few words a line, and nothing that could steer the terminal.

use crate::{follow::Seen, outcome::TaskResult};
use serde_json::Value;

const LINE: usize = 500;

/// What to print for what a follower saw, if anything.
#[must_use]
pub(crate) fn seen(seen: &Seen) -> Option<String> {
    let text = match seen {
        Seen::Missed(count) => {
            format!("({count} events were too fast to follow; the log has them)")
        }
        Seen::Event(json) => event(&serde_json::from_str(json).ok()?)?,
    };
    Some(harmless(&text))
}

/// One line about a task's end.
#[must_use]
pub(crate) fn summary(result: &TaskResult) -> String {
    let mut parts = vec![format!("{} events", result.events)];
    if let Some(facts) = &result.result {
        parts.extend(facts.num_turns.map(|turns| format!("{turns} turns")));
        #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
        parts.extend(
            facts
                .duration_ms
                .map(|ms| format!("{:.1} s", ms as f64 / 1000.0)),
        );
        parts.extend(facts.total_cost_usd.map(|usd| format!("${usd:.4}")));
        if facts.permission_denials > 0 {
            parts.push(format!("{} tool calls denied", facts.permission_denials));
        }
    }
    harmless(&format!(
        "{} · log in {} at the worker",
        parts.join(" · "),
        result.logs_path
    ))
}

/// Replaces what a terminal would obey: control characters but line breaks and tabs, and marks
/// that turn the direction of writing.
#[must_use]
pub(crate) fn harmless(text: &str) -> String {
    let obeyed = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .map(|c| if obeyed(c) { '\u{fffd}' } else { c })
        .collect()
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
        ("claude_tasks", Some("event_left_out")) => {
            Some("· (an event too large to show; the log has it)".to_owned())
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

/// The first line, shortened.
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
    use super::*;
    use serde_json::json;

    fn shown(event: &Value) -> Option<String> {
        seen(&Seen::Event(event.to_string()))
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
    fn nothing_reaches_the_terminal_as_a_command() {
        let hostile = json!({"type": "text", "content": "a\u{1b}]0;title\u{7}\u{9b}2J\u{202e}b"});
        assert_eq!(
            shown(&hostile).unwrap(),
            "a\u{fffd}]0;title\u{fffd}\u{fffd}2J\u{fffd}b"
        );
    }
}

//! The relevant parts of a request body: the prompt, and the state of the conversation.

use serde::Deserialize;
use serde_json::Value;

/// The parts of a Messages API request that this server looks at.
#[derive(Debug, Deserialize)]
pub(crate) struct Conversation {
    #[serde(default)]
    pub(crate) model: String,
    #[serde(default)]
    pub(crate) stream: bool,
    #[serde(default)]
    messages: Vec<Message>,
}

#[derive(Debug, Deserialize)]
struct Message {
    role: String,
    content: Content,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Blocks(Vec<Block>),
}

#[derive(Debug, Deserialize)]
struct Block {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    content: Value,
}

impl Conversation {
    /// What the user typed: the first user message without the reminders that the CLI adds.
    pub(crate) fn prompt(&self) -> String {
        let Some(first) = self.messages.iter().find(|m| m.role == "user") else {
            return String::new();
        };
        match &first.content {
            Content::Text(text) => text.clone(),
            Content::Blocks(blocks) => blocks
                .iter()
                .filter(|b| b.kind == "text" && !b.text.starts_with("<system-reminder>"))
                .map(|b| b.text.as_str())
                .collect::<Vec<_>>()
                .join("\n"),
        }
    }

    /// The results of the tools used so far.
    pub(crate) fn tool_results(&self) -> Vec<String> {
        self.messages
            .iter()
            .filter_map(|m| match &m.content {
                Content::Blocks(blocks) => Some(blocks),
                Content::Text(_) => None,
            })
            .flatten()
            .filter(|b| b.kind == "tool_result")
            .map(|b| text_of(&b.content))
            .collect()
    }
}

fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => blocks
            .iter()
            .filter_map(|b| b.get("text").and_then(Value::as_str))
            .collect::<Vec<_>>()
            .join("\n"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_prompt_and_tool_results() {
        let conversation: Conversation = serde_json::from_str(
            r#"{"model":"m","stream":true,"messages":[
                {"role":"user","content":[
                    {"type":"text","text":"<system-reminder>no</system-reminder>"},
                    {"type":"text","text":"do it"}]},
                {"role":"assistant","content":[{"type":"tool_use","id":"t","name":"Bash","input":{}}]},
                {"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"ok"}]}]}"#,
        )
        .unwrap();
        assert_eq!(conversation.prompt(), "do it");
        assert_eq!(conversation.tool_results(), ["ok"]);
    }
}

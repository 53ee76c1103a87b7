//! Slash commands and subagents as Markdown with front matter.

use serde_json::Value;
use zeroize::Zeroizing;

use crate::task::PromptFile;

/// Words that YAML reads as something else than text.
const SPECIAL: [&str; 12] = [
    "true", "false", "yes", "no", "on", "off", "null", "y", "n", "~", ".nan", ".inf",
];

/// The file's text.
pub(super) fn text(file: &PromptFile) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::new());
    if !file.frontmatter.is_empty() {
        text.push_str("---\n");
        for (name, value) in &file.frontmatter {
            text.push_str(&key(name));
            text.push_str(": ");
            text.push_str(&yaml(value));
            text.push('\n');
        }
        text.push_str("---\n\n");
    }
    text.push_str(file.content.expose());
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

fn key(name: &str) -> String {
    let good = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if is_plain(name) && name.bytes().all(good) {
        name.to_owned()
    } else {
        Value::from(name).to_string()
    }
}

/// A value on one line. JSON is a part of YAML, and escapes every line break, so that no value can end the front matter.
fn yaml(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        value => value.to_string(),
    }
}

/// Whether YAML reads the text as it is, without quotes.
fn is_plain(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || b" ,.-_/".contains(&b);
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(good)
        && !text.ends_with(' ')
        && !SPECIAL.contains(&text.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "the macro makes values")]
    fn written(frontmatter: Value, content: &str) -> String {
        let file = json!({"frontmatter": frontmatter, "content": content});
        let file: PromptFile = serde_json::from_value(file).unwrap();
        text(&file).to_string()
    }

    #[test]
    fn writes_front_matter_that_yaml_reads_back() {
        let hostile = json!({
            "description": "Review: a \"change\"\n---\nname: evil",
            "tools": "Read, Grep",
            "allowed-tools": ["Bash(git:*)", "Read"],
            "yes": "no",
            "a: b": "# not a comment",
            "n": 3,
            "nested": {"k": ["v", null, true]},
            "empty": "",
            "dash": "- x",
        });
        let text = written(hostile.clone(), "Do it");
        let rest = text.strip_prefix("---\n").unwrap();
        let (front, content) = rest.split_once("\n---\n").unwrap();
        assert_eq!(content, "\nDo it\n");
        let read: Value = serde_saphyr::from_str(front).unwrap();
        assert_eq!(read, hostile);
        assert!(front.contains("tools: Read, Grep\n"), "{front}");
    }

    #[test]
    fn without_front_matter_there_is_only_the_text() {
        assert_eq!(written(json!({}), "Text\n"), "Text\n");
    }
}

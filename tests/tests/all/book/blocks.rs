//! Fenced blocks of Markdown, and the mark that a block of commands is not run.

/// What a comment above a block of commands begins with when no test runs it. The reason follows.
const NOT_RUN: &str = "<!-- not run here: ";

/// A fenced block.
#[derive(Debug, PartialEq)]
pub(crate) struct Block<'d> {
    /// The line of its fence, from 1.
    pub(crate) line: usize,
    pub(crate) language: &'d str,
    /// Its lines, without the indentation of its fence.
    pub(crate) lines: Vec<&'d str>,
    /// Why no test runs it.
    pub(crate) not_run: Option<&'d str>,
}

impl Block<'_> {
    pub(crate) fn has_commands(&self) -> bool {
        ["console", "sh", "shell", "bash"].contains(&self.language)
    }
}

/// The fenced blocks of a document.
pub(crate) fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    let mut above = "";
    while let Some((position, line)) = lines.next() {
        let Some(language) = line.trim_start().strip_prefix("```") else {
            above = line.trim();
            continue;
        };
        let indentation = line.len() - line.trim_start().len();
        let inside = lines
            .by_ref()
            .map(|(_, line)| line)
            .take_while(|line| line.trim() != "```")
            .map(|line| line.get(indentation..).unwrap_or_default())
            .collect();
        let reason = above.strip_prefix(NOT_RUN);
        found.push(Block {
            line: position + 1,
            language: language.trim(),
            lines: inside,
            not_run: reason.and_then(|rest| rest.strip_suffix(" -->")),
        });
        above = "";
    }
    found
}

/// The text without fenced blocks and without code in a line.
pub(crate) fn prose(text: &str) -> String {
    let mut prose = String::new();
    let mut inside = false;
    for line in text.lines() {
        let is_fence = line.trim_start().starts_with("```");
        inside ^= is_fence;
        if !inside && !is_fence {
            // Every second part is between backquotes.
            prose.extend(line.split('`').step_by(2));
        }
        prose.push('\n');
    }
    prose
}

#[test]
fn a_block_has_its_language_its_lines_and_its_reason() {
    let text = "Words\n\n```sh\na\n```\n\n1. List\n\n   <!-- not run here: why -->\n   ```console\n   $ b\n   c\n   ```\n";
    let expected = [
        Block {
            line: 3,
            language: "sh",
            lines: vec!["a"],
            not_run: None,
        },
        Block {
            line: 10,
            language: "console",
            lines: vec!["$ b", "c"],
            not_run: Some("why"),
        },
    ];
    assert_eq!(blocks(text), expected);
    assert_eq!(prose("A `b` c\n```\nd\n```\ne"), "A  c\n\n\n\ne\n");
}

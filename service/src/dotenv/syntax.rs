//! The lines of a `.env` file: where an entry ends, what it sets, and where its value ends.

/// The mark that editors of Windows write at the beginning of a file, and the text behind it.
#[must_use]
pub fn split_mark(text: &str) -> (&str, &str) {
    let rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.split_at(text.len() - rest.len())
}

/// The first entry of a text and what follows it: a line, or all lines of a quoted value. A quote without an end opens
/// nothing.
#[must_use]
pub fn split_entry(text: &str) -> (&str, &str) {
    let line_end = |from: usize| {
        let tail = text.get(from..).unwrap_or_default();
        tail.find('\n').map_or(text.len(), |end| from + end + 1)
    };
    let first = line_end(0);
    let line = text.get(..first).unwrap_or(text);
    let closing = assignment(line).and_then(|(_, assigned)| {
        let start = line.len() - assigned.len();
        let quoted = text.get(start..)?;
        quoted_len(quoted).map(|len| start + len)
    });
    text.split_at(closing.map_or(first, line_end))
}

/// The name that a line sets, and what follows `NAME=`.
#[must_use]
pub fn assignment(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_start();
    let line = line
        .strip_prefix("export")
        .filter(|rest| rest.starts_with([' ', '\t']))
        .map_or(line, str::trim_start);
    let (name, assigned) = line.split_once('=')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (!name.is_empty() && name.bytes().all(plain)).then_some((name, assigned))
}

/// A value without its quotes, and what follows it: a comment, the end of the line.
#[must_use]
pub fn split_value(assigned: &str) -> (&str, &str) {
    if let Some(len) = quoted_len(assigned) {
        let (quoted, tail) = assigned.split_at(len);
        return (quoted.get(1..len - 1).unwrap_or_default(), tail);
    }
    let end = assigned.find(char::is_whitespace);
    assigned.split_at(end.unwrap_or(assigned.len()))
}

/// The length of a quoted value with its quotes. A backslash escapes a quote within double quotes.
fn quoted_len(assigned: &str) -> Option<usize> {
    let quote = assigned
        .chars()
        .next()
        .filter(|c| matches!(c, '"' | '\''))?;
    let mut escaped = false;
    for (position, c) in assigned.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == quote {
            return Some(position + 1);
        } else {
            escaped = c == '\\' && quote == '"';
        }
    }
    None
}

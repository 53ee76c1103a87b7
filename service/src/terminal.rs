//! Text from outside, made safe to print: it cannot move the cursor, hide lines or reverse the direction of writing.

use std::fmt::Write as _;

/// One line: every control character becomes U+FFFD, line breaks and tabs too.
#[must_use]
pub fn line(text: &str) -> String {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    text.chars()
        .map(|c| if obeyed(c) { '\u{fffd}' } else { c })
        .collect()
}

/// Several lines: as [`line()`], but line breaks and tabs stay.
#[must_use]
pub fn lines(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => c,
            c if obeyed(c) => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// JSON on one line: characters that steer a terminal become `\uXXXX` escapes, so that the value stays the same. A text
/// that is not JSON stays on one line, too.
#[must_use]
pub fn json(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if obeyed(c) {
            // All of them are in the Basic Multilingual Plane.
            let _ = write!(safe, "\\u{:04x}", u32::from(c));
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Whether a terminal acts on this character instead of showing it: controls, line separators, and the marks that
/// change the direction of writing (Unicode TR 36, "Bidirectional Text Spoofing").
fn obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_holds_nothing_that_steers_the_terminal() {
        assert_eq!(
            line("a\u{1b}[2J\nb\u{202e}c\t\u{9b}\u{2028}d"),
            "a\u{fffd}[2J\u{fffd}b\u{fffd}c\u{fffd}\u{fffd}\u{fffd}d"
        );
    }

    #[test]
    fn json_keeps_its_value_and_steers_nothing() {
        let text = "{\"a\":\"\u{7f}\u{9b}2J\u{202e}ä😀\"}";
        let safe = json(text);
        assert_eq!(safe, r#"{"a":"\u007f\u009b2J\u202eä😀"}"#);
        assert_eq!(json("\u{1b}[2J\n"), r"\u001b[2J\u000a");
    }

    #[test]
    fn several_lines_keep_their_breaks_and_tabs() {
        assert_eq!(lines("a\n\tb\r\u{1b}"), "a\n\tb\u{fffd}\u{fffd}");
    }
}

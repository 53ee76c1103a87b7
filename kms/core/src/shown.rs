//! Untrusted text in errors: shortened, and without characters that control a terminal or a log.

/// At most `max` characters of `text`. Characters that cannot be printed are escaped, also those that change the
/// direction of writing.
pub fn shown(text: &str, max: usize) -> String {
    let mut shown: String = text
        .chars()
        .take(max)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(max).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_and_escaped() {
        assert_eq!(shown("pröd.a1b2c", 64), "pröd.a1b2c");
        assert_eq!(shown("abcd", 3), "abc…");
        assert_eq!(
            shown("a\u{1b}[31m\n\u{202e}", 64),
            "a\\u{1b}[31m\\n\\u{202e}"
        );
    }
}

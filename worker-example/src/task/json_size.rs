//! The length of a text as a JSON string. Temporal's limits count the JSON and not the text.

/// The length of a character inside a JSON string, in bytes.
pub(crate) fn of_char(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..'\u{20}' => 6,
        c => c.len_utf8(),
    }
}

/// The length of a text as a JSON string with its quotes, in bytes.
pub(crate) fn of_text(text: &str) -> usize {
    text.chars().map(of_char).sum::<usize>() + 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_what_serde_writes() {
        let controls: String = ('\0'..='\u{a0}').collect();
        for text in ["", "plain", "\"\\", "ä\u{2028}😀", &controls] {
            assert_eq!(
                of_text(text),
                serde_json::to_string(text).unwrap().len(),
                "{text:?}"
            );
        }
    }
}

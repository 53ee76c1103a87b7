//! The length and the depth of values as JSON. Temporal's limits count the JSON and not the text.

use std::io;

use serde::Serialize;
use serde_json::Value;

/// The length of a character inside a JSON string, in bytes.
pub(crate) fn of_char(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..'\u{20}' => 6,
        c => c.len_utf8(),
    }
}

/// The length of a value as JSON, in bytes. It makes no copy, because the value may hold secrets.
pub(crate) fn of_value<T: Serialize + ?Sized>(value: &T) -> usize {
    struct Counted(usize);
    impl io::Write for Counted {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.saturating_add(bytes.len());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut counted = Counted(0);
    // This cannot fail: the writer accepts everything.
    let _ = serde_json::to_writer(&mut counted, value);
    counted.0
}

/// How deeply a value is nested. A text or a number has depth 0.
pub(crate) fn depth_of(value: &Value) -> usize {
    let below = |values: &mut dyn Iterator<Item = &Value>| values.map(depth_of).max();
    match value {
        Value::Array(values) => 1 + below(&mut values.iter()).unwrap_or(0),
        Value::Object(fields) => 1 + below(&mut fields.values()).unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
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

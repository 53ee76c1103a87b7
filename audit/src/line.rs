//! A line of a log, read back.

use serde_json::{Map, Value};

use crate::chain::Hash;

/// The longest line that is read. Those of the log are shorter.
pub(crate) const LONGEST: usize = 64 << 10;

/// A line of a log: its place in the chain, and its values.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Line {
    /// Its number.
    pub seq: u64,
    /// The hash of the line before, as this line has it.
    pub prev: Hash,
    /// Its values, with `seq` and `prev`.
    pub fields: Map<String, Value>,
}

impl Line {
    /// Reads a line, with or without its line feed. `None` when it is not a line of an audit log.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        if text.len() > LONGEST {
            return None;
        }
        // The exact form, so that a line has one form only.
        let rest = text.strip_prefix(b"{\"seq\":")?;
        let end = rest.iter().position(|byte| !byte.is_ascii_digit())?;
        let (digits, rest) = rest.split_at(end);
        if digits.first() == Some(&b'0') {
            return None;
        }
        let seq = std::str::from_utf8(digits).ok()?.parse().ok()?;
        let (prev, rest) = rest.strip_prefix(b",\"prev\":\"")?.split_at_checked(64)?;
        let prev = Hash::parse(prev)?;
        rest.strip_prefix(b"\",\"time\":\"")?;
        let Ok(Value::Object(fields)) = serde_json::from_slice(text) else {
            return None;
        };
        Some(Self { seq, prev, fields })
    }

    /// A value that is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name)?.as_str()
    }

    /// A value that is a number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.fields.get(name)?.as_u64()
    }

    /// What happened, such as `request`.
    #[must_use]
    pub fn event(&self) -> &str {
        self.text("event").unwrap_or_default()
    }

    /// The hash that the value `name` holds.
    pub(crate) fn hash(&self, name: &str) -> Option<Hash> {
        Hash::parse(self.text(name)?.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_form_is_a_line() {
        let zeros = "0".repeat(64);
        let good = format!("{{\"seq\":7,\"prev\":\"{zeros}\",\"time\":\"t\",\"event\":\"stop\"}}");
        let line = Line::parse(good.as_bytes()).unwrap();
        assert_eq!((line.seq, line.prev, line.event()), (7, Hash::ZERO, "stop"));
        for bad in [
            good.replace(":7,", ":07,"),
            good.replace(":7,", ":-7,"),
            good.replace(":7,", ": 7,"),
            good.replace(":7,", ":18446744073709551616,"),
            good.replace("{\"seq\"", " {\"seq\""),
            good.replacen('0', "A", 1),
            good.replace('}', ""),
            format!("{good}x"),
            String::new(),
        ] {
            assert_eq!(Line::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}

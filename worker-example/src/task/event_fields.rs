//! The fields of an event as every reader sees them.
//!
//! Readers of JSON disagree: some match names whatever their case, as Go's do, and of a name that is given twice some take
//! the first value and some the last. An event must not be ours to one reader and Claude Code's to another.

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::Value;
use std::fmt;

use super::OWN_TYPE;

/// The fields of a JSON object in their order, also those that are given twice.
#[derive(Debug)]
pub(crate) struct Fields(Vec<(String, Value)>);

impl Fields {
    /// Reads a JSON object; none where the text is something else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The text of a field, by its exact name.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let mut fields = self.0.iter().rev();
        fields.find(|(field, _)| field == name)?.1.as_str()
    }

    /// Whether any reader can take it for an event of this program.
    pub(crate) fn claims_to_be_ours(&self) -> bool {
        self.named("type").any(|value| value == OWN_TYPE)
    }

    /// Whether readers can disagree on the value of a field.
    pub(crate) fn is_ambiguous(&self, name: &str) -> bool {
        self.named(name).count() > 1
    }

    /// As one value; of a field that is given twice, the last.
    pub(crate) fn into_value(self) -> Value {
        Value::Object(self.0.into_iter().collect())
    }

    fn named(&self, name: &str) -> impl Iterator<Item = &Value> {
        let fields = self.0.iter();
        let named = fields.filter(move |(field, _)| field.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value)
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(InOrder)
    }
}

struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Fields(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_what_any_reader_can_see() {
        for ours in [
            r#"{"type":"claude_tasks"}"#,
            r#"{"Type":"claude_tasks"}"#,
            r#"{"type":"a","TYPE":"claude_tasks"}"#,
            r#"{"type":"claude_tasks","type":"a"}"#,
        ] {
            assert!(Fields::parse(ours).unwrap().claims_to_be_ours(), "{ours}");
        }
        let twice =
            Fields::parse(r#"{"type":"a","x":{"type":"claude_tasks"},"type":"b"}"#).unwrap();
        assert!(!twice.claims_to_be_ours() && twice.is_ambiguous("type"));
        assert_eq!(twice.text("type"), Some("b"));
        assert_eq!(twice.into_value()["type"], "b");
        for other in ["[1]", "1", "{\"cut", "{} x", ""] {
            assert!(Fields::parse(other).is_none(), "{other}");
        }
    }
}

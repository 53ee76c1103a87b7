//! The fields of an event, as different readers of JSON see them.
//!
//! Readers disagree. Go's reader ignores the case of names. When a name is given twice, some readers take the first value
//! and some the last. An event must not look like ours to one reader and like Claude Code's to another.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::Value;

/// The type of the events that this program adds to Claude Code's.
pub(crate) const OWN_TYPE: &str = "claude_tasks";

/// The fields of a JSON object in their order, including fields that are given twice.
#[derive(Debug)]
pub(crate) struct EventFields(Vec<(String, Value)>);

impl EventFields {
    /// Reads a JSON object. `None` for any other text.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The text of the field with exactly this name; the last one if there are several.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let mut fields = self.0.iter().rev();
        fields.find(|(field, _)| field == name)?.1.as_str()
    }

    /// Whether some reader could take the event for one of this program.
    pub(crate) fn claims_to_be_ours(&self) -> bool {
        self.named("type").any(|value| value == OWN_TYPE)
    }

    /// Whether readers could disagree on the value of a field.
    pub(crate) fn is_ambiguous(&self, name: &str) -> bool {
        self.named(name).count() > 1
    }

    /// One JSON value. Of a field that is given twice, it has the last value.
    pub(crate) fn into_value(self) -> Value {
        Value::Object(self.0.into_iter().collect())
    }

    fn named(&self, name: &str) -> impl Iterator<Item = &Value> {
        let fields = self.0.iter();
        let named = fields.filter(move |(field, _)| field.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value)
    }
}

impl<'de> Deserialize<'de> for EventFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(InOrder)
    }
}

struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = EventFields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<EventFields, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(EventFields(fields))
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
            assert!(
                EventFields::parse(ours).unwrap().claims_to_be_ours(),
                "{ours}"
            );
        }
        let twice =
            EventFields::parse(r#"{"type":"a","x":{"type":"claude_tasks"},"type":"b"}"#).unwrap();
        assert!(!twice.claims_to_be_ours() && twice.is_ambiguous("type"));
        assert_eq!(twice.text("type"), Some("b"));
        assert_eq!(twice.into_value()["type"], "b");
        for other in ["[1]", "1", "{\"cut", "{} x", ""] {
            assert!(EventFields::parse(other).is_none(), "{other}");
        }
    }
}

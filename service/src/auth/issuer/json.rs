//! JSON in which no object has a name twice. Two readers of such an object could see different values.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

/// An object without duplicate names, at any depth.
pub(in crate::auth) struct UniqueObject(pub(in crate::auth) Map<String, Value>);

/// Why a text is not such an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::auth) enum NotUnique {
    /// It is not a JSON object.
    Malformed,
    /// A name is there twice.
    Duplicate,
}

const DUPLICATE: &str = "duplicate name";

impl UniqueObject {
    /// Reads a whole text.
    pub(in crate::auth) fn read(text: &[u8]) -> Result<Self, NotUnique> {
        match serde_json::from_slice(text) {
            Ok(Unique(Value::Object(object))) => Ok(Self(object)),
            // The text is our own.
            Err(error) if error.to_string().starts_with(DUPLICATE) => Err(NotUnique::Duplicate),
            Ok(_) | Err(_) => Err(NotUnique::Malformed),
        }
    }
}

struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Unique;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Unique, E> {
        Ok(Unique(Value::Null))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Unique, E> {
        Ok(Unique(Value::Bool(value)))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Unique, E> {
        Ok(Unique(Value::Number(value.into())))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Unique, E> {
        Ok(Unique(Value::Number(value.into())))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Unique, E> {
        let number = Number::from_f64(value).map_or(Value::Null, Value::Number);
        Ok(Unique(number))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Unique, E> {
        Ok(Unique(Value::String(value.to_owned())))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Unique, E> {
        Ok(Unique(Value::String(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Unique, A::Error> {
        let mut list = Vec::new();
        while let Some(Unique(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Unique(Value::Array(list)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Unique, A::Error> {
        let mut object = Map::new();
        while let Some((name, Unique(value))) = entries.next_entry::<String, Unique>()? {
            if object.insert(name, value).is_some() {
                return Err(de::Error::custom(DUPLICATE));
            }
        }
        Ok(Unique(Value::Object(object)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_are_refused_at_any_depth() {
        let text = br#"{"a":[1,-2,0.5,true,null,"\u0062"],"b":{"a":{}}}"#;
        let read = UniqueObject::read(text).unwrap();
        let plain: Value = serde_json::from_slice(text).unwrap();
        assert_eq!(Value::Object(read.0), plain);
        for (text, expected) in [
            (r#"{"a":1,"a":1}"#, NotUnique::Duplicate),
            (r#"{"a":1,"\u0061":2}"#, NotUnique::Duplicate),
            (r#"{"a":[{"b":{"c":1,"c":2}}]}"#, NotUnique::Duplicate),
            ("[]", NotUnique::Malformed),
            ("{} {}", NotUnique::Malformed),
            ("", NotUnique::Malformed),
            ("{\"a\":\"\\ud800\"}", NotUnique::Malformed),
        ] {
            let error = UniqueObject::read(text.as_bytes()).err();
            assert_eq!(error, Some(expected), "{text}");
        }
        let deep = [b"{\"a\":".repeat(200), b"1".to_vec(), b"}".repeat(200)].concat();
        assert_eq!(UniqueObject::read(&deep).err(), Some(NotUnique::Malformed));
    }
}

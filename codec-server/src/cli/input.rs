//! The forms in which payloads come on stdin, and how each is written again.

use std::{collections::BTreeSet, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use temporal_kms_codec::Payload;
use temporal_kms_codec_proto::json::{self, Found, JsonError, Limits};

/// The input, taken apart.
#[derive(Debug)]
pub(super) enum Input {
    /// One payload object.
    One(Payload),
    /// `{"payloads":[…]}`.
    Body(Vec<Payload>),
    /// A bare list of payloads.
    List(Vec<Payload>),
    /// JSON with payloads somewhere inside.
    Document { text: Vec<u8>, found: Vec<Found> },
}

impl Input {
    /// Payloads in a document are as many as fit into it: its size is limited already.
    pub(super) fn parse(text: Vec<u8>) -> Result<Self, JsonError> {
        let limits = Limits {
            max_payloads: usize::MAX,
        };
        Ok(match Shape::of(&text) {
            Shape::One => Self::One(json::parse_payload(&text)?),
            Shape::Body => Self::Body(json::parse_payloads(&text, &limits)?.payloads),
            Shape::List => Self::List(json::parse_payload_list(&text, &limits)?),
            Shape::Document => {
                let found = json::find_payloads(&text, &limits)?;
                Self::Document { text, found }
            }
        })
    }

    pub(super) fn payloads(&self) -> Vec<Payload> {
        match self {
            Self::One(payload) => vec![payload.clone()],
            Self::Body(payloads) | Self::List(payloads) => payloads.clone(),
            Self::Document { found, .. } => found.iter().map(|one| one.payload.clone()).collect(),
        }
    }

    /// The same with other payloads, of which there are as many. One that did not change keeps its own spelling.
    pub(super) fn write(&self, payloads: &[Payload]) -> Vec<u8> {
        match self {
            Self::One(old) => json::write_payload(payloads.first().unwrap_or(old)),
            Self::Body(_) => json::write_payloads(payloads),
            Self::List(_) => json::write_payload_list(payloads),
            Self::Document { text, found } => {
                let changed = found
                    .iter()
                    .zip(payloads)
                    .filter(|(old, new)| old.payload != **new);
                let replacements = changed.map(|(old, new)| (old.range.clone(), new));
                json::replace_payloads(text, replacements)
            }
        }
    }

    /// Where a payload stands, for people.
    pub(super) fn place(&self, index: usize) -> String {
        match self {
            Self::One(_) => "the payload".to_owned(),
            Self::Body(_) | Self::List(_) => format!("payloads[{index}]"),
            Self::Document { text, found } => {
                let start = found.get(index).map_or(0, |one| one.range.start);
                let before = text.get(..start).unwrap_or_default();
                let line = before.split(|byte| *byte == b'\n').count();
                format!("the payload in line {line}")
            }
        }
    }
}

enum Shape {
    One,
    Body,
    List,
    Document,
}

impl Shape {
    fn of(text: &[u8]) -> Self {
        if let Ok(Keys(keys)) = serde_json::from_slice(text) {
            return match keys.contains("payloads") {
                true if keys.len() == 1 => Self::Body,
                _ if !keys.is_empty() && is_payload(&keys) => Self::One,
                _ => Self::Document,
            };
        }
        match serde_json::from_slice::<Vec<Keys>>(text) {
            Ok(list) if list.iter().all(|Keys(keys)| is_payload(keys)) => Self::List,
            _ => Self::Document,
        }
    }
}

fn is_payload(keys: &BTreeSet<String>) -> bool {
    keys.iter().all(|key| {
        matches!(
            key.as_str(),
            "metadata" | "data" | "externalPayloads" | "external_payloads"
        )
    })
}

/// The keys of an object, whatever their values.
struct Keys(BTreeSet<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(KeysVisitor)
    }
}

struct KeysVisitor;

impl<'de> Visitor<'de> for KeysVisitor {
    type Value = Keys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
        let mut keys = BTreeSet::new();
        while let Some((key, IgnoredAny)) = map.next_entry()? {
            keys.insert(key);
        }
        Ok(Keys(keys))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Input {
        Input::parse(text.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn every_form_is_recognised_and_written_as_it_came() {
        let new = Payload {
            data: b"A".to_vec(),
            ..Payload::default()
        };
        for (text, count, expected) in [
            (r#"{"data":"Qg=="}"#, 1, r#"{"data":"QQ=="}"#),
            (
                r#"{"metadata":{"encoding":"Yg=="}}"#,
                1,
                r#"{"data":"QQ=="}"#,
            ),
            (
                r#"{"payloads":[{"data":"Qg"}]}"#,
                1,
                r#"{"payloads":[{"data":"QQ=="}]}"#,
            ),
            (r#"{"payloads":[]}"#, 0, r#"{"payloads":[]}"#),
            (
                r#"[{"data":"Qg"},{}]"#,
                2,
                r#"[{"data":"QQ=="},{"data":"QQ=="}]"#,
            ),
            ("[]", 0, "[]"),
            (
                r#"{ "payloads":[{"metadata":{"encoding":"Yg"}}], "x": 1e400 }"#,
                1,
                r#"{ "payloads":[{"data":"QQ=="}], "x": 1e400 }"#,
            ),
            (
                r#"[{"events": [{"metadata":{"encoding":"Yg"}}]}]"#,
                1,
                r#"[{"events": [{"data":"QQ=="}]}]"#,
            ),
            ("{}", 0, "{}"),
            ("1", 0, "1"),
        ] {
            let input = parse(text);
            assert_eq!(input.payloads().len(), count, "{text}");
            let written = input.write(&vec![new.clone(); count]);
            assert_eq!(String::from_utf8(written).unwrap(), expected);
        }
    }

    #[test]
    fn a_payload_that_did_not_change_keeps_its_spelling() {
        let text = r#"{"a": { "data" : "QQ", "metadata" : { "encoding" : "Yg" } } }"#;
        let input = parse(text);
        assert_eq!(input.write(&input.payloads()), text.as_bytes());
    }

    #[test]
    fn says_where_a_payload_stands() {
        assert_eq!(parse("[{},{}]").place(1), "payloads[1]");
        let input = parse("{\n\"a\":\n{\"metadata\":{\"encoding\":\"Yg\"}}}");
        assert_eq!(input.place(0), "the payload in line 3");
    }
}

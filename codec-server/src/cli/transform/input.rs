//! The forms in which payloads are read, and how each is written again.

use std::{collections::BTreeSet, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use temporal_kms_codec::Payload;
use temporal_kms_codec_proto::json::{self, Found, JsonError, Limits, Places};
use zeroize::Zeroizing;

/// The size of a document is limited, and with it the number of payloads.
const LIMITS: Limits = Limits {
    max_payloads: usize::MAX,
};

/// The parsed input.
#[derive(Debug)]
pub(super) enum Input {
    /// One payload object.
    One(Payload),
    /// `{"payloads":[…]}`.
    Body(Vec<Payload>),
    /// A bare list of payloads.
    List(Vec<Payload>),
    /// JSON with payloads somewhere inside.
    Document {
        text: Zeroizing<Vec<u8>>,
        found: Vec<Found>,
    },
}

/// A payload of a document that cannot be read.
pub(super) struct Broken {
    pub(super) index: usize,
    pub(super) error: JsonError,
}

impl Input {
    pub(super) fn parse(text: Zeroizing<Vec<u8>>) -> Result<Self, JsonError> {
        let strict = match Shape::of(&text) {
            Shape::One => json::parse_payload(&text).map(Self::One),
            Shape::Body => {
                json::parse_payloads(&text, &LIMITS).map(|body| Self::Body(body.payloads))
            }
            Shape::List => json::parse_payload_list(&text, &LIMITS).map(Self::List),
            Shape::Document => {
                let found = json::find_payloads(&text, &LIMITS)?;
                return Ok(Self::Document { text, found });
            }
        };
        // With a broken payload the input is read as a document, so that the others can be processed.
        strict.or_else(|error| match json::find_payloads(&text, &LIMITS) {
            Ok(found) if !found.is_empty() => Ok(Self::Document { text, found }),
            _ => Err(error),
        })
    }

    /// Whether it is a document without a payload. An empty list of payloads is a list.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Document { found, .. } if found.is_empty())
    }

    /// The payloads that can be read, in order.
    pub(super) fn payloads(&self) -> Vec<Payload> {
        match self {
            Self::One(payload) => vec![payload.clone()],
            Self::Body(payloads) | Self::List(payloads) => payloads.clone(),
            Self::Document { found, .. } => readable(found)
                .map(|(_, _, payload)| payload.clone())
                .collect(),
        }
    }

    /// The payloads that cannot be read.
    pub(super) fn broken(&self) -> Vec<Broken> {
        let Self::Document { found, .. } = self else {
            return Vec::new();
        };
        let broken = found.iter().enumerate().filter_map(|(index, one)| {
            let error = one.payload.clone().err()?;
            Some(Broken { index, error })
        });
        broken.collect()
    }

    /// The indices of the payloads that can be read, among all payloads.
    pub(super) fn indices(&self) -> Vec<usize> {
        match self {
            Self::Document { found, .. } => readable(found).map(|(index, _, _)| index).collect(),
            all => (0..all.payloads().len()).collect(),
        }
    }

    /// The input with each payload replaced. A payload that did not change keeps its spelling.
    pub(super) fn write(&self, payloads: &[Payload]) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self {
            Self::One(old) => json::write_payload(payloads.first().unwrap_or(old)),
            Self::Body(_) => json::write_payloads(payloads),
            Self::List(_) => json::write_payload_list(payloads),
            Self::Document { text, found } => {
                let changed = readable(found)
                    .zip(payloads)
                    .filter(|((_, _, old), new)| old != new);
                let replacements = changed.map(|((_, one, _), new)| (one.range.clone(), new));
                json::replace_payloads(text, replacements)
            }
        })
    }

    /// Where payloads are, for people.
    pub(super) fn places(&self) -> PayloadPlaces<'_> {
        match self {
            Self::One(_) => PayloadPlaces::One,
            Self::Body(_) | Self::List(_) => PayloadPlaces::List,
            Self::Document { text, found } => PayloadPlaces::Document {
                found,
                places: Places::of(text),
            },
        }
    }
}

fn readable(found: &[Found]) -> impl Iterator<Item = (usize, &Found, &Payload)> {
    let all = found.iter().enumerate();
    all.filter_map(|(index, one)| Some((index, one, one.payload.as_ref().ok()?)))
}

/// The places of payloads. They must be asked for in order.
pub(super) enum PayloadPlaces<'i> {
    One,
    List,
    Document {
        found: &'i [Found],
        places: Places<'i>,
    },
}

impl PayloadPlaces<'_> {
    pub(super) fn of(&mut self, index: usize) -> String {
        match self {
            Self::One => "the payload".to_owned(),
            Self::List => format!("payloads[{index}]"),
            Self::Document { found, places } => {
                let start = found.get(index).map_or(0, |one| one.range.start);
                format!("the payload at {}", places.at(start))
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

/// The keys of an object, without their values.
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
        Input::parse(Zeroizing::new(text.as_bytes().to_vec())).unwrap()
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
            assert_eq!(String::from_utf8(written.to_vec()).unwrap(), expected);
        }
    }

    #[test]
    fn a_payload_that_did_not_change_keeps_its_spelling() {
        let text = r#"{"a": { "data" : "QQ", "metadata" : { "encoding" : "Yg" } } }"#;
        let input = parse(text);
        assert_eq!(*input.write(&input.payloads()), text.as_bytes());
    }

    #[test]
    fn says_where_a_payload_is() {
        assert_eq!(parse("[{},{}]").places().of(1), "payloads[1]");
        let input = parse("{\n\"a\":\n {\"metadata\":{\"encoding\":\"Yg\"}}}");
        assert_eq!(input.places().of(0), "the payload at line 3, column 2");
    }

    #[test]
    fn a_broken_payload_does_not_hide_the_others() {
        let broken = r#"{"metadata":{"encoding":"Yg"},"data":"?"}"#;
        for text in [
            format!(r#"{{"payloads":[{{"data":"QQ","metadata":{{"encoding":"Yg"}}}},{broken}]}}"#),
            format!(r#"[{broken},{{"data":"QQ","metadata":{{"encoding":"Yg"}}}}]"#),
            format!(r#"{{"a":{{"data":"QQ","metadata":{{"encoding":"Yg"}}}},"b":{broken}}}"#),
        ] {
            let input = parse(&text);
            assert_eq!((input.payloads().len(), input.broken().len()), (1, 1));
            assert_ne!(input.indices(), [input.broken()[0].index]);
            assert_eq!(*input.write(&input.payloads()), text.as_bytes());
        }
    }
}

//! Reads payloads: serde visitors build the messages in one pass and decode base64 directly from the text.

use std::{cell::Cell, collections::btree_map::Entry, fmt};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use super::{
    base64::decode_base64,
    error::{Field, JsonError, Place, Position},
    fast,
    limits::{Limits, MAX_METADATA},
};
use crate::{
    Erase, Payload, Payloads, Plain, Room, SharedPayload, payload::ExternalPayloadDetails,
};

/// How many externally stored parts a payload may name.
const MAX_EXTERNAL_PAYLOADS: usize = 64;

/// Parses `{"payloads":[…]}`.
///
/// # Errors
/// For every mistake in the right column of the [module's](super) table.
pub fn parse_payloads(body: &[u8], limits: &Limits) -> Result<Payloads, JsonError> {
    match fast::payloads(body, limits) {
        Some(shared) => {
            let payloads = shared.into_iter().map(SharedPayload::into_payload);
            Ok(Payloads {
                payloads: payloads.collect(),
            })
        }
        None => parse_any_payloads(body, limits),
    }
}

/// As [`parse_payloads`], for a body that [`parse_shared_payloads_in_parts`] has refused. That reader is not tried again.
///
/// # Errors
/// As [`parse_payloads`].
pub fn parse_any_shared_payloads(
    body: &[u8],
    limits: &Limits,
) -> Result<Vec<SharedPayload>, JsonError> {
    let payloads = parse_any_payloads(body, limits)?.payloads;
    Ok(payloads.into_iter().map(SharedPayload::from).collect())
}

/// As [`parse_payloads`], for a body in parts and in the form that most clients send. Payloads with the same metadata share
/// them. `None` for other forms, which [`parse_any_shared_payloads`] reads. The body may be cut anywhere.
///
/// There is `room` around data of half a KiB and more. `last` are metadata that were read before, and their text. They are not
/// read again, and replaced by the last ones of this body that are in one part.
#[must_use]
pub fn parse_shared_payloads_in_parts<'b>(
    parts: &'b [&'b [u8]],
    limits: &Limits,
    room: Room,
    last: &mut fast::Last<'b>,
) -> Option<Vec<SharedPayload>> {
    fast::payloads_in_parts(parts, limits, room, last)
}

/// As [`parse_payloads`], for every form of a body.
pub(super) fn parse_any_payloads(body: &[u8], limits: &Limits) -> Result<Payloads, JsonError> {
    let context = Context::new(Field::Body, limits);
    let payloads = parse(body, &context, Body(&context))?;
    Ok(Payloads { payloads })
}

/// Parses a bare list of payloads, `[{"metadata":…,"data":…},…]`.
///
/// # Errors
/// As [`parse_payloads`].
pub fn parse_payload_list(json: &[u8], limits: &Limits) -> Result<Vec<Payload>, JsonError> {
    let context = Context::new(Field::Payloads, limits);
    parse(json, &context, PayloadList(&context))
}

/// Parses one payload object.
///
/// # Errors
/// As [`parse_payloads`].
pub fn parse_payload(json: &[u8]) -> Result<Payload, JsonError> {
    let context = Context::new(Field::Payload, &Limits { max_payloads: 1 });
    parse(json, &context, PayloadObject(&context))
}

fn parse<'de, T: Erase + Default>(
    json: &'de [u8],
    context: &Context,
    seed: impl DeserializeSeed<'de, Value = Plain<T>>,
) -> Result<T, JsonError> {
    let text = text(json)?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    seed.deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value.into_inner()))
        .map_err(|error| context.explain(&error))
}

/// The body as text. It is checked once as a whole, which is faster than checking each string.
pub(super) fn text(json: &[u8]) -> Result<&str, JsonError> {
    if json.trim_ascii().is_empty() {
        return Err(JsonError::Empty);
    }
    std::str::from_utf8(json).map_err(|error| JsonError::NotUtf8 {
        offset: error.valid_up_to(),
    })
}

pub(super) fn position(error: &serde_json::Error) -> Position {
    Position {
        line: error.line(),
        column: error.column(),
    }
}

/// The visitors' current place and error. `serde_json`'s own messages quote the input, so only their position and
/// category are used.
struct Context {
    max_payloads: usize,
    payload: Cell<Option<usize>>,
    field: Cell<Field>,
    fault: Cell<Option<Fault>>,
}

#[derive(Clone, Copy)]
enum Fault {
    NotBase64,
    NullPayload,
    TooManyPayloads,
    TooMany { limit: usize },
    Duplicate,
    Shape,
}

impl Context {
    fn new(root: Field, limits: &Limits) -> Self {
        Self {
            max_payloads: limits.max_payloads,
            payload: Cell::new(None),
            field: Cell::new(root),
            fault: Cell::new(None),
        }
    }

    fn fail<E: serde::de::Error>(&self, fault: Fault) -> E {
        self.fault.set(Some(fault));
        E::custom("refused")
    }

    fn fail_at<E: serde::de::Error>(&self, field: Field, fault: Fault) -> E {
        self.field.set(field);
        self.fail(fault)
    }

    /// Checks that `slot` is still empty, because a known field may be given only once.
    fn once<T, E: serde::de::Error>(&self, slot: Option<&T>, field: Field) -> Result<(), E> {
        self.field.set(field);
        match slot {
            None => Ok(()),
            Some(_) => Err(self.fail(Fault::Duplicate)),
        }
    }

    fn explain(&self, error: &serde_json::Error) -> JsonError {
        let at = position(error);
        let place = Place {
            payload: self.payload.get(),
            field: self.field.get(),
        };
        match self.fault.get() {
            Some(Fault::NotBase64) => JsonError::NotBase64 { place, at },
            Some(Fault::NullPayload) => JsonError::NullPayload { place, at },
            Some(Fault::TooManyPayloads) => JsonError::TooManyPayloads {
                limit: self.max_payloads,
            },
            Some(Fault::TooMany { limit }) => JsonError::TooMany { place, limit, at },
            Some(Fault::Duplicate) => JsonError::Duplicate { place, at },
            Some(Fault::Shape) => JsonError::Shape { place, at },
            None => match error.classify() {
                Category::Data => JsonError::Shape { place, at },
                Category::Eof => JsonError::Incomplete { at },
                Category::Syntax | Category::Io => JsonError::Syntax { at },
            },
        }
    }
}

/// A visitor that carries the context, and is its own seed. What can be plaintext is [`Plain`] until the whole text is read.
macro_rules! node {
    ($name:ident -> $value:ty { $($methods:tt)* }) => {
        struct $name<'c>(&'c Context);

        impl<'de> DeserializeSeed<'de> for $name<'_> {
            type Value = $value;

            fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<$value, D::Error> {
                from.deserialize_any(self)
            }
        }

        impl<'de> Visitor<'de> for $name<'_> {
            type Value = $value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }

            $($methods)*
        }
    };
}

node!(Body -> Plain<Vec<Payload>> {
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut payloads = None;
        while let Some(key) = map.next_key_seed(KnownKey)? {
            if key == Key::Payloads {
                self.0.once(payloads.as_ref(), Field::Payloads)?;
                payloads = Some(map.next_value_seed(PayloadList(self.0))?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(payloads.unwrap_or_default())
    }
});

node!(PayloadList -> Plain<Vec<Payload>> {
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Plain::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut payloads = Plain::<Vec<Payload>>::default();
        loop {
            self.0.payload.set(Some(payloads.len()));
            match list.next_element_seed(PayloadInList(self.0))? {
                Some(payload) => payloads.push(payload.into_inner()),
                None => break,
            }
        }
        self.0.payload.set(None);
        Ok(payloads)
    }
});

/// Refuses the payload that exceeds the limit before it is read.
struct PayloadInList<'c>(&'c Context);

impl<'de> DeserializeSeed<'de> for PayloadInList<'_> {
    type Value = Plain<Payload>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        if self
            .0
            .payload
            .get()
            .is_some_and(|index| index >= self.0.max_payloads)
        {
            return Err(self.0.fail(Fault::TooManyPayloads));
        }
        self.0.field.set(Field::Payload);
        PayloadObject(self.0).deserialize(from)
    }
}

node!(PayloadObject -> Plain<Payload> {
    fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        Err(self.0.fail_at(Field::Payload, Fault::NullPayload))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut metadata, mut data, mut external) = (None, None, None);
        while let Some(key) = map.next_key_seed(KnownKey)? {
            match key {
                Key::Metadata => {
                    self.0.once(metadata.as_ref(), Field::Metadata)?;
                    metadata = Some(map.next_value_seed(Metadata(self.0))?);
                }
                Key::Data => {
                    self.0.once(data.as_ref(), Field::Data)?;
                    data = Some(map.next_value_seed(Bytes(self.0))?);
                }
                Key::ExternalPayloads => {
                    self.0.once(external.as_ref(), Field::ExternalPayloads)?;
                    external = Some(map.next_value_seed(ExternalPayloads(self.0))?);
                }
                Key::Payloads | Key::SizeBytes | Key::Unknown => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        self.0.field.set(Field::Payload);
        Ok(Plain::new(Payload {
            metadata: metadata.map(Plain::into_inner).unwrap_or_default(),
            data: data.map(Plain::into_inner).unwrap_or_default(),
            external_payloads: external.unwrap_or_default(),
        }))
    }
});

node!(Metadata -> Plain<crate::Metadata> {
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Plain::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut metadata = Plain::<crate::Metadata>::default();
        while let Some(key) = map.next_key::<String>()? {
            if metadata.len() == MAX_METADATA {
                let limit = MAX_METADATA;
                return Err(self.0.fail_at(Field::Metadata, Fault::TooMany { limit }));
            }
            self.0.field.set(Field::MetadataValue);
            match metadata.entry(key) {
                Entry::Vacant(slot) => slot.insert(map.next_value_seed(Bytes(self.0))?.into_inner()),
                Entry::Occupied(_) => return Err(self.0.fail(Fault::Duplicate)),
            };
        }
        Ok(metadata)
    }
});

node!(Bytes -> Plain<Vec<u8>> {
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Plain::default())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        let bytes = decode_base64(text.as_bytes()).map(Plain::new);
        bytes.ok_or_else(|| self.0.fail(Fault::NotBase64))
    }
});

node!(ExternalPayloads -> Vec<ExternalPayloadDetails> {
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        loop {
            self.0.field.set(Field::ExternalPayload);
            match list.next_element_seed(ExternalPayload(self.0))? {
                Some(_) if all.len() == MAX_EXTERNAL_PAYLOADS => {
                    let limit = MAX_EXTERNAL_PAYLOADS;
                    let fault = Fault::TooMany { limit };
                    return Err(self.0.fail_at(Field::ExternalPayloads, fault));
                }
                Some(details) => all.push(details),
                None => return Ok(all),
            }
        }
    }
});

node!(ExternalPayload -> ExternalPayloadDetails {
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut size_bytes = None;
        while let Some(key) = map.next_key_seed(KnownKey)? {
            if key == Key::SizeBytes {
                self.0.once(size_bytes.as_ref(), Field::SizeBytes)?;
                size_bytes = Some(map.next_value_seed(Integer(self.0))?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(ExternalPayloadDetails { size_bytes: size_bytes.unwrap_or_default() })
    }
});

node!(Integer -> i64 {
    fn visit_unit<E>(self) -> Result<i64, E> {
        Ok(0)
    }

    fn visit_i64<E>(self, number: i64) -> Result<i64, E> {
        Ok(number)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<i64, E> {
        i64::try_from(number).map_err(|_| self.0.fail(Fault::Shape))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<i64, E> {
        text.parse().map_err(|_| self.0.fail(Fault::Shape))
    }
});

#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Payloads,
    Metadata,
    Data,
    ExternalPayloads,
    SizeBytes,
    Unknown,
}

/// Recognises a key without allocating.
struct KnownKey;

impl<'de> DeserializeSeed<'de> for KnownKey {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Key, D::Error> {
        from.deserialize_identifier(self)
    }
}

impl Visitor<'_> for KnownKey {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Key, E> {
        Ok(match key {
            "payloads" => Key::Payloads,
            "metadata" => Key::Metadata,
            "data" => Key::Data,
            "externalPayloads" | "external_payloads" => Key::ExternalPayloads,
            "sizeBytes" | "size_bytes" => Key::SizeBytes,
            _ => Key::Unknown,
        })
    }
}

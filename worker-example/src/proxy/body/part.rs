//! What the API would do for the messages of a call. They are read without keeping them.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::is_of_client;

/// What the API would do for a part of a message.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    /// It fetches something from a URL.
    pub(super) url: bool,
    /// It runs a tool.
    pub(super) server_tool: bool,
}

impl Found {
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            url: self.url || other.url,
            server_tool: self.server_tool || other.server_tool,
        }
    }
}

/// A value inside messages. Reading it takes no memory.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Part {
    pub(super) found: Found,
    /// What it is as the `type` of an object, if it is a text.
    word: Option<Word>,
    /// Whether it is an object of the type `url`.
    is_url: bool,
    /// Whether it is an object that defines a tool of the API.
    is_server_tool: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Url,
    /// The call of a tool. Its input is data.
    ToolUse,
    ClientTool,
    Other,
}

/// The fields that decide.
enum Field {
    Type,
    Source,
    Definition,
    Input,
    InputSchema,
    Other,
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = Field;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a field")
            }

            fn visit_str<E>(self, name: &str) -> Result<Field, E> {
                Ok(match name {
                    "type" => Field::Type,
                    "source" => Field::Source,
                    "definition" => Field::Definition,
                    "input" => Field::Input,
                    "input_schema" => Field::InputSchema,
                    _ => Field::Other,
                })
            }
        }
        deserializer.deserialize_str(Name)
    }
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PartVisitor)
    }
}

struct PartVisitor;

impl<'de> Visitor<'de> for PartVisitor {
    type Value = Part;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Part, E> {
        Ok(Part::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Part, E> {
        Ok(Part::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Part, E> {
        Ok(Part::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Part, E> {
        Ok(Part::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Part, E> {
        Ok(Part::default())
    }

    fn visit_str<E>(self, text: &str) -> Result<Part, E> {
        let word = match text {
            "url" => Word::Url,
            "tool_use" => Word::ToolUse,
            _ if is_of_client(text) => Word::ClientTool,
            _ => Word::Other,
        };
        Ok(Part {
            word: Some(word),
            ..Part::default()
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Part, A::Error> {
        let mut found = Found::default();
        while let Some(item) = items.next_element::<Part>()? {
            found = found.and(item.found);
        }
        Ok(Part {
            found,
            ..Part::default()
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Part, A::Error> {
        let mut part = Part::default();
        let mut in_input = Found::default();
        let mut is_call = true;
        let mut types = 0_u32;
        while let Some(field) = fields.next_key::<Field>()? {
            if let Field::InputSchema = field {
                fields.next_value::<IgnoredAny>()?;
                continue;
            }
            let child = fields.next_value::<Part>()?;
            if let Field::Input = field {
                in_input = in_input.and(child.found);
                continue;
            }
            part.found = part.found.and(child.found);
            match field {
                // With several types, each counts.
                Field::Type => {
                    types = types.saturating_add(1);
                    is_call &= child.word == Some(Word::ToolUse);
                    part.is_url |= child.word == Some(Word::Url);
                    part.is_server_tool |= child.word != Some(Word::ClientTool);
                }
                Field::Source => part.found.url |= child.is_url,
                Field::Definition => part.found.server_tool |= child.is_server_tool,
                Field::Input | Field::InputSchema | Field::Other => {}
            }
        }
        if types == 0 || !is_call {
            part.found = part.found.and(in_input);
        }
        Ok(part)
    }
}

//! The JSON form of Tink's keysets.

use std::{fmt, marker::PhantomData};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use zeroize::Zeroizing;

use super::{Key, Keyset, KeysetError, State, material::Material};

/// The byte order mark that Windows editors put before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
const OUTPUT_PREFIX: &str = "TINK";

impl Keyset {
    pub(in super::super) fn parse(json: &[u8]) -> Result<Self, KeysetError> {
        if json.starts_with(b"\xFF\xFE") || json.starts_with(b"\xFE\xFF") {
            return Err(KeysetError::Utf16);
        }
        let json = json.strip_prefix(BYTE_ORDER_MARK).unwrap_or(json);
        let Object(keyset): Object<JsonKeyset> =
            serde_json::from_slice(json).map_err(|error| KeysetError::Json {
                line: error.line(),
                column: error.column(),
            })?;
        let keys = keyset
            .key
            .into_iter()
            .map(|Object(key)| Key::from_json(key))
            .collect::<Result<_, _>>()?;
        Self {
            primary: keyset.primary_key_id,
            keys,
        }
        .check()
    }

    pub(in super::super) fn to_json(&self) -> Zeroizing<Vec<u8>> {
        let keyset = JsonKeyset {
            primary_key_id: self.primary,
            key: self.keys.iter().map(|key| Object(key.to_json())).collect(),
        };
        // Allocate once: a vector that grows leaves copies of its content in memory.
        let mut json = Zeroizing::new(Vec::with_capacity(512 * (self.keys.len() + 1)));
        let written = serde_json::to_writer_pretty(&mut *json, &keyset);
        debug_assert!(written.is_ok(), "strings and numbers into memory");
        json
    }
}

impl Key {
    fn from_json(json: JsonKey) -> Result<Self, KeysetError> {
        let id = json.key_id;
        let refuse = |reason| KeysetError::Key { id, reason };
        if json.output_prefix_type != OUTPUT_PREFIX {
            return Err(refuse("only the output prefix type TINK is supported"));
        }
        let material = || {
            let Object(data) = json.key_data.ok_or("it holds no key material")?;
            let value = STANDARD
                .decode(data.value.as_bytes())
                .map(Zeroizing::new)
                .map_err(|_| "its value is not base64")?;
            Material::parse(&data.type_url, &value)
        };
        let state = match json.status {
            Status::Enabled => State::Enabled(material().map_err(refuse)?),
            Status::Disabled => State::Disabled(material().map_err(refuse)?),
            Status::Destroyed => State::Destroyed,
        };
        Ok(Self { id, state })
    }

    fn to_json(&self) -> JsonKey {
        let key_data = self.state.material().map(|material| {
            let key = material.serialize();
            Object(JsonKeyData {
                type_url: key.type_url.to_owned(),
                value: Zeroizing::new(STANDARD.encode(&*key.value)),
                key_material_type: key.material_type.to_owned(),
            })
        });
        let status = match &self.state {
            State::Enabled(_) => Status::Enabled,
            State::Disabled(_) => Status::Disabled,
            State::Destroyed => Status::Destroyed,
        };
        JsonKey {
            key_data,
            status,
            key_id: self.id,
            output_prefix_type: OUTPUT_PREFIX.to_owned(),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonKeyset {
    primary_key_id: u32,
    key: Vec<Object<JsonKey>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonKey {
    #[serde(skip_serializing_if = "Option::is_none")]
    key_data: Option<Object<JsonKeyData>>,
    status: Status,
    key_id: u32,
    output_prefix_type: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonKeyData {
    type_url: String,
    value: Zeroizing<String>,
    key_material_type: String,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
enum Status {
    Enabled,
    Disabled,
    Destroyed,
}

impl Status {
    const ALL: [Self; 3] = [Self::Enabled, Self::Disabled, Self::Destroyed];
}

impl From<Status> for &'static str {
    fn from(status: Status) -> Self {
        match status {
            Status::Enabled => "ENABLED",
            Status::Disabled => "DISABLED",
            Status::Destroyed => "DESTROYED",
        }
    }
}

/// A name is text. For the derived reader, `{"ENABLED": null}` would be one, too.
impl TryFrom<String> for Status {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let mut all = Self::ALL.into_iter();
        let named = all.find(|status| <&'static str>::from(*status) == name);
        named.ok_or("unknown status")
    }
}

/// A message in JSON, which is an object. For the derived reader, an array of its values would be one, too.
#[derive(Serialize)]
#[serde(transparent)]
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members(PhantomData))
    }
}

struct Members<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members)).map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_is_read_as_it_is_written() {
        for (status, name) in Status::ALL
            .into_iter()
            .zip(["ENABLED", "DISABLED", "DESTROYED"])
        {
            let json = serde_json::to_string(&status).unwrap();
            assert_eq!(json, format!("\"{name}\""));
            let read: Status = serde_json::from_str(&json).unwrap();
            assert_eq!(<&str>::from(read), name);
        }
        assert!(serde_json::from_str::<Status>("\"enabled\"").is_err());
    }
}

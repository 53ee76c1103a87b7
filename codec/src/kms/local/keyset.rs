//! Tink's cleartext JSON keysets of `AesGcmKey`s, and Tink's AEAD over them.
//!
//! Formats: Tink's `tink.proto` and `aes_gcm.proto`, and its description of the wire format of ciphertexts.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost::Message as _;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use crate::{
    aead::{Aes256Gcm, KEY_LEN, NONCE_LEN, TAG_LEN},
    random,
};

const TYPE_URL: &str = "type.googleapis.com/google.crypto.tink.AesGcmKey";
const TINK_PREFIX: u8 = 1;
const PREFIX_LEN: usize = 5;
const OVERHEAD: usize = PREFIX_LEN + NONCE_LEN + TAG_LEN;

#[derive(Debug, thiserror::Error)]
pub(super) enum KeysetError {
    #[error("it is no Tink keyset in JSON (error in line {line}, column {column})")]
    Json { line: usize, column: usize },
    #[error("it holds no key with the primary key's id {0}")]
    NoPrimary(u32),
    #[error("the primary key {id} is {status}; enable it, or make another key the primary one")]
    PrimaryNotEnabled { id: u32, status: &'static str },
    #[error("key {id}: {reason}")]
    Key { id: u32, reason: &'static str },
    #[error("the operating system gave no randomness")]
    NoRandomness(#[source] std::io::Error),
}

/// Why something does not open.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum OpenError {
    /// It was sealed by a key that the keyset holds but that is not enabled.
    Disabled(u32),
    /// It is not authentic, or of a key that the keyset does not hold.
    NotAuthentic,
}

/// A keyset with an enabled primary key.
pub(super) struct Keyset {
    primary: u32,
    keys: Vec<Key>,
}

struct Key {
    id: u32,
    status: Status,
    material: Zeroizing<[u8; KEY_LEN]>,
}

impl Keyset {
    /// A keyset of one new key.
    pub(super) fn generate() -> Result<Self, KeysetError> {
        let mut keyset = Self {
            primary: 0,
            keys: Vec::new(),
        };
        keyset.rotate()?;
        Ok(keyset)
    }

    /// Adds a new key and makes it the primary one.
    pub(super) fn rotate(&mut self) -> Result<u32, KeysetError> {
        let mut material = Zeroizing::new([0; KEY_LEN]);
        system_random(&mut *material)?;
        let id = self.unused_id()?;
        self.keys.push(Key {
            id,
            status: Status::Enabled,
            material,
        });
        self.primary = id;
        Ok(id)
    }

    pub(super) fn primary(&self) -> u32 {
        self.primary
    }

    /// Tink's AEAD under the primary key.
    pub(super) fn seal(&self, plaintext: &[u8], additional: &[u8]) -> Result<Vec<u8>, KeysetError> {
        let key = self.primary_key()?;
        let mut nonce = [0; NONCE_LEN];
        system_random(&mut nonce)?;
        let mut sealed = Vec::with_capacity(OVERHEAD + plaintext.len());
        sealed.push(TINK_PREFIX);
        sealed.extend_from_slice(&key.id.to_be_bytes());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plaintext);
        Aes256Gcm::new(&key.material)
            .seal(nonce, additional, &mut sealed, PREFIX_LEN + NONCE_LEN)
            .map_err(|_| KeysetError::Key {
                id: key.id,
                reason: "it cannot seal that much",
            })?;
        Ok(sealed)
    }

    /// Opens what any enabled key of the keyset sealed.
    pub(super) fn open(
        &self,
        sealed: &[u8],
        additional: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (&[prefix, ref id @ ..], rest) = sealed
            .split_first_chunk::<PREFIX_LEN>()
            .ok_or(OpenError::NotAuthentic)?;
        let (nonce, ciphertext) = rest
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(OpenError::NotAuthentic)?;
        if prefix != TINK_PREFIX {
            return Err(OpenError::NotAuthentic);
        }
        let id = u32::from_be_bytes(*id);

        let mut disabled = false;
        // Ids are random and may repeat in keysets that were merged.
        for key in self.keys.iter().filter(|key| key.id == id) {
            if key.status != Status::Enabled {
                disabled = true;
                continue;
            }
            let mut buffer = Zeroizing::new(ciphertext.to_vec());
            if let Ok(plaintext) =
                Aes256Gcm::new(&key.material).open(*nonce, additional, &mut buffer)
            {
                let len = plaintext.len();
                buffer.truncate(len);
                return Ok(buffer);
            }
        }
        Err(if disabled {
            OpenError::Disabled(id)
        } else {
            OpenError::NotAuthentic
        })
    }

    pub(super) fn parse(json: &[u8]) -> Result<Self, KeysetError> {
        let keyset: JsonKeyset =
            serde_json::from_slice(json).map_err(|error| KeysetError::Json {
                line: error.line(),
                column: error.column(),
            })?;
        let keys = keyset
            .key
            .into_iter()
            .map(Key::from_json)
            .collect::<Result<_, _>>()?;
        let keyset = Self {
            primary: keyset.primary_key_id,
            keys,
        };
        keyset.primary_key()?;
        Ok(keyset)
    }

    pub(super) fn to_json(&self) -> Zeroizing<Vec<u8>> {
        let keyset = JsonKeyset {
            primary_key_id: self.primary,
            key: self.keys.iter().map(Key::to_json).collect(),
        };
        // Room for every key beforehand: a vector that grows leaves copies of its content behind.
        let mut json = Zeroizing::new(Vec::with_capacity(512 * (self.keys.len() + 1)));
        let written = serde_json::to_writer_pretty(&mut *json, &keyset);
        debug_assert!(written.is_ok(), "strings and numbers into memory");
        json
    }

    fn primary_key(&self) -> Result<&Key, KeysetError> {
        let mut candidates = self.keys.iter().filter(|key| key.id == self.primary);
        let key = candidates
            .next()
            .ok_or(KeysetError::NoPrimary(self.primary))?;
        match key.status {
            Status::Enabled => Ok(key),
            other => Err(KeysetError::PrimaryNotEnabled {
                id: key.id,
                status: other.name(),
            }),
        }
    }

    fn unused_id(&self) -> Result<u32, KeysetError> {
        loop {
            let mut id = [0; 4];
            system_random(&mut id)?;
            let id = u32::from_be_bytes(id);
            if id != 0 && self.keys.iter().all(|key| key.id != id) {
                return Ok(id);
            }
        }
    }
}

impl Key {
    fn from_json(json: JsonKey) -> Result<Self, KeysetError> {
        let id = json.key_id;
        let refuse = |reason| KeysetError::Key { id, reason };
        if json.output_prefix_type != "TINK" {
            return Err(refuse("only the output prefix type TINK is supported"));
        }
        let status = json.status;
        let Some(data) = json.key_data.filter(|_| status != Status::Destroyed) else {
            return match status {
                Status::Destroyed => Ok(Self {
                    id,
                    status,
                    material: Zeroizing::default(),
                }),
                _ => Err(refuse("it holds no key material")),
            };
        };
        if data.type_url != TYPE_URL {
            return Err(refuse("only AesGcmKey is supported"));
        }
        let serialized = STANDARD
            .decode(data.value.as_bytes())
            .map(Zeroizing::new)
            .map_err(|_| refuse("its value is no base64"))?;
        let mut message = AesGcmKey::decode(&**serialized)
            .map_err(|_| refuse("its value is no AesGcmKey message"))?;
        let material = <[u8; KEY_LEN]>::try_from(message.key_value.as_slice()).map(Zeroizing::new);
        message.key_value.zeroize();
        if message.version != 0 {
            return Err(refuse("its version is unknown"));
        }
        let material = material.map_err(|_| refuse("only keys of 256 bits are supported"))?;
        Ok(Self {
            id,
            status,
            material,
        })
    }

    fn to_json(&self) -> JsonKey {
        let key_data = (self.status != Status::Destroyed).then(|| {
            let mut message = AesGcmKey {
                version: 0,
                key_value: self.material.to_vec(),
            };
            let serialized = Zeroizing::new(message.encode_to_vec());
            message.key_value.zeroize();
            JsonKeyData {
                type_url: TYPE_URL.to_owned(),
                value: Zeroizing::new(STANDARD.encode(&*serialized)),
                key_material_type: "SYMMETRIC".to_owned(),
            }
        });
        JsonKey {
            key_data,
            status: self.status,
            key_id: self.id,
            output_prefix_type: "TINK".to_owned(),
        }
    }
}

fn system_random(bytes: &mut [u8]) -> Result<(), KeysetError> {
    random::fill_from_system(bytes).map_err(|error| KeysetError::NoRandomness(error.into()))
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonKeyset {
    primary_key_id: u32,
    key: Vec<JsonKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonKey {
    #[serde(skip_serializing_if = "Option::is_none")]
    key_data: Option<JsonKeyData>,
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

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Status {
    Enabled,
    Disabled,
    Destroyed,
}

impl Status {
    const fn name(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::Destroyed => "destroyed",
        }
    }
}

/// `google.crypto.tink.AesGcmKey`.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
struct AesGcmKey {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(bytes = "vec", tag = "3")]
    key_value: Vec<u8>,
}

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Algorithm, Encoding, Material, MaterialError, Object, ProtectionLevel, State, encode_time,
};
use crate::error::ApiError;

/// One version of a key.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CryptoKeyVersion {
    pub(crate) id: u32,
    pub(crate) state: State,
    pub(crate) algorithm: Algorithm,
    pub(crate) protection_level: ProtectionLevel,
    create_time: DateTime<Utc>,
    pub(crate) destroy_time: Option<DateTime<Utc>>,
    destroy_event_time: Option<DateTime<Utc>>,
    material: Option<Material>,
}

impl CryptoKeyVersion {
    pub(crate) fn generate(
        id: u32,
        algorithm: Algorithm,
        protection_level: ProtectionLevel,
        now: DateTime<Utc>,
    ) -> Result<Self, MaterialError> {
        Ok(Self {
            id,
            state: State::Enabled,
            algorithm,
            protection_level,
            create_time: now,
            destroy_time: None,
            destroy_event_time: None,
            material: Some(Material::generate(algorithm)?),
        })
    }

    /// The key itself, where the version may be used.
    pub(crate) fn usable(&self, name: &str) -> Result<&Material, ApiError> {
        match (self.state, &self.material) {
            (State::Enabled, Some(material)) => Ok(material),
            _ => Err(self.not_enabled(name)),
        }
    }

    /// Whether this version made `ciphertext`. Unknown for a destroyed version.
    pub(crate) fn made(&self, ciphertext: &[u8]) -> bool {
        self.material
            .as_ref()
            .is_some_and(|material| material.made(ciphertext))
    }

    pub(crate) fn not_enabled(&self, name: &str) -> ApiError {
        let violation = match self.state {
            State::Disabled => "KEY_DISABLED",
            _ => "KEY_DESTROYED",
        };
        let state = self.state.name();
        ApiError::precondition(
            violation,
            name,
            format!("{name} is not enabled, current state is: {state}."),
        )
    }

    /// Destroys the version if it is due. This deletes the key material.
    pub(crate) fn settle(&mut self, now: DateTime<Utc>) -> bool {
        let due = self.state == State::DestroyScheduled
            && self.destroy_time.is_some_and(|time| time <= now);
        if due {
            self.state = State::Destroyed;
            self.destroy_event_time = self.destroy_time.take();
            self.material = None;
        }
        due
    }

    pub(crate) fn encode(&self, key: &str, encoding: Encoding) -> Value {
        let mut version = Object::new();
        version.insert("name".to_owned(), self.name(key).into());
        version.insert("state".to_owned(), self.state.encode(encoding));
        version.insert(
            "protectionLevel".to_owned(),
            self.protection_level.encode(encoding),
        );
        version.insert("algorithm".to_owned(), self.algorithm.encode(encoding));
        let times = [
            ("createTime", Some(self.create_time)),
            ("generateTime", Some(self.create_time)),
            ("destroyTime", self.destroy_time),
            ("destroyEventTime", self.destroy_event_time),
        ];
        for (field, time) in times {
            if let Some(time) = time {
                version.insert(field.to_owned(), encode_time(time));
            }
        }
        version.into()
    }

    pub(crate) fn name(&self, key: &str) -> String {
        format!("{key}/cryptoKeyVersions/{}", self.id)
    }
}

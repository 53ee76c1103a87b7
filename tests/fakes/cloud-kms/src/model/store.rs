use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{CryptoKey, CryptoKeyVersion, MaterialError, Name, Policy, encode_time};
use crate::error::{ApiError, Code};

/// Everything that the service remembers.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Store {
    pub(crate) rings: BTreeMap<String, KeyRing>,
    pub(crate) keys: BTreeMap<String, CryptoKey>,
    pub(crate) policies: BTreeMap<String, Policy>,
    /// How far its clock is set forward.
    ahead_seconds: i64,
    #[serde(skip)]
    file: Option<PathBuf>,
}

/// A key ring.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct KeyRing {
    pub(crate) name: String,
    pub(crate) create_time: DateTime<Utc>,
}

impl Store {
    /// What `file` holds, if it exists; changes are written to it.
    pub(crate) fn open(file: Option<PathBuf>) -> io::Result<Self> {
        let mut store = match file.as_deref().map(fs::read) {
            Some(Ok(json)) => serde_json::from_slice(&json)?,
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => Self::default(),
        };
        store.file = file;
        Ok(store)
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        Utc::now() + TimeDelta::try_seconds(self.ahead_seconds).unwrap_or_default()
    }

    pub(crate) fn advance(&mut self, seconds: u32) {
        self.ahead_seconds += i64::from(seconds);
    }

    /// Does what became due since the last call.
    pub(crate) fn settle(&mut self) -> Result<(), ApiError> {
        let now = self.now();
        let mut changed = false;
        for key in self.keys.values_mut() {
            changed |= key.settle(now)?;
        }
        if changed { self.save() } else { Ok(()) }
    }

    pub(crate) fn save(&self) -> Result<(), ApiError> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        self.write(file)
            .map_err(|error| ApiError::new(Code::Internal, format!("The state file: {error}")))
    }

    pub(crate) fn ring(&self, name: &str) -> Result<&KeyRing, ApiError> {
        self.rings
            .get(name)
            .ok_or_else(|| ApiError::not_found("KeyRing", name))
    }

    pub(crate) fn key(&self, name: &Name) -> Result<&CryptoKey, ApiError> {
        name.key()
            .and_then(|key| self.keys.get(key))
            .ok_or_else(|| key_not_found(name))
    }

    pub(crate) fn key_mut(&mut self, name: &Name) -> Result<&mut CryptoKey, ApiError> {
        name.key()
            .and_then(|key| self.keys.get_mut(key))
            .ok_or_else(|| key_not_found(name))
    }

    /// A version and the key that it is of.
    pub(crate) fn version(&self, name: &Name) -> Result<(&CryptoKey, &CryptoKeyVersion), ApiError> {
        let key = self.key(name)?;
        let version = match name {
            Name::Version { id, .. } => key.version(*id),
            _ => None,
        };
        version
            .map(|version| (key, version))
            .ok_or_else(|| ApiError::not_found("CryptoKeyVersion", &name.to_string()))
    }

    fn write(&self, file: &Path) -> io::Result<()> {
        let folder = match file.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        // Made for its owner alone, as it holds keys.
        let mut new = tempfile::NamedTempFile::new_in(folder)?;
        new.write_all(&serde_json::to_vec_pretty(self)?)?;
        new.persist(file)?;
        Ok(())
    }
}

impl KeyRing {
    pub(crate) fn encode(&self) -> Value {
        json!({"name": self.name, "createTime": encode_time(self.create_time)})
    }
}

fn key_not_found(name: &Name) -> ApiError {
    let name = name.to_string();
    let key = name.split("/cryptoKeyVersions/").next().unwrap_or_default();
    ApiError::not_found("CryptoKey", key)
}

impl From<MaterialError> for ApiError {
    fn from(_: MaterialError) -> Self {
        Self::new(Code::Internal, "The cryptographic operation failed.")
    }
}

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Algorithm, CryptoKeyVersion, Encoding, MaterialError, Object, ProtectionLevel, Purpose,
    encode_duration, encode_time,
};
use crate::error::{ApiError, Code};

/// A key with all its versions.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CryptoKey {
    pub(crate) name: String,
    pub(crate) purpose: Purpose,
    pub(crate) algorithm: Algorithm,
    pub(crate) protection_level: ProtectionLevel,
    pub(crate) create_time: DateTime<Utc>,
    pub(crate) primary: Option<u32>,
    #[serde(with = "seconds")]
    pub(crate) rotation_period: Option<TimeDelta>,
    pub(crate) next_rotation_time: Option<DateTime<Utc>>,
    #[serde(with = "seconds")]
    pub(crate) destroy_scheduled_duration: Option<TimeDelta>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) versions: Vec<CryptoKeyVersion>,
}

impl CryptoKey {
    /// Versions are numbered from 1 on, without gaps.
    pub(crate) fn version(&self, id: u32) -> Option<&CryptoKeyVersion> {
        self.versions.iter().find(|version| version.id == id)
    }

    pub(crate) fn version_mut(&mut self, id: u32) -> Option<&mut CryptoKeyVersion> {
        self.versions.iter_mut().find(|version| version.id == id)
    }

    pub(crate) fn add_version(&mut self, now: DateTime<Utc>) -> Result<u32, MaterialError> {
        let id = self.versions.last().map_or(1, |last| last.id + 1);
        let version = CryptoKeyVersion::generate(id, self.algorithm, self.protection_level, now)?;
        self.versions.push(version);
        Ok(id)
    }

    /// The version that encrypts.
    pub(crate) fn primary(&self) -> Result<&CryptoKeyVersion, ApiError> {
        self.primary.and_then(|id| self.version(id)).ok_or_else(|| {
            ApiError::new(
                Code::FailedPrecondition,
                format!("{} has no primary version.", self.name),
            )
        })
    }

    /// Refuses what the key is not for.
    pub(crate) fn require(&self, purpose: Purpose, operation: &str) -> Result<(), ApiError> {
        if self.purpose == purpose {
            return Ok(());
        }
        Err(ApiError::invalid(format!(
            "{} has purpose {}, which does not support {operation}.",
            self.name,
            self.purpose.name()
        )))
    }

    /// Does everything that is due: rotates the key by its schedule, destroys versions.
    pub(crate) fn settle(&mut self, now: DateTime<Utc>) -> Result<bool, MaterialError> {
        let mut changed = false;
        for version in &mut self.versions {
            changed |= version.settle(now);
        }
        if let (Some(next), Some(period)) = (self.next_rotation_time, self.rotation_period)
            && next <= now
        {
            self.primary = Some(self.add_version(now)?);
            let missed = (now - next).num_seconds() / period.num_seconds().max(1);
            let periods = i32::try_from(missed + 1).unwrap_or(i32::MAX);
            self.next_rotation_time = Some(next + period * periods);
            changed = true;
        }
        Ok(changed)
    }

    pub(crate) fn encode(&self, encoding: Encoding) -> Value {
        let mut key = Object::new();
        key.insert("name".to_owned(), self.name.clone().into());
        if let Some(primary) = self.primary.and_then(|id| self.version(id)) {
            key.insert("primary".to_owned(), primary.encode(&self.name, encoding));
        }
        key.insert("purpose".to_owned(), self.purpose.encode(encoding));
        key.insert("createTime".to_owned(), encode_time(self.create_time));
        if let Some(time) = self.next_rotation_time {
            key.insert("nextRotationTime".to_owned(), encode_time(time));
        }
        if let Some(period) = self.rotation_period {
            key.insert("rotationPeriod".to_owned(), encode_duration(period));
        }
        let mut template = Object::new();
        template.insert(
            "protectionLevel".to_owned(),
            self.protection_level.encode(encoding),
        );
        template.insert("algorithm".to_owned(), self.algorithm.encode(encoding));
        key.insert("versionTemplate".to_owned(), template.into());
        if !self.labels.is_empty() {
            key.insert("labels".to_owned(), Value::from_iter(self.labels.clone()));
        }
        if let Some(duration) = self.destroy_scheduled_duration {
            key.insert(
                "destroyScheduledDuration".to_owned(),
                encode_duration(duration),
            );
        }
        key.into()
    }
}

mod seconds {
    use chrono::TimeDelta;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[allow(clippy::ref_option, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(
        delta: &Option<TimeDelta>,
        output: S,
    ) -> Result<S::Ok, S::Error> {
        delta.map(|delta| delta.num_seconds()).serialize(output)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        input: D,
    ) -> Result<Option<TimeDelta>, D::Error> {
        Ok(Option::<i64>::deserialize(input)?.and_then(TimeDelta::try_seconds))
    }
}

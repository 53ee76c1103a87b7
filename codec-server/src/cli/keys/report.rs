//! The answers of the commands. Programs read the field names, so they do not change.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use serde::Serialize;
use temporal_kms_codec::kms::{
    KeyDetails, KeyOrigin, KeyPurpose, KeyState, KeyVersion, Protection, RotationPolicy,
};

use temporal_kms_codec_service::units::days;

use super::super::table::{pairs, table};

/// 31 December 9999, the last day with an RFC 3339 form.
const LAST: Duration = Duration::from_secs(253_402_300_799);

#[derive(Serialize)]
pub(super) struct KeyReport {
    key: String,
    purpose: KeyPurpose,
    protection: Protection,
    origin: Option<KeyOrigin>,
    primary: Option<VersionReport>,
    created: Option<String>,
    rotation_period_seconds: Option<u64>,
    next_rotation: Option<String>,
    labels: BTreeMap<String, String>,
    destroy_delay_seconds: Option<u64>,
    replicas: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct VersionReport {
    version: String,
    state: KeyState,
    created: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Description {
    #[serde(flatten)]
    key: KeyReport,
    should_rotate: bool,
    /// The versions that have reached the maximum age and still decrypt.
    overaged: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct Rotated {
    #[serde(flatten)]
    key: KeyReport,
    rotated: bool,
}

#[derive(Serialize)]
pub(super) struct Keys {
    keys: Vec<KeyReport>,
}

#[derive(Serialize)]
pub(super) struct Versions {
    key: String,
    versions: Vec<VersionReport>,
}

impl From<&KeyDetails> for KeyReport {
    fn from(key: &KeyDetails) -> Self {
        Self {
            key: key.uri.to_string(),
            purpose: key.purpose,
            protection: key.protection,
            origin: key.origin,
            primary: key.primary.as_ref().map(VersionReport::from),
            created: key.created.and_then(timestamp),
            rotation_period_seconds: key.rotation_period.map(|period| period.as_secs()),
            next_rotation: key.next_rotation.and_then(timestamp),
            labels: key.labels.clone(),
            destroy_delay_seconds: key.destroy_delay.map(|delay| delay.as_secs()),
            replicas: key.replicas.iter().map(ToString::to_string).collect(),
        }
    }
}

impl From<&KeyVersion> for VersionReport {
    fn from(version: &KeyVersion) -> Self {
        Self {
            version: version.id.clone(),
            state: version.state,
            created: version.created.and_then(timestamp),
        }
    }
}

impl KeyReport {
    pub(super) fn text(&self) -> String {
        pairs(&self.pairs())
    }

    fn pairs(&self) -> Vec<(&'static str, String)> {
        let primary = self.primary.as_ref();
        let labels: Vec<_> = self
            .labels
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        vec![
            ("key", self.key.clone()),
            ("purpose", self.purpose.to_string()),
            ("protection", self.protection.to_string()),
            ("origin", or_dash(self.origin.map(|it| it.to_string()))),
            (
                "primary version",
                or_dash(primary.map(|v| v.version.clone())),
            ),
            ("state", or_dash(primary.map(|v| v.state.to_string()))),
            ("created", or_dash(self.created.clone())),
            ("rotation period", self.rotation()),
            ("next rotation", or_dash(self.next_rotation.clone())),
            (
                "labels",
                or_dash((!labels.is_empty()).then(|| labels.join(", "))),
            ),
            ("destroy delay", self.destroy_delay()),
            (
                "replicas",
                or_dash((!self.replicas.is_empty()).then(|| self.replicas.join(", "))),
            ),
        ]
    }

    /// How long the destruction of a version can be undone.
    fn destroy_delay(&self) -> String {
        or_dash(
            self.destroy_delay_seconds
                .map(|seconds| days(Duration::from_secs(seconds))),
        )
    }

    fn rotation(&self) -> String {
        or_dash(
            self.rotation_period_seconds
                .map(|seconds| days(Duration::from_secs(seconds))),
        )
    }
}

impl Description {
    pub(super) fn new(
        key: &KeyDetails,
        versions: &[KeyVersion],
        policy: RotationPolicy,
        now: SystemTime,
    ) -> Self {
        let overaged = versions
            .iter()
            .filter(|version| version.state == KeyState::Enabled)
            .filter(|version| policy.is_overaged(version, now));
        Self {
            should_rotate: policy.should_rotate(key, now),
            overaged: overaged.map(|version| version.id.clone()).collect(),
            key: key.into(),
        }
    }

    pub(super) fn text(&self) -> String {
        let mut lines = self.key.pairs();
        lines.push(("should rotate", self.advice().to_owned()));
        let overaged = (!self.overaged.is_empty()).then(|| self.overaged.join(", "));
        lines.push(("overaged versions", or_dash(overaged)));
        pairs(&lines)
    }

    fn advice(&self) -> &'static str {
        let key = &self.key;
        let created = key
            .primary
            .as_ref()
            .map_or(&key.created, |primary| &primary.created);
        match (self.should_rotate, key.purpose) {
            (true, _) => "yes: run `codec-server keys rotate`",
            (false, KeyPurpose::Encrypt) if created.is_none() => "not known: its age is unknown",
            (false, KeyPurpose::Encrypt) => "no",
            (false, _) => {
                "no: signatures stay valid, and each new version has a new public key to publish"
            }
        }
    }
}

impl Rotated {
    pub(super) fn new(key: &KeyDetails, rotated: bool) -> Self {
        Self {
            key: key.into(),
            rotated,
        }
    }

    pub(super) fn text(&self) -> String {
        let mut lines = self.key.pairs();
        let rotated = if self.rotated {
            "yes"
        } else {
            "no: it was not due"
        };
        lines.push(("rotated", rotated.to_owned()));
        pairs(&lines)
    }
}

impl Keys {
    pub(super) fn new(keys: &[KeyDetails]) -> Self {
        Self {
            keys: keys.iter().map(KeyReport::from).collect(),
        }
    }

    pub(super) fn text(&self) -> String {
        if self.keys.is_empty() {
            return "there are no keys".to_owned();
        }
        let row = |key: &KeyReport| {
            [
                key.key.clone(),
                key.purpose.to_string(),
                key.protection.to_string(),
                or_dash(key.primary.as_ref().map(|v| v.version.clone())),
                key.rotation(),
                or_dash(key.created.clone()),
            ]
        };
        let rows: Vec<_> = self.keys.iter().map(row).collect();
        table(
            [
                "KEY",
                "PURPOSE",
                "PROTECTION",
                "PRIMARY",
                "ROTATION",
                "CREATED",
            ],
            &rows,
        )
    }
}

impl Versions {
    pub(super) fn new(key: &temporal_kms_codec::KeyUri, versions: &[KeyVersion]) -> Self {
        Self {
            key: key.to_string(),
            versions: versions.iter().map(VersionReport::from).collect(),
        }
    }

    pub(super) fn text(&self) -> String {
        let row = |version: &VersionReport| {
            [
                version.version.clone(),
                version.state.to_string(),
                or_dash(version.created.clone()),
            ]
        };
        let rows: Vec<_> = self.versions.iter().map(row).collect();
        table(["VERSION", "STATE", "CREATED"], &rows)
    }
}

/// RFC 3339, for times that have such a form.
pub(super) fn timestamp(time: SystemTime) -> Option<String> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    (since <= LAST).then(|| humantime::format_rfc3339_seconds(time).to_string())
}

/// A schedule in a sentence.
pub(super) fn schedule(period: Option<Duration>) -> String {
    period.map_or_else(
        || "never rotated by the service".to_owned(),
        |period| format!("rotated every {}", days(period)),
    )
}

fn or_dash(value: Option<String>) -> String {
    value.unwrap_or_else(|| "-".to_owned())
}

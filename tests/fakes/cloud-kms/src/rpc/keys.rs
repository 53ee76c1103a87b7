use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::{
    list,
    rings::{already_exists, child},
};
use crate::{
    error::{ApiError, Code},
    model::{
        Algorithm, CryptoKey, ProtectionLevel, Purpose, State, Store, parse_body, parse_duration,
    },
    route::Route,
};

const DAY: TimeDelta = TimeDelta::days(1);
const DEFAULT_DESTROY_SCHEDULED: TimeDelta = TimeDelta::days(30);
const MAX_LABELS: usize = 64;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct KeyBody {
    #[serde(default, rename = "name")]
    _name: String,
    purpose: Option<Purpose>,
    version_template: Option<Template>,
    rotation_period: Option<String>,
    next_rotation_time: Option<DateTime<Utc>>,
    destroy_scheduled_duration: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Template {
    protection_level: Option<ProtectionLevel>,
    algorithm: Option<Algorithm>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UpdatePrimary {
    #[serde(default, rename = "name")]
    _name: String,
    #[serde(default)]
    crypto_key_version_id: String,
}

pub(super) fn list(store: &Store, route: &Route) -> Result<Value, ApiError> {
    let ring = store.ring(&route.name.to_string())?;
    let prefix = format!("{}/cryptoKeys/", ring.name);
    let keys: Vec<&CryptoKey> = store
        .keys
        .values()
        .filter(|key| key.name.starts_with(&prefix))
        .collect();
    list::page(route, "cryptoKeys", &keys, |key| key.encode(route.encoding))
}

pub(super) fn get(store: &Store, route: &Route) -> Result<Value, ApiError> {
    Ok(store.key(&route.name)?.encode(route.encoding))
}

pub(super) fn create(store: &mut Store, route: &Route, body: &[u8]) -> Result<Value, ApiError> {
    let body: KeyBody = parse_body(body)?;
    store.ring(&route.name.to_string())?;
    let name = child(
        &route.name,
        "cryptoKeys",
        "crypto_key_id",
        route.parameter("cryptoKeyId"),
    )?;
    if store.keys.contains_key(&name) {
        return Err(already_exists("CryptoKey", &name));
    }
    let purpose = body
        .purpose
        .ok_or_else(|| ApiError::field("crypto_key.purpose", "it is required"))?;
    let template = body.version_template.unwrap_or_default();
    let algorithm = match (purpose, template.algorithm) {
        (Purpose::EncryptDecrypt, None) => Algorithm::GoogleSymmetricEncryption,
        (_, Some(algorithm)) if algorithm.purpose() == purpose => algorithm,
        _ => {
            return Err(ApiError::field(
                "crypto_key.version_template.algorithm",
                "it does not fit the purpose",
            ));
        }
    };
    let now = store.now();
    let mut key = CryptoKey {
        name: name.clone(),
        purpose,
        algorithm,
        protection_level: template
            .protection_level
            .unwrap_or(ProtectionLevel::Software),
        create_time: now,
        primary: None,
        rotation_period: rotation_period(body.rotation_period.as_deref())?,
        next_rotation_time: body.next_rotation_time,
        destroy_scheduled_duration: Some(destroy_scheduled(
            body.destroy_scheduled_duration.as_deref(),
        )?),
        labels: body.labels,
        versions: Vec::new(),
    };
    check(&key, now)?;
    if route.parameter("trustedWrappingEnabled") == Some("true") {
        return Err(ApiError::new(
            Code::Unimplemented,
            "The emulator has no keys for trusted wrapping.",
        ));
    }
    if route.parameter("skipInitialVersionCreation") != Some("true") {
        let first = key.add_version(now)?;
        key.primary = (purpose == Purpose::EncryptDecrypt).then_some(first);
    }
    let answer = key.encode(route.encoding);
    store.keys.insert(name, key);
    store.save()?;
    Ok(answer)
}

pub(super) fn update(store: &mut Store, route: &Route, body: &[u8]) -> Result<Value, ApiError> {
    let body: KeyBody = parse_body(body)?;
    let now = store.now();
    let key = store.key(&route.name)?;
    let mut labels = key.labels.clone();
    let (mut period, mut next) = (key.rotation_period, key.next_rotation_time);
    let mask = route.parameter("updateMask").unwrap_or_default();
    for field in mask.split(',') {
        match field {
            "labels" => labels.clone_from(&body.labels),
            "rotationPeriod" | "rotation_period" => {
                period = rotation_period(body.rotation_period.as_deref())?;
            }
            "nextRotationTime" | "next_rotation_time" => next = body.next_rotation_time,
            _ => {
                return Err(ApiError::field(
                    "update_mask",
                    "it names a field that cannot be set",
                ));
            }
        }
    }
    let key = store.key_mut(&route.name)?;
    let before = (
        std::mem::replace(&mut key.labels, labels),
        std::mem::replace(&mut key.rotation_period, period),
        std::mem::replace(&mut key.next_rotation_time, next),
    );
    if let Err(error) = check(key, now) {
        (key.labels, key.rotation_period, key.next_rotation_time) = before;
        return Err(error);
    }
    let answer = key.encode(route.encoding);
    store.save()?;
    Ok(answer)
}

pub(super) fn update_primary(
    store: &mut Store,
    route: &Route,
    body: &[u8],
) -> Result<Value, ApiError> {
    let body: UpdatePrimary = parse_body(body)?;
    let key = store.key_mut(&route.name)?;
    key.require(Purpose::EncryptDecrypt, "UpdateCryptoKeyPrimaryVersion")?;
    let version = body
        .crypto_key_version_id
        .parse()
        .ok()
        .and_then(|id| key.version(id))
        .ok_or_else(|| {
            let id = &body.crypto_key_version_id;
            ApiError::not_found(
                "CryptoKeyVersion",
                &format!("{}/cryptoKeyVersions/{id}", key.name),
            )
        })?;
    if version.state != State::Enabled {
        return Err(version.not_enabled(&version.name(&key.name)));
    }
    key.primary = Some(version.id);
    let answer = key.encode(route.encoding);
    store.save()?;
    Ok(answer)
}

fn rotation_period(text: Option<&str>) -> Result<Option<TimeDelta>, ApiError> {
    let field = "crypto_key.rotation_period";
    let Some(text) = text else {
        return Ok(None);
    };
    let period = parse_duration(field, text)?;
    if period < DAY || period > TimeDelta::hours(876_000) {
        return Err(ApiError::field(
            field,
            "it must be from 24 to 876,000 hours",
        ));
    }
    Ok(Some(period))
}

fn destroy_scheduled(text: Option<&str>) -> Result<TimeDelta, ApiError> {
    let field = "crypto_key.destroy_scheduled_duration";
    let Some(text) = text else {
        return Ok(DEFAULT_DESTROY_SCHEDULED);
    };
    let duration = parse_duration(field, text)?;
    if duration < DAY || duration > TimeDelta::days(120) {
        return Err(ApiError::field(
            field,
            "it must be from 24 hours to 120 days",
        ));
    }
    Ok(duration)
}

fn check(key: &CryptoKey, now: DateTime<Utc>) -> Result<(), ApiError> {
    let rotates = key.rotation_period.is_some() || key.next_rotation_time.is_some();
    if rotates && key.purpose != Purpose::EncryptDecrypt {
        return Err(ApiError::field(
            "crypto_key.rotation_period",
            "only keys with purpose ENCRYPT_DECRYPT rotate by a schedule",
        ));
    }
    if key.rotation_period.is_some() && key.next_rotation_time.is_none() {
        return Err(ApiError::field(
            "crypto_key.next_rotation_time",
            "it must be set where rotation_period is",
        ));
    }
    if key.next_rotation_time.is_some_and(|next| next <= now) {
        return Err(ApiError::field(
            "crypto_key.next_rotation_time",
            "it is in the past",
        ));
    }
    let labels_fit = key.labels.len() <= MAX_LABELS
        && key.labels.iter().all(|(name, value)| {
            name.starts_with(|first: char| first.is_ascii_lowercase())
                && is_label(name)
                && is_label(value)
        });
    if !labels_fit {
        return Err(ApiError::field(
            "crypto_key.labels",
            "at most 64 labels of up to 63 lower-case letters, digits, `_` and `-`",
        ));
    }
    Ok(())
}

fn is_label(text: &str) -> bool {
    text.len() <= 63
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte))
}

//! What AWS KMS tells about a key.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use aws_sdk_kms::types::{
    IncludeKeyMaterial, KeyMaterialState, KeyMetadata, MultiRegionConfiguration, OriginType,
    RotationsListEntry,
};

use super::{DAY, MAX_PAGES, arn_uri};
use crate::{
    client::RegionalKey,
    metadata::{self, time, unreadable},
    name::{Arn, KeyName},
    unsupported,
};
use temporal_kms::{
    KeyDetails, KeyPurpose, KeyState, KeyUri, KeyVersion, ProviderError, ProviderErrorKind as Kind,
};

/// All details of a key that is named by its ARN.
pub(super) async fn details(
    key: &RegionalKey,
    metadata: &KeyMetadata,
) -> Result<KeyDetails, ProviderError> {
    match metadata::purpose(metadata) {
        Some(purpose) => describe(key, metadata, purpose).await,
        None => Err(unsupported(
            &key.uri,
            "it is not for encryption or signing with ECDSA on P-256",
            "name another key",
        )),
    }
}

/// The same. `None` for keys that AWS manages, and for kinds of keys that this crate does not use.
pub(super) async fn details_if_ours(
    key: &RegionalKey,
) -> Result<Option<KeyDetails>, ProviderError> {
    let described = async {
        let metadata = metadata::describe(key).await?;
        match metadata::purpose(&metadata) {
            Some(purpose) if metadata::is_customers(&metadata) => {
                describe(key, &metadata, purpose).await.map(Some)
            }
            _ => Ok(None),
        }
    };
    match described.await {
        Err(error) if error.kind() == Kind::PermissionDenied => {
            tracing::warn!(key = %key.name, "left out a key that the caller may not look at");
            Ok(None)
        }
        described => described,
    }
}

/// Every key of the account and region of `beside`.
pub(super) async fn all(beside: &RegionalKey) -> Result<Vec<RegionalKey>, ProviderError> {
    let mut pages = beside.kms.list_keys().into_paginator().send();
    let mut keys = Vec::new();
    for _ in 0..MAX_PAGES {
        let Some(page) = pages.next().await else {
            return Ok(keys);
        };
        for entry in page
            .map_err(beside.failed("kms:ListKeys"))?
            .keys
            .unwrap_or_default()
        {
            let arn = entry.key_arn().and_then(Arn::parse);
            let arn = arn.filter(|arn| arn.region() == beside.region);
            let arn = arn.ok_or_else(|| unreadable(beside))?;
            keys.push(RegionalKey {
                uri: arn_uri(beside, &arn)?,
                name: KeyName::Arn(arn),
                ..beside.clone()
            });
        }
    }
    Err(endless(beside))
}

async fn describe(
    key: &RegionalKey,
    metadata: &KeyMetadata,
    purpose: KeyPurpose,
) -> Result<KeyDetails, ProviderError> {
    let arn = metadata.arn().and_then(Arn::parse);
    let rotation = if_permitted(key, rotation(key, metadata).await)?.unwrap_or_default();
    let versions = if_permitted(key, versions(key, metadata).await)?;
    let primary = match versions {
        Some(versions) => versions.into_iter().next(),
        // The current material is known, but not its age.
        None => Some(KeyVersion::new(
            metadata::current_version(metadata),
            metadata::state(metadata),
        )),
    };
    let arn = arn.ok_or_else(|| unreadable(key))?;
    Ok(
        KeyDetails::new(arn_uri(key, &arn)?, purpose, metadata::protection(metadata))
            .with_origin(metadata::origin(metadata))
            .with_primary(primary)
            .with_created(time(metadata.creation_date()))
            .with_rotation_period(rotation.period)
            .with_next_rotation(rotation.next)
            .with_labels(if_permitted(key, tags(key).await)?.unwrap_or_default())
            .with_multi_region(arn.is_multi_region())
            .with_replicas(replicas(key, metadata)?),
    )
}

/// The key's replicas. A replica names its siblings and not the primary key.
fn replicas(key: &RegionalKey, metadata: &KeyMetadata) -> Result<Vec<KeyUri>, ProviderError> {
    let configuration = metadata.multi_region_configuration();
    let replicas = configuration
        .map(MultiRegionConfiguration::replica_keys)
        .unwrap_or_default();
    let replicas = replicas.iter().map(|replica| {
        let arn = replica.arn().and_then(Arn::parse);
        arn_uri(key, &arn.ok_or_else(|| unreadable(key))?)
    });
    replicas.collect()
}

/// `None` if the caller lacks the permission. A policy that permits a key by its alias cannot permit operations that
/// accept no alias.
fn if_permitted<T>(
    key: &RegionalKey,
    asked: Result<T, ProviderError>,
) -> Result<Option<T>, ProviderError> {
    match asked {
        Err(error) if error.kind() == Kind::PermissionDenied => {
            tracing::warn!(key = %key.name, %error, "a part of the key's description is unknown");
            Ok(None)
        }
        asked => asked.map(Some),
    }
}

/// AWS KMS's default period.
const YEARLY: i32 = 365;

#[derive(Default)]
struct Rotation {
    period: Option<Duration>,
    next: Option<SystemTime>,
}

async fn rotation(key: &RegionalKey, metadata: &KeyMetadata) -> Result<Rotation, ProviderError> {
    let rotates = metadata::purpose(metadata) == Some(KeyPurpose::Encrypt)
        && metadata.origin() == Some(&OriginType::AwsKms);
    if !rotates {
        return Ok(Rotation::default());
    }
    let call = key.kms.get_key_rotation_status().key_id(key.id()).send();
    let status = call.await.map_err(key.failed("kms:GetKeyRotationStatus"))?;
    if !status.key_rotation_enabled() {
        return Ok(Rotation::default());
    }
    let days = status.rotation_period_in_days().unwrap_or(YEARLY);
    Ok(Rotation {
        period: u32::try_from(days).ok().map(|days| DAY * days),
        next: time(status.next_rotation_date()),
    })
}

/// A symmetric key's materials, newest first. AWS KMS gives each an id. Materials without an id are counted. All share
/// the key's state.
pub(super) async fn versions(
    key: &RegionalKey,
    metadata: &KeyMetadata,
) -> Result<Vec<KeyVersion>, ProviderError> {
    let rotates = metadata::purpose(metadata) == Some(KeyPurpose::Encrypt)
        && matches!(
            metadata.origin(),
            Some(OriginType::AwsKms | OriginType::External)
        );
    let rotations = if rotates {
        rotations(key).await?
    } else {
        Vec::new()
    };
    let created = time(metadata.creation_date());
    Ok(in_order(rotations, created, metadata::state(metadata)))
}

async fn rotations(key: &RegionalKey) -> Result<Vec<RotationsListEntry>, ProviderError> {
    let call = key.kms.list_key_rotations().key_id(key.id());
    let call = call.include_key_material(IncludeKeyMaterial::AllKeyMaterial);
    let mut pages = call.into_paginator().send();
    let mut rotations = Vec::new();
    for _ in 0..MAX_PAGES {
        let Some(page) = pages.next().await else {
            return Ok(rotations);
        };
        let page = page.map_err(key.failed("kms:ListKeyRotations"))?;
        rotations.extend(page.rotations.unwrap_or_default());
    }
    Err(endless(key))
}

fn in_order(
    mut rotations: Vec<RotationsListEntry>,
    created: Option<SystemTime>,
    state: KeyState,
) -> Vec<KeyVersion> {
    rotations.retain(|material| {
        matches!(
            material.key_material_state(),
            None | Some(KeyMaterialState::Current | KeyMaterialState::NonCurrent)
        )
    });
    // Only the first material has no date of rotation. Some answers do not list it.
    if rotations
        .iter()
        .all(|material| material.rotation_date().is_some())
    {
        rotations.insert(0, RotationsListEntry::builder().build());
    }
    rotations.sort_by_key(|material| time(material.rotation_date()));
    let version = |(index, material): (usize, RotationsListEntry)| {
        KeyVersion::new(
            material
                .key_material_id
                .unwrap_or_else(|| (index + 1).to_string()),
            state,
        )
        .with_created(time(material.rotation_date.as_ref()).or(created))
    };
    rotations
        .into_iter()
        .enumerate()
        .map(version)
        .rev()
        .collect()
}

async fn tags(key: &RegionalKey) -> Result<BTreeMap<String, String>, ProviderError> {
    let mut pages = key
        .kms
        .list_resource_tags()
        .key_id(key.id())
        .into_paginator()
        .send();
    let mut tags = BTreeMap::new();
    for _ in 0..MAX_PAGES {
        let Some(page) = pages.next().await else {
            return Ok(tags);
        };
        let page = page.map_err(key.failed("kms:ListResourceTags"))?;
        let page = page.tags.unwrap_or_default().into_iter();
        tags.extend(page.map(|tag| (tag.tag_key, tag.tag_value)));
    }
    Err(endless(key))
}

pub(super) fn endless(key: &RegionalKey) -> ProviderError {
    key.error(Kind::Integrity)
        .with_detail("its list does not end")
}

#[cfg(test)]
mod tests {
    use aws_sdk_kms::primitives::DateTime;

    use super::*;

    fn material(
        id: Option<&str>,
        at: Option<i64>,
        state: Option<KeyMaterialState>,
    ) -> RotationsListEntry {
        RotationsListEntry::builder()
            .set_key_material_id(id.map(str::to_owned))
            .set_rotation_date(at.map(DateTime::from_secs))
            .set_key_material_state(state)
            .build()
    }

    fn ids(rotations: Vec<RotationsListEntry>) -> Vec<(String, Option<SystemTime>)> {
        let versions = in_order(rotations, at(100), KeyState::Enabled);
        versions
            .into_iter()
            .map(|version| (version.id, version.created))
            .collect()
    }

    fn at(seconds: i64) -> Option<SystemTime> {
        time(Some(&DateTime::from_secs(seconds)))
    }

    #[test]
    fn the_newest_material_comes_first_and_pending_ones_do_not_count() {
        let listed = vec![
            material(Some("b"), Some(200), Some(KeyMaterialState::NonCurrent)),
            material(Some("a"), None, Some(KeyMaterialState::NonCurrent)),
            material(Some("d"), None, Some(KeyMaterialState::PendingRotation)),
            material(Some("c"), Some(300), Some(KeyMaterialState::Current)),
        ];
        let expected = [("c", at(300)), ("b", at(200)), ("a", at(100))];
        assert_eq!(ids(listed), expected.map(|(id, at)| (id.to_owned(), at)));
    }

    #[test]
    fn materials_without_ids_are_counted_from_the_first() {
        assert_eq!(ids(Vec::new()), [("1".to_owned(), at(100))]);
        let listed = vec![
            material(None, Some(300), None),
            material(None, Some(200), None),
        ];
        let expected = [("3", at(300)), ("2", at(200)), ("1", at(100))];
        assert_eq!(ids(listed), expected.map(|(id, at)| (id.to_owned(), at)));
    }
}

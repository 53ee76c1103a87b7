//! The operations on keys themselves.

use serde_json::{Value, json};

use crate::{
    crypto::usable,
    error::ApiError,
    grants,
    key::{Key, KeyState, Material, Symmetric},
    store::{Store, arn, by_id, metadata, named},
};

const DAY: u64 = 24 * 60 * 60;

pub(crate) fn call(
    store: &mut Store,
    region: &str,
    operation: &str,
    input: &Value,
) -> Option<Result<Value, ApiError>> {
    let answer = match operation {
        "CreateKey" => create(store, region, input),
        "CreateAlias" => create_alias(store, region, input),
        "DescribeKey" => {
            named(store, region, input).map(|key| json!({ "KeyMetadata": metadata(key, region) }))
        }
        "ListKeys" => Ok(list(store, region)),
        "ListResourceTags" => named(store, region, input).map(|key| tags(key)),
        "DisableKey" => set_state(store, region, input, KeyState::Disabled),
        "EnableKey" => set_state(store, region, input, KeyState::Enabled),
        "ScheduleKeyDeletion" => schedule_deletion(store, region, input),
        "CancelKeyDeletion" => cancel_deletion(store, region, input),
        "ReplicateKey" => replicate(store, region, input),
        "EnableKeyRotation" => set_rotation(
            store,
            region,
            input,
            input["RotationPeriodInDays"].as_u64().or(Some(365)),
        ),
        "DisableKeyRotation" => set_rotation(store, region, input, None),
        "GetKeyRotationStatus" => rotation_status(store, region, input),
        "RotateKeyOnDemand" => rotate(store, region, input),
        "CreateGrant" => grants::create(store, region, input),
        "ListGrants" => grants::list(store, region, input),
        "RevokeGrant" => grants::revoke(store, region, input),
        "GetKeyPolicy" => grants::policy(store, region, input),
        "ListKeyRotations" => rotations(store, region, input),
        _ => return None,
    };
    Some(answer)
}

/// Like most operations on keys, this one accepts no alias.
fn create(store: &mut Store, region: &str, input: &Value) -> Result<Value, ApiError> {
    let signs = match (input["KeyUsage"].as_str(), input["KeySpec"].as_str()) {
        (None | Some("ENCRYPT_DECRYPT"), None | Some("SYMMETRIC_DEFAULT")) => false,
        (Some("SIGN_VERIFY"), Some("ECC_NIST_P256")) => true,
        _ => return Err(ApiError::validation("KeyUsage and KeySpec")),
    };
    let multi_region = input["MultiRegion"].as_bool().unwrap_or(false);
    let store_id = input["CustomKeyStoreId"].as_str();
    if store_id.is_some() != (input["Origin"] == "AWS_CLOUDHSM")
        || (store_id.is_some() && multi_region)
    {
        return Err(ApiError::validation("CustomKeyStoreId"));
    }
    let arn = store.create(region, signs, multi_region);
    let key = store.find(region, &arn)?;
    if store_id.is_some() {
        key.origin = "AWS_CLOUDHSM";
    }
    for tag in input["Tags"].as_array().into_iter().flatten() {
        let text = |name: &str| tag[name].as_str().unwrap_or_default().to_owned();
        key.tags.insert(text("TagKey"), text("TagValue"));
    }
    Ok(json!({ "KeyMetadata": metadata(key, region) }))
}

fn create_alias(store: &mut Store, region: &str, input: &Value) -> Result<Value, ApiError> {
    let text = |name: &str| input[name].as_str().unwrap_or_default().to_owned();
    let id = store.find(region, &text("TargetKeyId"))?.id.clone();
    let alias = (region.to_owned(), text("AliasName"));
    if store.aliases.contains_key(&alias) {
        return Err(ApiError::new("AlreadyExistsException", "the alias exists"));
    }
    store.aliases.insert(alias, id);
    Ok(json!({}))
}

fn list(store: &Store, region: &str) -> Value {
    let here = store
        .keys
        .iter()
        .filter(|key| key.regions.contains_key(region));
    let keys: Vec<_> = here
        .map(|key| json!({ "KeyId": key.id, "KeyArn": arn(region, &key.id) }))
        .collect();
    json!({ "Keys": keys, "Truncated": false })
}

fn tags(key: &Key) -> Value {
    let tags: Vec<_> = key
        .tags
        .iter()
        .map(|(name, value)| json!({ "TagKey": name, "TagValue": value }))
        .collect();
    json!({ "Tags": tags, "Truncated": false })
}

fn set_state(
    store: &mut Store,
    region: &str,
    input: &Value,
    state: KeyState,
) -> Result<Value, ApiError> {
    let key = by_id(store, region, input)?;
    if key.regions.get(region) == Some(&KeyState::PendingDeletion) {
        let arn = arn(region, &key.id);
        return Err(ApiError::new(
            "KMSInvalidStateException",
            format!("{arn} is pending deletion."),
        ));
    }
    key.regions.insert(region.to_owned(), state);
    Ok(json!({}))
}

fn schedule_deletion(store: &mut Store, region: &str, input: &Value) -> Result<Value, ApiError> {
    let key = by_id(store, region, input)?;
    let days = input["PendingWindowInDays"].as_u64().unwrap_or(30);
    if !(7..=30).contains(&days) {
        return Err(ApiError::validation("PendingWindowInDays"));
    }
    key.regions
        .insert(region.to_owned(), KeyState::PendingDeletion);
    Ok(json!({
        "KeyId": arn(region, &key.id),
        "DeletionDate": key.created + days * DAY,
        "KeyState": "PendingDeletion",
        "PendingWindowInDays": days,
    }))
}

/// The key is disabled afterwards.
fn cancel_deletion(store: &mut Store, region: &str, input: &Value) -> Result<Value, ApiError> {
    let key = by_id(store, region, input)?;
    key.regions.insert(region.to_owned(), KeyState::Disabled);
    Ok(json!({ "KeyId": arn(region, &key.id) }))
}

fn replicate(store: &mut Store, region: &str, input: &Value) -> Result<Value, ApiError> {
    let to = input["ReplicaRegion"]
        .as_str()
        .ok_or_else(|| ApiError::validation("ReplicaRegion"))?;
    let key = by_id(store, region, input)?;
    if !key.is_multi_region() || key.primary != region {
        return Err(ApiError::new(
            "UnsupportedOperationException",
            "not a multi-region primary key",
        ));
    }
    if key.regions.contains_key(to) {
        return Err(ApiError::new(
            "AlreadyExistsException",
            "there is a related key in the region",
        ));
    }
    key.regions.insert(to.to_owned(), KeyState::Enabled);
    Ok(json!({ "ReplicaKeyMetadata": metadata(key, to), "ReplicaTags": [] }))
}

fn set_rotation(
    store: &mut Store,
    region: &str,
    input: &Value,
    days: Option<u64>,
) -> Result<Value, ApiError> {
    let key = by_id(store, region, input)?;
    if matches!(key.material, Material::P256(_)) {
        return Err(ApiError::new(
            "UnsupportedOperationException",
            "not a symmetric key",
        ));
    }
    if days.is_some_and(|days| !(90..=2560).contains(&days)) {
        return Err(ApiError::validation("RotationPeriodInDays"));
    }
    key.rotation_days = days;
    Ok(json!({}))
}

fn rotation_status(store: &mut Store, region: &str, input: &Value) -> Result<Value, ApiError> {
    let key = by_id(store, region, input)?;
    let id = arn(region, &key.id);
    Ok(match key.rotation_days {
        None => json!({ "KeyId": id, "KeyRotationEnabled": false }),
        Some(days) => json!({
            "KeyId": id,
            "KeyRotationEnabled": true,
            "RotationPeriodInDays": days,
            "NextRotationDate": key.created + days * DAY,
        }),
    })
}

fn rotate(store: &mut Store, region: &str, input: &Value) -> Result<Value, ApiError> {
    by_id(store, region, input)?;
    let key = usable(store, region, input)?;
    let created = key.created;
    let Material::Symmetric(materials) = &mut key.material else {
        return Err(ApiError::new(
            "UnsupportedOperationException",
            "not a symmetric key",
        ));
    };
    let rotations = u64::try_from(materials.len()).unwrap_or_default();
    materials.push(Symmetric::new(Some(created + rotations * DAY)));
    Ok(json!({ "KeyId": arn(region, &key.id) }))
}

fn rotations(store: &mut Store, region: &str, input: &Value) -> Result<Value, ApiError> {
    let all = input["IncludeKeyMaterial"] == "ALL_KEY_MATERIAL";
    let key = by_id(store, region, input)?;
    let Material::Symmetric(materials) = &key.material else {
        return Err(ApiError::new(
            "UnsupportedOperationException",
            "not a symmetric key",
        ));
    };
    let current = materials.last().map(|material| &material.id);
    let listed = materials
        .iter()
        .filter(|material| all || material.rotated.is_some());
    let listed: Vec<_> = listed
        .map(|material| {
            let is_current = current == Some(&material.id);
            let mut entry = json!({
                "KeyId": arn(region, &key.id),
                "KeyMaterialId": material.id,
                "KeyMaterialState": if is_current { "CURRENT" } else { "NON_CURRENT" },
            });
            if let (Some(at), Some(fields)) = (material.rotated, entry.as_object_mut()) {
                fields.insert("RotationDate".to_owned(), at.into());
                fields.insert("RotationType".to_owned(), "ON_DEMAND".into());
            }
            entry
        })
        .collect();
    Ok(json!({ "Rotations": listed, "Truncated": false }))
}

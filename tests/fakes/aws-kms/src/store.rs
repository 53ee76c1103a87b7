//! The keys of an account, and how they are found.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    error::ApiError,
    key::{Key, KeyState, Material},
};

/// The account that every key belongs to.
pub const ACCOUNT: &str = "111122223333";

/// When every key was made.
const CREATED: u64 = 1_767_225_600;

#[derive(Default)]
pub(crate) struct Store {
    pub(crate) keys: Vec<Key>,
    /// By region and name.
    pub(crate) aliases: BTreeMap<(String, String), String>,
}

impl Store {
    pub(crate) fn create(&mut self, region: &str, signs: bool, multi_region: bool) -> String {
        self.add(new_key(region, signs, multi_region))
    }

    pub(crate) fn add(&mut self, key: Key) -> String {
        let arn = arn(&key.primary, &key.id);
        self.keys.push(key);
        arn
    }

    /// The key that `name` (id, ARN, alias or an alias' ARN) means in `region`.
    pub(crate) fn find(&mut self, region: &str, name: &str) -> Result<&mut Key, ApiError> {
        let unknown = || ApiError::new("NotFoundException", format!("Key '{name}' does not exist"));
        let prefix = format!("arn:aws:kms:{region}:{ACCOUNT}:");
        let local = match name.strip_prefix(&prefix) {
            Some(local) => local.strip_prefix("key/").unwrap_or(local),
            None if name.starts_with("arn:") => return Err(unknown()),
            None => name,
        };
        let alias = (region.to_owned(), local.to_owned());
        let id = self.aliases.get(&alias).map_or(local, String::as_str);
        self.keys
            .iter_mut()
            .find(|key| key.id == id && key.regions.contains_key(region))
            .ok_or_else(unknown)
    }
}

pub(crate) fn new_key(region: &str, signs: bool, multi_region: bool) -> Key {
    Key::new(region, signs, multi_region, CREATED)
}

pub(crate) fn arn(region: &str, id: &str) -> String {
    format!("arn:aws:kms:{region}:{ACCOUNT}:key/{id}")
}

/// `KeyMetadata` of the API Reference.
pub(crate) fn metadata(key: &Key, region: &str) -> Value {
    let state = key
        .regions
        .get(region)
        .copied()
        .unwrap_or(KeyState::Enabled);
    let (usage, spec) = match &key.material {
        Material::Symmetric(_) => ("ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT"),
        Material::P256(_) => ("SIGN_VERIFY", "ECC_NIST_P256"),
    };
    let mut metadata = json!({
        "AWSAccountId": ACCOUNT,
        "KeyId": key.id,
        "Arn": arn(region, &key.id),
        "CreationDate": key.created,
        "Enabled": state == KeyState::Enabled,
        "KeyUsage": usage,
        "KeyState": state.name(),
        "Origin": key.origin,
        "KeyManager": "CUSTOMER",
        "KeySpec": spec,
        "CustomerMasterKeySpec": spec,
        "MultiRegion": key.is_multi_region(),
    });
    if let (true, Some(fields)) = (key.is_multi_region(), metadata.as_object_mut()) {
        let of = |region: &str| json!({ "Arn": arn(region, &key.id), "Region": region });
        let replicas = key.regions.keys().filter(|region| **region != key.primary);
        let replicas: Vec<_> = replicas.map(|region| of(region)).collect();
        let kind = if region == key.primary {
            "PRIMARY"
        } else {
            "REPLICA"
        };
        let configuration = json!({
            "MultiRegionKeyType": kind,
            "PrimaryKey": of(&key.primary),
            "ReplicaKeys": replicas,
        });
        fields.insert("MultiRegionConfiguration".to_owned(), configuration);
    }
    if let (Material::Symmetric(materials), Some(fields)) =
        (&key.material, metadata.as_object_mut())
    {
        let current = materials.last().map(|material| material.id.clone());
        fields.insert("CurrentKeyMaterialId".to_owned(), current.into());
    }
    metadata
}

/// The key that a request names.
pub(crate) fn named<'a>(
    store: &'a mut Store,
    region: &str,
    input: &Value,
) -> Result<&'a mut Key, ApiError> {
    let name = input["KeyId"]
        .as_str()
        .ok_or_else(|| ApiError::validation("KeyId"))?;
    store.find(region, name)
}

/// The key that a request names by its id or ARN.
pub(crate) fn by_id<'a>(
    store: &'a mut Store,
    region: &str,
    input: &Value,
) -> Result<&'a mut Key, ApiError> {
    let name = input["KeyId"].as_str().unwrap_or_default();
    if name.starts_with("alias/") || name.contains(":alias/") {
        return Err(ApiError::new(
            "InvalidArnException",
            "this call takes a key id or an ARN, not an alias",
        ));
    }
    named(store, region, input)
}

use std::{collections::BTreeMap, io, sync::Arc};

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::{
    Server,
    error::ApiError,
    key::{Key, KeyState, Material},
};

/// The account that every key belongs to.
pub const ACCOUNT: &str = "111122223333";

/// When every key was made.
const CREATED: u64 = 1_767_225_600;

/// An AWS account: its keys in all regions.
#[derive(Clone, Default)]
pub struct Account(Arc<Mutex<Store>>);

#[derive(Default)]
pub(crate) struct Store {
    pub(crate) keys: Vec<Key>,
    /// By region and name.
    pub(crate) aliases: BTreeMap<(String, String), String>,
}

impl Account {
    /// An account without keys.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The AWS KMS of `region`, and its AWS STS, on a port of this machine that the system picks.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn serve(&self, region: &str) -> io::Result<Server> {
        Server::start(self.0.clone(), region).await
    }

    /// Makes a symmetric key in `region` and returns its ARN.
    #[must_use]
    pub fn symmetric_key(&self, region: &str) -> String {
        self.0.lock().add(Key::new(region, false, false, CREATED))
    }

    /// Makes a signing key in `region` and returns its ARN.
    #[must_use]
    pub fn signing_key(&self, region: &str) -> String {
        self.0.lock().add(Key::new(region, true, false, CREATED))
    }

    /// Makes a symmetric multi-region key, its primary in the first of `regions`, and returns that one's ARN.
    #[must_use]
    pub fn multi_region_key(&self, regions: &[&str]) -> String {
        let primary = regions.first().copied().unwrap_or("us-east-1");
        let mut key = Key::new(primary, false, true, CREATED);
        let placed = regions
            .iter()
            .map(|region| ((*region).to_owned(), KeyState::Enabled));
        key.regions.extend(placed);
        self.0.lock().add(key)
    }

    /// Points an alias of `region` at a key.
    pub fn alias(&self, region: &str, alias: &str, arn: &str) {
        let mut store = self.0.lock();
        if let Ok(key) = store.find(region, arn) {
            let id = key.id.clone();
            let name = (region.to_owned(), alias.to_owned());
            store.aliases.insert(name, id);
        }
    }

    /// Puts a key into a state in the region of its ARN.
    pub fn set_state(&self, arn: &str, state: KeyState) {
        let region = arn.split(':').nth(3).unwrap_or_default();
        if let Ok(key) = self.0.lock().find(region, arn) {
            key.regions.insert(region.to_owned(), state);
        }
    }
}

impl Store {
    pub(crate) fn create(&mut self, region: &str, signs: bool, multi_region: bool) -> String {
        self.add(Key::new(region, signs, multi_region, CREATED))
    }

    fn add(&mut self, key: Key) -> String {
        let arn = arn(&key.primary, &key.id);
        self.keys.push(key);
        arn
    }

    /// The key that `name` (id, ARN, alias or an alias' ARN) stands for in `region`.
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
        "Origin": "AWS_KMS",
        "KeyManager": "CUSTOMER",
        "KeySpec": spec,
        "CustomerMasterKeySpec": spec,
        "MultiRegion": key.is_multi_region(),
    });
    if let (Material::Symmetric(materials), Some(fields)) =
        (&key.material, metadata.as_object_mut())
    {
        let current = materials.last().map(|material| material.id.clone());
        fields.insert("CurrentKeyMaterialId".to_owned(), current.into());
    }
    metadata
}

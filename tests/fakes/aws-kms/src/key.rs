use std::collections::BTreeMap;

use p256::ecdsa::SigningKey;
use uuid::Uuid;

/// A key's state, as AWS names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It can be used.
    Enabled,
    /// It refuses with `DisabledException`.
    Disabled,
    /// It refuses with `KMSInvalidStateException`.
    PendingDeletion,
}

impl KeyState {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Enabled => "Enabled",
            Self::Disabled => "Disabled",
            Self::PendingDeletion => "PendingDeletion",
        }
    }
}

/// A key with all its regions.
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) primary: String,
    pub(crate) regions: BTreeMap<String, KeyState>,
    pub(crate) material: Material,
    /// As in the API: where the material comes from.
    pub(crate) origin: &'static str,
    pub(crate) created: u64,
    pub(crate) rotation_days: Option<u64>,
    pub(crate) tags: BTreeMap<String, String>,
    /// By region: a replica has grants of its own.
    pub(crate) grants: Vec<(String, serde_json::Value)>,
}

pub(crate) enum Material {
    /// The oldest first.
    Symmetric(Vec<Symmetric>),
    P256(Box<SigningKey>),
}

pub(crate) struct Symmetric {
    pub(crate) id: String,
    pub(crate) bytes: [u8; 32],
    /// When it became the current one. The first has no date.
    pub(crate) rotated: Option<u64>,
}

impl Symmetric {
    pub(crate) fn new(rotated: Option<u64>) -> Self {
        Self {
            id: format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()),
            bytes: random(),
            rotated,
        }
    }
}

impl Key {
    pub(crate) fn new(region: &str, signs: bool, multi_region: bool, created: u64) -> Self {
        let prefix = if multi_region { "mrk-" } else { "" };
        let material = if signs {
            Material::P256(Box::new(signing_key()))
        } else {
            Material::Symmetric(vec![Symmetric::new(None)])
        };
        Self {
            id: format!("{prefix}{}", Uuid::new_v4()),
            primary: region.to_owned(),
            regions: BTreeMap::from([(region.to_owned(), KeyState::Enabled)]),
            material,
            origin: "AWS_KMS",
            created,
            rotation_days: None,
            tags: BTreeMap::new(),
            grants: Vec::new(),
        }
    }

    pub(crate) fn is_multi_region(&self) -> bool {
        self.id.starts_with("mrk-")
    }
}

pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Tests cannot continue without it.
    assert!(
        getrandom::fill(&mut bytes).is_ok(),
        "the system has no randomness"
    );
    bytes
}

fn signing_key() -> SigningKey {
    loop {
        // Nearly every number is a valid key, so this loop ends soon.
        if let Ok(key) = SigningKey::from_slice(&random::<32>()) {
            return key;
        }
    }
}

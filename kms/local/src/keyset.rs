//! Tink's cleartext JSON keysets: several keys of one purpose, one of which is the primary key.
//!
//! Sources: Tink's `tink.proto`, `aes_gcm.proto`, `ecdsa.proto`, `ed25519.proto`, and its description of the wire
//! formats of ciphertexts and signatures.

mod aead;
mod json;
mod material;
mod sign;

use std::mem;

use self::material::Material;
use temporal_kms::{KeyPurpose, KeyState, support::random};

pub(super) use self::{
    aead::{OpenError, named_key},
    sign::NoPublicKey,
};

/// Why a keyset cannot be used. [`remedy`](KeysetError::remedy) says what to do.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeysetError {
    #[error("the file is damaged: not a Tink JSON keyset (line {line}, column {column})")]
    Json { line: usize, column: usize },
    #[error("it is UTF-16")]
    Utf16,
    #[error("it holds no key with the primary key's id {0}")]
    NoPrimary(u32),
    #[error("the primary key {id} is {status}")]
    PrimaryNotEnabled { id: u32, status: &'static str },
    #[error("key {id} is {status}")]
    NotEnabled { id: u32, status: &'static str },
    #[error("it holds keys for different purposes")]
    MixedPurposes,
    #[error("its keys are for another purpose: {0}")]
    WrongPurpose(&'static str),
    #[error("key {id}: {reason}")]
    Key { id: u32, reason: &'static str },
    #[error("the key has no version {0:?}")]
    NoSuchKey(String),
    #[error("key {0} is the primary one")]
    IsPrimary(u32),
    #[error("key {0} is destroyed")]
    IsDestroyed(u32),
    #[error("a keyset cannot hold keys for this purpose")]
    UnknownPurpose,
    #[error("the operating system gave no randomness")]
    NoRandomness(#[source] std::io::Error),
}

impl KeysetError {
    /// What to do.
    pub(super) const fn remedy(&self) -> &'static str {
        match self {
            Self::Json { .. } => "correct it, or restore it from a backup",
            Self::Utf16 => "save it as UTF-8",
            Self::NoPrimary(_) => "make another key the primary one",
            Self::PrimaryNotEnabled { .. } => "enable it, or make another key the primary one",
            Self::NotEnabled { .. } => "enable it first",
            Self::MixedPurposes => "keep them in keysets of their own",
            Self::WrongPurpose(_) => "use another key",
            Self::Key { .. } => "replace this key in the keyset, or use another keyset",
            Self::NoSuchKey(_) => "name one that this command lists",
            Self::IsPrimary(_) => "rotate the key first",
            Self::IsDestroyed(_) => "use another version",
            Self::UnknownPurpose => "choose encryption or signing",
            Self::NoRandomness(_) => "check that the process may call `getrandom`",
        }
    }
}

/// A keyset with an enabled primary key, whose keys have one purpose.
pub(super) struct Keyset {
    primary: u32,
    keys: Vec<Key>,
}

struct Key {
    id: u32,
    state: State,
}

/// A destroyed key has no material.
enum State {
    Enabled(Material),
    Disabled(Material),
    Destroyed,
}

impl Keyset {
    /// A keyset with one new key.
    pub(super) fn generate(purpose: KeyPurpose) -> Result<Self, KeysetError> {
        let mut keyset = Self {
            primary: 0,
            keys: Vec::new(),
        };
        keyset.add_primary(purpose)?;
        Ok(keyset)
    }

    /// Adds a new key of the primary key's type, and makes it the primary key.
    pub(super) fn rotate(&mut self) -> Result<u32, KeysetError> {
        self.add_primary(self.purpose()?)
    }

    /// Makes an enabled key the primary one.
    pub(super) fn set_primary(&mut self, id: &str) -> Result<(), KeysetError> {
        let named = self.keys.iter().find(|key| key.id.to_string() == id);
        let key = named.ok_or_else(|| KeysetError::NoSuchKey(id.to_owned()))?;
        if !matches!(key.state, State::Enabled(_)) {
            return Err(KeysetError::NotEnabled {
                id: key.id,
                status: key.state.name(),
            });
        }
        self.primary = key.id;
        Ok(())
    }

    /// Enables a key.
    pub(super) fn enable(&mut self, id: &str) -> Result<(), KeysetError> {
        self.set_state(id, State::Enabled)
    }

    /// Disables a key. It must not be the primary key.
    pub(super) fn disable(&mut self, id: &str) -> Result<(), KeysetError> {
        self.check_not_primary(id)?;
        self.set_state(id, State::Disabled)
    }

    /// Removes a key. It must not be the primary key. Tink in Java and Python fails on keys without material, so the
    /// whole entry is removed.
    pub(super) fn destroy(&mut self, id: &str) -> Result<(), KeysetError> {
        self.check_not_primary(id)?;
        let before = self.keys.len();
        self.keys.retain(|key| key.id.to_string() != id);
        if self.keys.len() < before {
            Ok(())
        } else {
            Err(KeysetError::NoSuchKey(id.to_owned()))
        }
    }

    pub(super) fn primary(&self) -> u32 {
        self.primary
    }

    pub(super) fn purpose(&self) -> Result<KeyPurpose, KeysetError> {
        self.primary_material().map(Material::purpose)
    }

    /// The keys' ids and states, newest first.
    pub(super) fn versions(&self) -> impl Iterator<Item = (u32, KeyState)> {
        self.keys
            .iter()
            .rev()
            .map(|key| (key.id, key.state.public()))
    }

    fn primary_material(&self) -> Result<&Material, KeysetError> {
        let id = self.primary;
        let key = self.with_id(id).next().ok_or(KeysetError::NoPrimary(id))?;
        match &key.state {
            State::Enabled(material) => Ok(material),
            other => Err(KeysetError::PrimaryNotEnabled {
                id,
                status: other.name(),
            }),
        }
    }

    /// Ids are random and may repeat in keysets that were merged.
    fn with_id(&self, id: u32) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(move |key| key.id == id)
    }

    fn check(self) -> Result<Self, KeysetError> {
        let purpose = self.primary_material()?.purpose();
        let mut materials = self.keys.iter().filter_map(|key| key.state.material());
        if materials.all(|material| signs(material.purpose()) == signs(purpose)) {
            Ok(self)
        } else {
            Err(KeysetError::MixedPurposes)
        }
    }

    fn add_primary(&mut self, purpose: KeyPurpose) -> Result<u32, KeysetError> {
        let material = Material::generate(purpose)?;
        let id = self.unused_id()?;
        self.keys.push(Key {
            id,
            state: State::Enabled(material),
        });
        self.primary = id;
        Ok(id)
    }

    /// Tink refuses a whole keyset whose primary key is not enabled, and so does this provider.
    fn check_not_primary(&self, id: &str) -> Result<(), KeysetError> {
        if id == self.primary.to_string() {
            return Err(KeysetError::IsPrimary(self.primary));
        }
        Ok(())
    }

    fn set_state(&mut self, id: &str, state: fn(Material) -> State) -> Result<(), KeysetError> {
        let mut found = false;
        for key in self.keys.iter_mut().filter(|key| key.id.to_string() == id) {
            found = true;
            key.state = match mem::replace(&mut key.state, State::Destroyed) {
                State::Enabled(material) | State::Disabled(material) => state(material),
                State::Destroyed => return Err(KeysetError::IsDestroyed(key.id)),
            };
        }
        if found {
            Ok(())
        } else {
            Err(KeysetError::NoSuchKey(id.to_owned()))
        }
    }

    fn unused_id(&self) -> Result<u32, KeysetError> {
        loop {
            let mut id = [0; 4];
            system_random(&mut id)?;
            let id = u32::from_be_bytes(id);
            if id != 0 && self.keys.iter().all(|key| key.id != id) {
                return Ok(id);
            }
        }
    }
}

impl State {
    fn material(&self) -> Option<&Material> {
        match self {
            Self::Enabled(material) | Self::Disabled(material) => Some(material),
            Self::Destroyed => None,
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Enabled(_) => "enabled",
            Self::Disabled(_) => "disabled",
            Self::Destroyed => "destroyed",
        }
    }

    const fn public(&self) -> KeyState {
        match self {
            Self::Enabled(_) => KeyState::Enabled,
            Self::Disabled(_) => KeyState::Disabled,
            Self::Destroyed => KeyState::Destroyed,
        }
    }
}

/// In Tink, one keyset may sign with several algorithms.
fn signs(purpose: KeyPurpose) -> bool {
    purpose != KeyPurpose::Encrypt
}

fn system_random(bytes: &mut [u8]) -> Result<(), KeysetError> {
    random::fill_from_system(bytes).map_err(|error| KeysetError::NoRandomness(error.into()))
}

//! What a key is for, and a key to create.

use std::{collections::BTreeMap, time::Duration};

use crate::{Protection, text_form::text_form};

/// What a key is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyPurpose {
    /// Wrapping data keys, and direct mode.
    #[default]
    Encrypt,
    /// Signing with ECDSA on P-256.
    SignP256,
    /// Signing with Ed25519.
    SignEd25519,
}

impl KeyPurpose {
    /// The name in output and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Encrypt => "encrypt",
            Self::SignP256 => "sign-p256",
            Self::SignEd25519 => "sign-ed25519",
        }
    }
}

text_form!(KeyPurpose);

/// A key to create.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeySpec {
    /// Its purpose.
    pub purpose: KeyPurpose,
    /// Where its material is kept. With `None` the service decides.
    pub protection: Option<Protection>,
    /// How often the service rotates it. `None`: never.
    pub rotation_period: Option<Duration>,
    /// Labels, or tags.
    pub labels: BTreeMap<String, String>,
    /// Whether it may have replicas in other regions.
    pub multi_region: bool,
    /// How long the destruction of a version can be undone, where that is a property of the key. `None` leaves it to the
    /// service.
    pub destroy_delay: Option<Duration>,
    /// The key store that it is to be made in, such as an AWS `CloudHSM` cluster's `cks-…`. `None` is the service's own.
    pub key_store: Option<String>,
}

impl KeySpec {
    /// A key for `purpose`, with the service's defaults.
    #[must_use]
    pub fn new(purpose: KeyPurpose) -> Self {
        Self {
            purpose,
            ..Self::default()
        }
    }

    /// Sets what the key is for.
    #[must_use]
    pub fn with_purpose(mut self, purpose: KeyPurpose) -> Self {
        self.purpose = purpose;
        self
    }

    /// Sets where its material is kept.
    #[must_use]
    pub fn with_protection(mut self, protection: impl Into<Option<Protection>>) -> Self {
        self.protection = protection.into();
        self
    }

    /// Sets how often the service rotates it.
    #[must_use]
    pub fn with_rotation_period(mut self, rotation_period: impl Into<Option<Duration>>) -> Self {
        self.rotation_period = rotation_period.into();
        self
    }

    /// Sets its labels, or tags.
    #[must_use]
    pub fn with_labels(mut self, labels: BTreeMap<String, String>) -> Self {
        self.labels = labels;
        self
    }

    /// Sets whether it may have replicas in other regions.
    #[must_use]
    pub fn with_multi_region(mut self, multi_region: bool) -> Self {
        self.multi_region = multi_region;
        self
    }

    /// Sets how long the destruction of a version can be undone.
    #[must_use]
    pub fn with_destroy_delay(mut self, destroy_delay: impl Into<Option<Duration>>) -> Self {
        self.destroy_delay = destroy_delay.into();
        self
    }

    /// Sets the key store that it is to be made in.
    #[must_use]
    pub fn with_key_store(mut self, key_store: impl Into<Option<String>>) -> Self {
        self.key_store = key_store.into();
        self
    }

    /// For services without automatic rotation, labels or regions: the first requested feature that they lack.
    #[must_use]
    pub fn unsupported_by_plain_keys(&self) -> Option<&'static str> {
        if self.rotation_period.is_some() {
            return Some("its keys do not rotate by themselves");
        }
        if !self.labels.is_empty() {
            return Some("its keys have no labels");
        }
        if self.multi_region {
            return Some("its keys are in one place");
        }
        if self.destroy_delay.is_some() {
            return Some("its versions are destroyed at once");
        }
        let store = self.key_store.as_ref();
        store.map(|_| "it has no other key stores")
    }
}

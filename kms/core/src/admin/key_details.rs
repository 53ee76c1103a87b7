//! What a service tells of a key and its versions.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use super::key_spec::KeyPurpose;
use crate::{KeyOrigin, KeyUri, Protection, text_form::text_form};

/// What a service tells an administrator about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyDetails {
    /// Its name.
    pub uri: KeyUri,
    /// Its purpose.
    pub purpose: KeyPurpose,
    /// Where its material is.
    pub protection: Protection,
    /// Who made its material, and where it is kept, if the service tells.
    pub origin: Option<KeyOrigin>,
    /// The version that encrypts or signs now.
    pub primary: Option<KeyVersion>,
    /// When it was created.
    pub created: Option<SystemTime>,
    /// How often the service rotates it.
    pub rotation_period: Option<Duration>,
    /// When the service rotates it next.
    pub next_rotation: Option<SystemTime>,
    /// Labels, or tags.
    pub labels: BTreeMap<String, String>,
    /// How long the destruction of a version can be undone, where that is a property of the key.
    pub destroy_delay: Option<Duration>,
    /// Whether it may have replicas in other regions.
    pub multi_region: bool,
    /// Its replicas in other regions.
    pub replicas: Vec<KeyUri>,
}

impl KeyDetails {
    /// What every service tells about a key. Add the rest with the setters.
    #[must_use]
    pub fn new(uri: KeyUri, purpose: KeyPurpose, protection: Protection) -> Self {
        Self {
            uri,
            purpose,
            protection,
            origin: None,
            primary: None,
            created: None,
            rotation_period: None,
            next_rotation: None,
            labels: BTreeMap::new(),
            destroy_delay: None,
            multi_region: false,
            replicas: Vec::new(),
        }
    }

    /// Adds who made its material, and where it is kept.
    #[must_use]
    pub fn with_origin(mut self, origin: impl Into<Option<KeyOrigin>>) -> Self {
        self.origin = origin.into();
        self
    }

    /// Adds the version that encrypts or signs now.
    #[must_use]
    pub fn with_primary(mut self, primary: impl Into<Option<KeyVersion>>) -> Self {
        self.primary = primary.into();
        self
    }

    /// Adds when it was made.
    #[must_use]
    pub fn with_created(mut self, created: impl Into<Option<SystemTime>>) -> Self {
        self.created = created.into();
        self
    }

    /// Adds how often the service rotates it.
    #[must_use]
    pub fn with_rotation_period(mut self, rotation_period: impl Into<Option<Duration>>) -> Self {
        self.rotation_period = rotation_period.into();
        self
    }

    /// Adds when the service rotates it next.
    #[must_use]
    pub fn with_next_rotation(mut self, next_rotation: impl Into<Option<SystemTime>>) -> Self {
        self.next_rotation = next_rotation.into();
        self
    }

    /// Adds its labels, or tags.
    #[must_use]
    pub fn with_labels(mut self, labels: BTreeMap<String, String>) -> Self {
        self.labels = labels;
        self
    }

    /// Adds whether it may have replicas in other regions.
    #[must_use]
    pub fn with_multi_region(mut self, multi_region: bool) -> Self {
        self.multi_region = multi_region;
        self
    }

    /// Adds its replicas in other regions.
    #[must_use]
    pub fn with_replicas(mut self, replicas: Vec<KeyUri>) -> Self {
        self.replicas = replicas;
        self
    }

    /// Adds how long the destruction of a version can be undone.
    #[must_use]
    pub fn with_destroy_delay(mut self, destroy_delay: impl Into<Option<Duration>>) -> Self {
        self.destroy_delay = destroy_delay.into();
        self
    }
}

/// One version of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyVersion {
    /// Its name within the key.
    pub id: String,
    /// Whether it can be used.
    pub state: KeyState,
    /// When it was created.
    pub created: Option<SystemTime>,
}

impl KeyVersion {
    /// A version of unknown age.
    #[must_use]
    pub fn new(id: impl Into<String>, state: KeyState) -> Self {
        Self {
            id: id.into(),
            state,
            created: None,
        }
    }

    /// Adds when it was made.
    #[must_use]
    pub fn with_created(mut self, created: impl Into<Option<SystemTime>>) -> Self {
        self.created = created.into();
        self
    }
}

/// Whether a version can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyState {
    /// The version can be used.
    Enabled,
    /// The version cannot be used until an operator enables it again.
    Disabled,
    /// Its destruction is scheduled and can still be cancelled.
    DestroyScheduled,
    /// The version is destroyed. What it encrypted is lost.
    Destroyed,
    /// Any other state, such as a version that is still being created.
    Other,
}

impl KeyState {
    /// The name in output and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::DestroyScheduled => "destroy-scheduled",
            Self::Destroyed => "destroyed",
            Self::Other => "other",
        }
    }
}

text_form!(KeyState);

//! Key management: creating, rotating and destroying keys, and granting permissions on them.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, SystemTime},
};

use super::{Protection, ProviderError, ProviderErrorKind};
use crate::{EncryptionContext, KeyGrants, KeyOrigin, KeyRole, KeyUri, text_form::text_form};
use async_trait::async_trait;

#[cfg(test)]
mod defaults;

/// Manages the keys of one key management service. It is a separate trait, because a program that encrypts and decrypts
/// should not have these permissions.
///
/// An operation that a service does not have returns
/// [`ProviderErrorKind::Unsupported`](super::ProviderErrorKind::Unsupported). The default implementations do that. An
/// error about a version that an existing key does not have is marked by [`ProviderError::with_missing_version`].
#[async_trait]
pub trait KeyAdmin: Send + Sync + fmt::Debug {
    /// Creates a key, and its key ring if that is missing.
    ///
    /// # Errors
    /// When the key exists already, or the service refuses or fails.
    async fn create(&self, key: &KeyUri, spec: &KeySpec) -> Result<KeyDetails, ProviderError>;

    /// The keys in the same place as `key`: its key ring, account and region, token or folder. `key` itself need not
    /// exist.
    ///
    /// # Errors
    /// When the service refuses or fails.
    async fn list(&self, key: &KeyUri) -> Result<Vec<KeyDetails>, ProviderError> {
        Err(unsupported(
            key,
            "it cannot list keys",
            "list them with the service's own tool",
        ))
    }

    /// Everything that the service tells an administrator about a key, whether it can be used or not.
    ///
    /// # Errors
    /// When the key does not exist, or the service refuses or fails.
    async fn details(&self, key: &KeyUri) -> Result<KeyDetails, ProviderError>;

    /// A key's versions, the newest first.
    ///
    /// # Errors
    /// As [`details`](Self::details).
    async fn versions(&self, key: &KeyUri) -> Result<Vec<KeyVersion>, ProviderError>;

    /// Creates a new version, which encrypts from now on. Older versions still decrypt.
    ///
    /// # Errors
    /// As [`details`](Self::details).
    async fn rotate(&self, key: &KeyUri) -> Result<(), ProviderError> {
        Err(unsupported(
            key,
            "its keys have one version",
            "create another key, and encrypt with it",
        ))
    }

    /// Makes an older version the one that encrypts. All other versions still decrypt.
    ///
    /// # Errors
    /// When the key has no such version or it is disabled, when the service cannot choose, and as
    /// [`details`](Self::details).
    async fn set_primary(&self, key: &KeyUri, version: &str) -> Result<(), ProviderError> {
        let _ = version;
        Err(unsupported(
            key,
            "its newest version encrypts",
            "rotate the key to encrypt with a new version",
        ))
    }

    /// Sets how often the service rotates the key by itself. `None` stops automatic rotation.
    ///
    /// # Errors
    /// As [`details`](Self::details).
    async fn set_rotation(
        &self,
        key: &KeyUri,
        period: Option<Duration>,
    ) -> Result<(), ProviderError> {
        let _ = period;
        Err(unsupported(
            key,
            "its keys do not rotate by themselves",
            "rotate the key with `codec-server keys rotate`",
        ))
    }

    /// Disables a version. Disables the whole key if `version` is `None` or the service has no versions.
    ///
    /// # Errors
    /// As [`details`](Self::details).
    async fn disable(&self, key: &KeyUri, version: Option<&str>) -> Result<(), ProviderError> {
        let _ = version;
        Err(unsupported(
            key,
            "its keys cannot be disabled",
            "take the permissions on the key away",
        ))
    }

    /// Enables what [`disable`](Self::disable) disabled.
    ///
    /// # Errors
    /// As [`details`](Self::details).
    async fn enable(&self, key: &KeyUri, version: Option<&str>) -> Result<(), ProviderError> {
        let _ = version;
        Err(unsupported(
            key,
            "its keys cannot be disabled",
            "use the key as it is",
        ))
    }

    /// Schedules the destruction of a version, or of the whole key. After its destruction, what it encrypted is lost.
    /// Returns the time of the destruction, or `None` when the key is destroyed already.
    ///
    /// # Errors
    /// As [`details`](Self::details).
    async fn destroy(
        &self,
        key: &KeyUri,
        version: Option<&str>,
    ) -> Result<Option<SystemTime>, ProviderError> {
        let _ = version;
        Err(unsupported(
            key,
            "",
            "destroy its keys with the service's own tool",
        ))
    }

    /// Creates a replica of a multi-region key in another region, and returns the replica's name.
    ///
    /// # Errors
    /// When the service has no replicas or the key cannot have any, and as [`details`](Self::details).
    async fn replicate(&self, key: &KeyUri, region: &str) -> Result<KeyUri, ProviderError> {
        let _ = region;
        Err(unsupported(
            key,
            "its keys are in one place",
            "use a key of a service that has replicas",
        ))
    }

    /// Grants `member` a role on the key. `member` has the service's own form. Returns whether this changed anything.
    ///
    /// # Errors
    /// As [`details`](Self::details).
    async fn grant(
        &self,
        key: &KeyUri,
        member: &str,
        role: KeyRole,
    ) -> Result<bool, ProviderError> {
        let _ = (member, role);
        Err(unsupported(
            key,
            "",
            "permit the use of its keys with the service's own tool",
        ))
    }

    /// As [`grant`](Self::grant), but only for calls whose encryption context holds all pairs of `context`, such as
    /// `namespace`. The service then keeps namespaces apart even if the member's program does not.
    /// Payloads of the formats `envelope-v1` and `direct` have no context, so they cannot be used with such a grant.
    ///
    /// # Errors
    /// [`ProviderErrorKind::Unsupported`] when `context` has pairs and the service cannot tie permissions to them, and as
    /// [`grant`](Self::grant).
    async fn grant_for_context(
        &self,
        key: &KeyUri,
        member: &str,
        role: KeyRole,
        context: &EncryptionContext,
    ) -> Result<bool, ProviderError> {
        if context.is_empty() {
            return self.grant(key, member, role).await;
        }
        Err(unsupported(
            key,
            "it cannot tie a permission to an encryption context",
            "use a key for each namespace",
        ))
    }

    /// Takes a role away from `member`, under every encryption context. Returns whether that changed anything.
    ///
    /// # Errors
    /// When another permission of the key still permits the role: the error says which. As [`grant`](Self::grant).
    async fn revoke(
        &self,
        key: &KeyUri,
        member: &str,
        role: KeyRole,
    ) -> Result<bool, ProviderError> {
        let _ = (member, role);
        Err(unsupported(
            key,
            "",
            "take permissions away with the service's own tool",
        ))
    }

    /// Takes away what [`grant_for_context`](Self::grant_for_context) gave under exactly these pairs.
    ///
    /// # Errors
    /// As [`grant_for_context`](Self::grant_for_context).
    async fn revoke_for_context(
        &self,
        key: &KeyUri,
        member: &str,
        role: KeyRole,
        context: &EncryptionContext,
    ) -> Result<bool, ProviderError> {
        if context.is_empty() {
            return self.revoke(key, member, role).await;
        }
        Err(unsupported(
            key,
            "it cannot tie a permission to an encryption context",
            "take the role away for all contexts",
        ))
    }

    /// Who may use the key, as far as the service keeps it at the key.
    ///
    /// # Errors
    /// As [`details`](Self::details).
    async fn grants(&self, key: &KeyUri) -> Result<KeyGrants, ProviderError> {
        Err(unsupported(
            key,
            "",
            "look at permissions with the service's own tool",
        ))
    }
}

fn unsupported(key: &KeyUri, detail: &'static str, remedy: &'static str) -> ProviderError {
    ProviderError::new(ProviderErrorKind::Unsupported, key)
        .with_detail(detail)
        .with_remedy(remedy)
}

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
    /// The version that encrypts now.
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

    /// Adds the version that encrypts now.
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
    /// The version cannot be used until somebody enables it again.
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

/// When a key should be rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RotationPolicy {
    /// The age at which the primary version should be rotated. Default: 90 days.
    pub period: Duration,
    /// The age at which any version that decrypts causes a warning. Default: 365 days.
    pub max_age: Duration,
}

impl Default for RotationPolicy {
    fn default() -> Self {
        Self {
            period: Duration::from_hours(90 * 24),
            max_age: Duration::from_hours(365 * 24),
        }
    }
}

impl RotationPolicy {
    /// Sets the age at which the primary version should be rotated.
    #[must_use]
    pub fn with_period(mut self, period: Duration) -> Self {
        self.period = period;
        self
    }

    /// Sets the age at which any version that decrypts causes a warning.
    #[must_use]
    pub fn with_max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// Whether the version that encrypts is older than the period. Never for signing keys: old signatures stay valid,
    /// and every verifier would need the new public key. Never where the age is unknown.
    #[must_use]
    pub fn should_rotate(&self, key: &KeyDetails, now: SystemTime) -> bool {
        let made = key
            .primary
            .as_ref()
            .map_or(key.created, |version| version.created);
        key.purpose == KeyPurpose::Encrypt
            && made.is_some_and(|made| now.duration_since(made).unwrap_or_default() >= self.period)
    }

    /// Whether a version has reached the maximum age.
    #[must_use]
    pub fn is_overaged(&self, version: &KeyVersion, now: SystemTime) -> bool {
        version
            .created
            .is_some_and(|made| now.duration_since(made).unwrap_or_default() >= self.max_age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(purpose: KeyPurpose, created: Option<SystemTime>) -> KeyDetails {
        let uri = "local://k".parse().unwrap();
        KeyDetails::new(uri, purpose, Protection::Software).with_created(created)
    }

    #[test]
    fn only_an_encrypting_key_that_is_known_to_be_old_should_rotate() {
        let policy = RotationPolicy::default();
        let now = SystemTime::UNIX_EPOCH + policy.period * 2;
        let old = Some(now - policy.period);
        let young = Some(now - policy.period + Duration::from_secs(1));
        assert!(policy.should_rotate(&key(KeyPurpose::Encrypt, old), now));
        assert!(!policy.should_rotate(&key(KeyPurpose::Encrypt, young), now));
        assert!(!policy.should_rotate(&key(KeyPurpose::Encrypt, None), now));
        assert!(!policy.should_rotate(&key(KeyPurpose::SignP256, old), now));
        assert!(!policy.should_rotate(&key(KeyPurpose::SignEd25519, old), now));

        let mut rotated = key(KeyPurpose::Encrypt, old);
        rotated.primary = Some(KeyVersion {
            id: "2".to_owned(),
            state: KeyState::Enabled,
            created: None,
        });
        assert!(
            !policy.should_rotate(&rotated, now),
            "how old the version is, is unknown"
        );
    }
}

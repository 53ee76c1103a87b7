//! Key management: creating, rotating and destroying keys, and granting permissions on them.

#[cfg(test)]
mod defaults;
mod key_details;
mod key_spec;
mod rotation_policy;

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;

pub use self::{
    key_details::{KeyDetails, KeyState, KeyVersion},
    key_spec::{KeyPurpose, KeySpec},
    rotation_policy::RotationPolicy,
};
use super::{ProviderError, ProviderErrorKind};
use crate::{EncryptionContext, KeyGrants, KeyRole, KeyUri};

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

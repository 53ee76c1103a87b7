//! Key management at Cloud KMS.

mod new_key;
mod version;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use google_cloud_kms_v1::model::{
    CryptoKey, CryptoKeyVersion, KeyRing, crypto_key::CryptoKeyPurpose,
    crypto_key_version::CryptoKeyVersionState,
};
use google_cloud_wkt::FieldMask;

pub(super) use self::new_key::{crypto_key, rotates_too_rarely};
use self::{new_key::with_rotation, version::named};
use super::{
    client::Service,
    details::{self, time},
    error::{CallKind, already_exists, integrity},
    grant::{grant, grants, revoke},
    name::Parts,
    versions::{self, version_id, version_name},
};
use temporal_kms::{
    KeyAdmin, KeyDetails, KeyGrants, KeyRole, KeySpec, KeyState, KeyUri, KeyVersion, ProviderError,
    ProviderErrorKind as Kind,
};

const MAX_PAGES: usize = 100;
/// What to do about a key that is wanted in several regions.
const MULTI_REGION: &str =
    "make the key in a multi-region location such as `us`, `eur4` or `global`";

/// Manages keys of Cloud KMS.
#[derive(Debug)]
pub(super) struct GcpAdmin {
    service: Arc<Service>,
}

impl GcpAdmin {
    pub(super) fn new(service: Arc<Service>) -> Self {
        Self { service }
    }

    async fn key(&self, uri: &KeyUri) -> Result<CryptoKey, ProviderError> {
        let key = self
            .service
            .call(uri, CallKind::Administer, |client| {
                client.get_crypto_key().set_name(uri.resource()).send()
            })
            .await?;
        if key.name == uri.resource() {
            Ok(key)
        } else {
            Err(integrity(uri, "the answer is another key's"))
        }
    }

    /// Creates the key ring that `uri` names, if it does not exist.
    async fn ensure_key_ring(&self, uri: &KeyUri, parts: &Parts<'_>) -> Result<(), ProviderError> {
        let made = self
            .service
            .call(uri, CallKind::Administer, |client| {
                client
                    .create_key_ring()
                    .set_parent(parts.location)
                    .set_key_ring_id(parts.ring_id)
                    .set_key_ring(KeyRing::new())
                    .send()
            })
            .await;
        match made {
            Ok(_) => Ok(()),
            Err(error) if already_exists(&error) => Ok(()),
            // A caller who may create keys in a ring may lack the permission to create rings.
            Err(error) if error.kind() == Kind::PermissionDenied => self
                .service
                .call(uri, CallKind::Administer, |client| {
                    client.get_key_ring().set_name(parts.ring).send()
                })
                .await
                .map(drop)
                .map_err(|_| error),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl KeyAdmin for GcpAdmin {
    async fn create(&self, key: &KeyUri, spec: &KeySpec) -> Result<KeyDetails, ProviderError> {
        let parts = Parts::of(key)?;
        let new = crypto_key(key, spec)?;
        self.ensure_key_ring(key, &parts).await?;
        let made = self
            .service
            .call(key, CallKind::Administer, |client| {
                client
                    .create_crypto_key()
                    .set_parent(parts.ring)
                    .set_crypto_key_id(parts.key_id)
                    .set_crypto_key(new)
                    .send()
            })
            .await?;
        details::details(made)
            .filter(|details| details.uri == *key)
            .ok_or_else(|| integrity(key, "the answer is another key's"))
    }

    /// Keys for purposes that this library does not use are left out.
    async fn list(&self, key: &KeyUri) -> Result<Vec<KeyDetails>, ProviderError> {
        let ring = Parts::of(key)?.ring;
        let mut keys = Vec::new();
        let mut token = String::new();
        for _ in 0..MAX_PAGES {
            let page = self
                .service
                .call(key, CallKind::Administer, |client| {
                    client
                        .list_crypto_keys()
                        .set_parent(ring)
                        .set_page_token(&token)
                        .send()
                })
                .await?;
            keys.extend(page.crypto_keys.into_iter().filter_map(details::details));
            token = page.next_page_token;
            if token.is_empty() {
                return Ok(keys);
            }
        }
        Err(integrity(key, "the list of keys has no end"))
    }

    async fn details(&self, key: &KeyUri) -> Result<KeyDetails, ProviderError> {
        details::details(self.key(key).await?).ok_or_else(|| {
            unsupported(
                key,
                "it is not for encryption or signing with P-256",
                "name another key",
            )
        })
    }

    async fn versions(&self, key: &KeyUri) -> Result<Vec<KeyVersion>, ProviderError> {
        let versions = versions::all(&self.service, key, CallKind::Administer).await?;
        Ok(versions
            .iter()
            .filter_map(|(_, version)| details::key_version(key, version))
            .collect())
    }

    async fn rotate(&self, key: &KeyUri) -> Result<(), ProviderError> {
        let purpose = self.key(key).await?.purpose;
        let version = self
            .service
            .call(key, CallKind::Administer, |client| {
                client
                    .create_crypto_key_version()
                    .set_parent(key.resource())
                    .set_crypto_key_version(CryptoKeyVersion::new())
                    .send()
            })
            .await?;
        let id = version_id(key, &version.name)
            .ok_or_else(|| integrity(key, "the new version is another key's"))?;
        // Signing keys have no primary version. The newest version signs.
        if purpose != CryptoKeyPurpose::EncryptDecrypt {
            return Ok(());
        }
        self.make_primary(key, id).await
    }

    async fn set_primary(&self, key: &KeyUri, version: &str) -> Result<(), ProviderError> {
        let id = named(key, Some(version))?;
        if self.key(key).await?.purpose != CryptoKeyPurpose::EncryptDecrypt {
            return Err(unsupported(
                key,
                "signing keys have no primary version: the newest one signs",
                "rotate the key to sign with a new version",
            ));
        }
        // The key exists: it was read.
        self.make_primary(key, id)
            .await
            .map_err(|error| match error.kind() {
                Kind::KeyNotFound => error.with_missing_version(),
                _ => error,
            })
    }

    async fn set_rotation(
        &self,
        key: &KeyUri,
        period: Option<Duration>,
    ) -> Result<(), ProviderError> {
        let changed = with_rotation(key, CryptoKey::new().set_name(key.resource()), period)?;
        let mask = FieldMask::default().set_paths(["rotation_period", "next_rotation_time"]);
        self.service
            .call(key, CallKind::Administer, |client| {
                client
                    .update_crypto_key()
                    .set_crypto_key(changed)
                    .set_update_mask(mask)
                    .send()
            })
            .await
            .map(drop)
    }

    async fn disable(&self, key: &KeyUri, version: Option<&str>) -> Result<(), ProviderError> {
        let id = named(key, version)?;
        self.set_state(key, id, CryptoKeyVersionState::Disabled)
            .await
    }

    /// Restores a version first if its destruction is scheduled.
    async fn enable(&self, key: &KeyUri, version: Option<&str>) -> Result<(), ProviderError> {
        let id = named(key, version)?;
        let found = self.version(key, id).await;
        let found = self.of_version(key, found).await?;
        if details::version_state(&found.state) == KeyState::DestroyScheduled {
            let name = version_name(key, id);
            self.service
                .call(key, CallKind::Administer, |client| {
                    client.restore_crypto_key_version().set_name(&name).send()
                })
                .await?;
        }
        self.set_state(key, id, CryptoKeyVersionState::Enabled)
            .await
    }

    async fn destroy(
        &self,
        key: &KeyUri,
        version: Option<&str>,
    ) -> Result<Option<SystemTime>, ProviderError> {
        let id = named(key, version)?;
        let name = version_name(key, id);
        let destroyed = self
            .service
            .call(key, CallKind::Administer, |client| {
                client.destroy_crypto_key_version().set_name(&name).send()
            })
            .await;
        let version = self.of_change(key, id, destroyed).await?;
        Ok(version.destroy_time.and_then(time))
    }

    async fn replicate(&self, key: &KeyUri, _region: &str) -> Result<KeyUri, ProviderError> {
        Err(unsupported(key, "Cloud KMS has no replicas", MULTI_REGION))
    }

    async fn grant(
        &self,
        key: &KeyUri,
        member: &str,
        role: KeyRole,
    ) -> Result<bool, ProviderError> {
        grant(&self.service, key, member, role).await
    }

    async fn revoke(
        &self,
        key: &KeyUri,
        member: &str,
        role: KeyRole,
    ) -> Result<bool, ProviderError> {
        revoke(&self.service, key, member, role).await
    }

    async fn grants(&self, key: &KeyUri) -> Result<KeyGrants, ProviderError> {
        grants(&self.service, key).await
    }
}

fn unsupported(uri: &KeyUri, detail: &'static str, remedy: &'static str) -> ProviderError {
    ProviderError::new(Kind::Unsupported, uri)
        .with_detail(detail)
        .with_remedy(remedy)
}

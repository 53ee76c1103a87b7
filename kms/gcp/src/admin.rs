//! Key management at Cloud KMS.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use google_cloud_kms_v1::model::{
    CryptoKey, CryptoKeyVersion, CryptoKeyVersionTemplate, KeyRing, ProtectionLevel,
    crypto_key::CryptoKeyPurpose,
    crypto_key_version::{CryptoKeyVersionAlgorithm, CryptoKeyVersionState},
};
use google_cloud_wkt::{FieldMask, Timestamp};

use super::{
    client::Service,
    details::{self, time},
    error::{CallKind, already_exists, integrity},
    grant::{grant, grants, revoke},
    name::Parts,
    versions::{self, version_id, version_name},
};
use temporal_kms::{
    KeyAdmin, KeyDetails, KeyGrants, KeyPurpose, KeyRole, KeySpec, KeyState, KeyUri, KeyVersion,
    Protection, ProviderError, ProviderErrorKind as Kind,
};

const DAY: Duration = Duration::from_hours(24);
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

    async fn make_primary(&self, uri: &KeyUri, id: u64) -> Result<(), ProviderError> {
        self.service
            .call(uri, CallKind::Administer, |client| {
                client
                    .update_crypto_key_primary_version()
                    .set_name(uri.resource())
                    .set_crypto_key_version_id(id.to_string())
                    .send()
            })
            .await
            .map(drop)
    }

    async fn set_state(
        &self,
        uri: &KeyUri,
        id: u64,
        state: CryptoKeyVersionState,
    ) -> Result<(), ProviderError> {
        let version = CryptoKeyVersion::new()
            .set_name(version_name(uri, id))
            .set_state(state);
        let changed = self
            .service
            .call(uri, CallKind::Administer, |client| {
                client
                    .update_crypto_key_version()
                    .set_crypto_key_version(version)
                    .set_update_mask(FieldMask::default().set_paths(["state"]))
                    .send()
            })
            .await;
        self.of_change(uri, id, changed).await.map(drop)
    }

    async fn version(&self, uri: &KeyUri, id: u64) -> Result<CryptoKeyVersion, ProviderError> {
        let name = version_name(uri, id);
        self.service
            .call(uri, CallKind::Administer, |client| {
                client.get_crypto_key_version().set_name(&name).send()
            })
            .await
    }

    /// The answer to a change of a version's state. Cloud KMS refuses it for a version that is destroyed, or will be, and
    /// does not say why.
    async fn of_change<T>(
        &self,
        uri: &KeyUri,
        id: u64,
        answer: Result<T, ProviderError>,
    ) -> Result<T, ProviderError> {
        match self.of_version(uri, answer).await {
            Err(error) if error.kind() == Kind::KeyDisabled => {
                let found = self.version(uri, id).await;
                Err(match found.map(|found| details::version_state(&found.state)) {
                    Ok(KeyState::DestroyScheduled) => error
                        .with_explanation(format!("version {id} of {uri} will be destroyed"))
                        .with_remedy(format!(
                            "to keep it, enable it while that is possible: codec-server keys enable {uri} --version {id}"
                        )),
                    Ok(KeyState::Destroyed) => error
                        .with_explanation(format!("version {id} of {uri} is destroyed"))
                        .with_remedy(format!(
                            "name another one, which this command lists: codec-server keys versions {uri}"
                        )),
                    _ => error,
                })
            }
            answer => answer,
        }
    }

    /// The answer to a call that names a version. Cloud KMS answers a missing version and a missing key alike.
    async fn of_version<T>(
        &self,
        uri: &KeyUri,
        answer: Result<T, ProviderError>,
    ) -> Result<T, ProviderError> {
        match answer {
            Err(error) if error.kind() == Kind::KeyNotFound => {
                let exists = self.key(uri).await.is_ok();
                Err(if exists {
                    error.with_missing_version()
                } else {
                    error
                })
            }
            answer => answer,
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

/// The key that is to be created.
///
/// # Errors
/// When Cloud KMS has no such keys.
pub(super) fn crypto_key(uri: &KeyUri, spec: &KeySpec) -> Result<CryptoKey, ProviderError> {
    let (purpose, algorithm) = match spec.purpose {
        KeyPurpose::Encrypt => (
            CryptoKeyPurpose::EncryptDecrypt,
            CryptoKeyVersionAlgorithm::GoogleSymmetricEncryption,
        ),
        KeyPurpose::SignP256 => (
            CryptoKeyPurpose::AsymmetricSign,
            CryptoKeyVersionAlgorithm::EcSignP256Sha256,
        ),
        _ => {
            return Err(unsupported(
                uri,
                "signing keys at Cloud KMS are for ECDSA on P-256",
                "create one with --purpose sign-p256",
            ));
        }
    };
    let level = match spec.protection {
        None | Some(Protection::Software) => ProtectionLevel::Software,
        Some(Protection::Hsm) => ProtectionLevel::Hsm,
        Some(_) => {
            return Err(unsupported(
                uri,
                "Cloud KMS keeps keys in software or in an HSM",
                "use --protection software or --protection hsm",
            ));
        }
    };
    if spec.multi_region {
        return Err(unsupported(
            uri,
            "the location of a key decides in how many regions it is",
            MULTI_REGION,
        ));
    }
    if spec.key_store.is_some() {
        return Err(unsupported(
            uri,
            "Cloud KMS has no other key stores",
            "use --protection hsm",
        ));
    }
    let template = CryptoKeyVersionTemplate::new()
        .set_algorithm(algorithm)
        .set_protection_level(level);
    let key = CryptoKey::new()
        .set_purpose(purpose)
        .set_version_template(template)
        .set_labels(spec.labels.clone())
        .set_or_clear_destroy_scheduled_duration(destroy_delay(uri, spec.destroy_delay)?);
    with_rotation(uri, key, spec.rotation_period)
}

/// `CryptoKey.destroy_scheduled_duration`: 24 hours to 120 days, which cannot be changed later.
fn destroy_delay(
    uri: &KeyUri,
    delay: Option<Duration>,
) -> Result<Option<google_cloud_wkt::Duration>, ProviderError> {
    let Some(delay) = delay else {
        return Ok(None);
    };
    let allowed = (DAY..=DAY * 120).contains(&delay);
    let whole = Duration::from_secs(delay.as_secs()).try_into().ok();
    match whole.filter(|_| allowed) {
        Some(whole) => Ok(Some(whole)),
        None => Err(ProviderError::new(Kind::Misconfigured, uri)
            .with_detail("Cloud KMS destroys a version 1 to 120 days after it was asked to")
            .with_remedy("use --destroy-delay 1d to 120d")),
    }
}

/// Sets the schedule. The next rotation is one period from now.
fn with_rotation(
    uri: &KeyUri,
    key: CryptoKey,
    period: Option<Duration>,
) -> Result<CryptoKey, ProviderError> {
    let Some(period) = period else {
        return Ok(key);
    };
    let schedule = || {
        let whole = Duration::from_secs(period.as_secs());
        let next = Timestamp::try_from(SystemTime::now().checked_add(whole)?).ok()?;
        let period: google_cloud_wkt::Duration = whole.try_into().ok()?;
        Some((period, next))
    };
    let Some((period, next)) = schedule() else {
        return Err(rotates_too_rarely(uri));
    };
    Ok(key.set_rotation_period(period).set_next_rotation_time(next))
}

/// The error for a rotation period whose end has no date.
pub(super) fn rotates_too_rarely(uri: &KeyUri) -> ProviderError {
    ProviderError::new(Kind::Misconfigured, uri)
        .with_detail("the rotation period is too long")
        .with_remedy("choose a shorter one")
}

fn unsupported(uri: &KeyUri, detail: &'static str, remedy: &'static str) -> ProviderError {
    ProviderError::new(Kind::Unsupported, uri)
        .with_detail(detail)
        .with_remedy(remedy)
}

/// The service disables, enables and destroys versions, never whole keys.
fn named(uri: &KeyUri, version: Option<&str>) -> Result<u64, ProviderError> {
    // `01` and `+1` would be version 1 under a name that no comparison of names finds.
    let id = version.map(|version| {
        let id: Option<u64> = version.parse().ok();
        id.filter(|id| id.to_string() == version)
    });
    match id {
        Some(Some(id)) => Ok(id),
        Some(None) => Err(ProviderError::new(Kind::KeyNotFound, uri)
            .with_missing_version()
            .with_detail(format!("{:?} is not a number", version.unwrap_or_default()))),
        None => Err(ProviderError::new(Kind::Misconfigured, uri)
            .with_detail("Cloud KMS does this to versions, not to keys")
            .with_remedy("name the version")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_cloud_kms_does_not_have_is_told_with_what_to_do() {
        let key = "gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k";
        let key: KeyUri = key.parse().unwrap();
        for spec in [
            KeySpec::new(KeyPurpose::SignEd25519),
            KeySpec::default().with_protection(Protection::File),
            KeySpec::default().with_multi_region(true),
            KeySpec::default().with_key_store("cks-1".to_owned()),
            KeySpec::default().with_destroy_delay(DAY * 121),
            KeySpec::default().with_rotation_period(Duration::MAX),
        ] {
            let text = crypto_key(&key, &spec).unwrap_err().to_string();
            assert_eq!(text.matches("; ").count(), 1, "{text}");
        }
        for version in [None, Some("01"), Some("a")] {
            let error = named(&key, version).unwrap_err();
            assert_eq!(error.to_string().matches("; ").count(), 1, "{error}");
            assert!(!error.is_key_missing(), "{error}");
        }
    }
}

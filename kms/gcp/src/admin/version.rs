//! One version of a key: its state, and why Cloud KMS refuses to change it.

use google_cloud_kms_v1::model::{CryptoKeyVersion, crypto_key_version::CryptoKeyVersionState};
use google_cloud_wkt::FieldMask;

use super::GcpAdmin;
use crate::{details, error::CallKind, versions::version_name};
use temporal_kms::{KeyState, KeyUri, ProviderError, ProviderErrorKind as Kind};

impl GcpAdmin {
    pub(super) async fn make_primary(&self, uri: &KeyUri, id: u64) -> Result<(), ProviderError> {
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

    pub(super) async fn set_state(
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

    pub(super) async fn version(
        &self,
        uri: &KeyUri,
        id: u64,
    ) -> Result<CryptoKeyVersion, ProviderError> {
        let name = version_name(uri, id);
        self.service
            .call(uri, CallKind::Administer, |client| {
                client.get_crypto_key_version().set_name(&name).send()
            })
            .await
    }

    /// The answer to a change of a version's state. Cloud KMS refuses it for a version that is destroyed, or will be, and
    /// does not say why.
    pub(super) async fn of_change<T>(
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
    pub(super) async fn of_version<T>(
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

/// The service disables, enables and destroys versions, never whole keys.
pub(super) fn named(uri: &KeyUri, version: Option<&str>) -> Result<u64, ProviderError> {
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
    fn a_version_without_a_number_is_told_with_what_to_do() {
        let key = "gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k";
        let key: KeyUri = key.parse().unwrap();
        for version in [None, Some("01"), Some("a")] {
            let error = named(&key, version).unwrap_err();
            assert_eq!(error.to_string().matches("; ").count(), 1, "{error}");
            assert!(!error.is_key_missing(), "{error}");
        }
    }
}

//! Translates the service's resources to the common types.

use std::time::SystemTime;

use google_cloud_kms_v1::model::{
    CryptoKey, CryptoKeyVersion, ProtectionLevel,
    crypto_key::CryptoKeyPurpose,
    crypto_key_version::{CryptoKeyVersionAlgorithm, CryptoKeyVersionState},
};
use google_cloud_wkt::Timestamp;

use super::versions::version_id;
use temporal_kms::{
    KeyDetails, KeyOrigin, KeyPurpose, KeyState, KeyUri, KeyVersion, Protection, Scheme,
};

/// A key that this library can use: for encryption, or for signing with an algorithm of [`KeyPurpose`].
pub(super) fn details(key: CryptoKey) -> Option<KeyDetails> {
    let uri = KeyUri::new(Scheme::GCP_KMS, &key.name).ok()?;
    let template = key.version_template.as_ref();
    let algorithm = template.map(|template| &template.algorithm);
    let purpose = match (&key.purpose, algorithm) {
        (CryptoKeyPurpose::EncryptDecrypt, _) => KeyPurpose::Encrypt,
        (CryptoKeyPurpose::AsymmetricSign, Some(CryptoKeyVersionAlgorithm::EcSignP256Sha256)) => {
            KeyPurpose::SignP256
        }
        (CryptoKeyPurpose::AsymmetricSign, Some(CryptoKeyVersionAlgorithm::EcSignEd25519)) => {
            KeyPurpose::SignEd25519
        }
        _ => return None,
    };
    let rotation_period = key
        .rotation_period()
        .and_then(|period| (**period).try_into().ok());
    let destroy_delay = key
        .destroy_scheduled_duration
        .and_then(|delay| delay.try_into().ok());
    let origin = template.map(|template| origin(key.import_only, &template.protection_level));
    let primary = key
        .primary
        .as_ref()
        .and_then(|version| key_version(&uri, version));
    Some(
        KeyDetails::new(
            uri,
            purpose,
            template.map_or(Protection::Software, |template| {
                protection(&template.protection_level)
            }),
        )
        .with_origin(origin)
        .with_primary(primary)
        .with_created(key.create_time.and_then(time))
        .with_rotation_period(rotation_period)
        .with_next_rotation(key.next_rotation_time.and_then(time))
        .with_labels(key.labels.into_iter().collect())
        .with_destroy_delay(destroy_delay),
    )
}

pub(super) fn key_version(uri: &KeyUri, version: &CryptoKeyVersion) -> Option<KeyVersion> {
    Some(
        KeyVersion::new(
            version_id(uri, &version.name)?.to_string(),
            version_state(&version.state),
        )
        .with_created(version.create_time.and_then(time)),
    )
}

pub(super) fn version_state(state: &CryptoKeyVersionState) -> KeyState {
    match state {
        CryptoKeyVersionState::Enabled => KeyState::Enabled,
        CryptoKeyVersionState::Disabled => KeyState::Disabled,
        CryptoKeyVersionState::DestroyScheduled => KeyState::DestroyScheduled,
        CryptoKeyVersionState::Destroyed => KeyState::Destroyed,
        _ => KeyState::Other,
    }
}

fn origin(is_imported: bool, level: &ProtectionLevel) -> KeyOrigin {
    match level {
        ProtectionLevel::External | ProtectionLevel::ExternalVpc => KeyOrigin::External,
        _ if is_imported => KeyOrigin::Imported,
        _ => KeyOrigin::Service,
    }
}

/// The service does not know whether an external key manager keeps its keys in an HSM.
pub(super) fn protection(level: &ProtectionLevel) -> Protection {
    match level {
        ProtectionLevel::Hsm | ProtectionLevel::HsmSingleTenant => Protection::Hsm,
        _ => Protection::Software,
    }
}

pub(super) fn time(time: Timestamp) -> Option<SystemTime> {
    time.try_into().ok()
}

//! Translates AWS KMS's metadata of a key.

use std::time::SystemTime;

use aws_sdk_kms::{
    primitives::DateTime,
    types::{KeyManagerType, KeyMetadata, KeySpec, KeyState as State, KeyUsageType, OriginType},
};

use super::client::RegionalKey;
use temporal_kms::{
    KeyOrigin, KeyPurpose, KeyState, Protection, ProviderError, ProviderErrorKind as Kind,
};

/// Describes the key, and checks that the answer is about this key.
pub(super) async fn describe(key: &RegionalKey) -> Result<KeyMetadata, ProviderError> {
    let call = key.kms.describe_key().key_id(key.id()).send();
    let answer = call.await.map_err(key.failed("kms:DescribeKey"))?;
    let metadata = answer.key_metadata.ok_or_else(|| unreadable(key))?;
    key.check_answer(metadata.arn())?;
    Ok(metadata)
}

pub(super) fn unreadable(key: &RegionalKey) -> ProviderError {
    key.error(Kind::Integrity)
        .with_detail("its answer lacks what was asked for")
}

/// The purpose of a key. `None` if this crate cannot use it.
pub(super) fn purpose(metadata: &KeyMetadata) -> Option<KeyPurpose> {
    match (metadata.key_usage()?, metadata.key_spec()?) {
        (KeyUsageType::EncryptDecrypt, KeySpec::SymmetricDefault) => Some(KeyPurpose::Encrypt),
        (KeyUsageType::SignVerify, KeySpec::EccNistP256) => Some(KeyPurpose::SignP256),
        (KeyUsageType::SignVerify, KeySpec::EccNistEdwards25519) => Some(KeyPurpose::SignEd25519),
        _ => None,
    }
}

pub(super) fn state(metadata: &KeyMetadata) -> KeyState {
    match metadata.key_state() {
        Some(State::Enabled) => KeyState::Enabled,
        Some(State::Disabled) => KeyState::Disabled,
        Some(State::PendingDeletion | State::PendingReplicaDeletion) => KeyState::DestroyScheduled,
        _ => KeyState::Other,
    }
}

/// AWS does not know how an external key store keeps its keys.
pub(super) fn protection(metadata: &KeyMetadata) -> Protection {
    match metadata.origin() {
        Some(OriginType::AwsKms | OriginType::AwsCloudhsm | OriginType::External) => {
            Protection::Hsm
        }
        _ => Protection::Software,
    }
}

/// Who made the key's material, and where it is kept.
pub(super) fn origin(metadata: &KeyMetadata) -> Option<KeyOrigin> {
    match metadata.origin()? {
        OriginType::AwsKms => Some(KeyOrigin::Service),
        OriginType::External => Some(KeyOrigin::Imported),
        OriginType::AwsCloudhsm => Some(KeyOrigin::CloudHsm),
        OriginType::ExternalKeyStore => Some(KeyOrigin::External),
        _ => None,
    }
}

/// Whether the account's owner manages the key, and not AWS.
pub(super) fn is_customers(metadata: &KeyMetadata) -> bool {
    metadata.key_manager() == Some(&KeyManagerType::Customer)
}

/// The id of the current key material. Without one, the key's own id.
pub(super) fn current_version(metadata: &KeyMetadata) -> String {
    metadata
        .current_key_material_id()
        .unwrap_or(metadata.key_id())
        .to_owned()
}

pub(super) fn time(at: Option<&DateTime>) -> Option<SystemTime> {
    SystemTime::try_from(*at?).ok()
}

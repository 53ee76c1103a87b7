//! New keys as Cloud KMS is to create them, and when it rotates keys.

use std::time::{Duration, SystemTime};

use google_cloud_kms_v1::model::{
    CryptoKey, CryptoKeyVersionTemplate, ProtectionLevel, crypto_key::CryptoKeyPurpose,
    crypto_key_version::CryptoKeyVersionAlgorithm,
};
use google_cloud_wkt::Timestamp;

use super::{MULTI_REGION, unsupported};
use temporal_kms::{
    KeyPurpose, KeySpec, KeyUri, Protection, ProviderError, ProviderErrorKind as Kind,
};

const DAY: Duration = Duration::from_hours(24);

/// The key that is to be created.
///
/// # Errors
/// When Cloud KMS has no such keys.
pub(crate) fn crypto_key(uri: &KeyUri, spec: &KeySpec) -> Result<CryptoKey, ProviderError> {
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
pub(super) fn with_rotation(
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
pub(crate) fn rotates_too_rarely(uri: &KeyUri) -> ProviderError {
    ProviderError::new(Kind::Misconfigured, uri)
        .with_detail("the rotation period is too long")
        .with_remedy("choose a shorter one")
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
    }
}

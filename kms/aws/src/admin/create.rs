//! Creating a key at AWS KMS.

use aws_sdk_kms::types::{KeySpec as Spec, KeyUsageType, OriginType, Tag};

use super::{enable_rotation, rotation_days};
use crate::{
    client::RegionalKey,
    metadata::{self, unreadable},
    misconfigured,
    name::{Arn, KeyName},
    unsupported,
};
use temporal_kms::{
    KeyPurpose, KeySpec, KeyUri, Protection, ProviderError, ProviderErrorKind as Kind,
};

/// AWS KMS's shortest wait, because the key was never used.
const DISCARD_DAYS: i32 = 7;

/// Creates a key and gives it the requested alias.
pub(super) async fn create(
    asked: RegionalKey,
    spec: &KeySpec,
) -> Result<RegionalKey, ProviderError> {
    let Some(alias) = asked.name.alias() else {
        return Err(not_an_alias(&asked.uri));
    };
    let (usage, key_spec) = kind(&asked.uri, spec)?;
    let rotation = spec.rotation_period;
    let days = rotation
        .map(|period| rotation_days(&asked.uri, period))
        .transpose()?;
    refuse_if_present(&asked).await?;

    let made = create_key(&asked, spec, usage, key_spec).await?;
    let call = made.kms.create_alias().alias_name(alias);
    let named = call.target_key_id(made.id()).send().await;
    if let Err(error) = named {
        // Without an alias the key would be lost and still cost money.
        discard(&made).await;
        return Err(made.failed("kms:CreateAlias")(error));
    }
    if let Some(days) = days {
        enable_rotation(&made, days).await.map_err(|error| {
            let remedy = format!(
                "{}, and set the rotation: codec-server keys rotate --rotation-period",
                error.remedy()
            );
            error
                .with_detail("the key was created, but its rotation is not set")
                .with_remedy(remedy)
        })?;
    }
    Ok(made)
}

/// The error for the name of a new key that is not an alias.
pub(crate) fn not_an_alias(key: &KeyUri) -> ProviderError {
    misconfigured(
        key,
        "AWS KMS chooses the ids of keys",
        "name the new key by an alias, aws-kms://alias/NAME",
    )
}

/// What AWS KMS calls such a key.
///
/// # Errors
/// When AWS KMS has no such keys.
pub(crate) fn kind(key: &KeyUri, spec: &KeySpec) -> Result<(KeyUsageType, Spec), ProviderError> {
    let unsupported = |detail, remedy| Err(unsupported(key, detail, remedy));
    if matches!(
        spec.protection,
        Some(Protection::File | Protection::Software)
    ) {
        return unsupported(
            "AWS KMS keeps every key in a hardware security module",
            "leave --protection out",
        );
    }
    if spec.destroy_delay.is_some() {
        return unsupported(
            "AWS KMS takes the time from the call that deletes the key",
            "give it there: codec-server keys destroy --window",
        );
    }
    if spec.key_store.is_some() {
        if spec.purpose != KeyPurpose::Encrypt {
            return unsupported(
                "a CloudHSM key store has keys for encryption only",
                "leave --custom-key-store out",
            );
        }
        if spec.multi_region {
            return unsupported(
                "keys in a CloudHSM key store have no replicas",
                "leave --multi-region or --custom-key-store out",
            );
        }
        if spec.rotation_period.is_some() {
            return unsupported(
                "AWS KMS does not rotate keys in a CloudHSM key store",
                "use --rotation-period never",
            );
        }
    }
    match spec.purpose {
        KeyPurpose::Encrypt => Ok((KeyUsageType::EncryptDecrypt, Spec::SymmetricDefault)),
        KeyPurpose::SignP256 if spec.rotation_period.is_some() => unsupported(
            "AWS KMS rotates no signing keys",
            "leave --rotation-period out",
        ),
        KeyPurpose::SignP256 => Ok((KeyUsageType::SignVerify, Spec::EccNistP256)),
        _ => unsupported(
            "signing keys at AWS KMS are for ECDSA on P-256",
            "create one with --purpose sign-p256",
        ),
    }
}

async fn refuse_if_present(asked: &RegionalKey) -> Result<(), ProviderError> {
    match metadata::describe(asked).await {
        Ok(_) => Err(asked.error(Kind::AlreadyExists)),
        Err(error) if error.kind() == Kind::KeyNotFound => Ok(()),
        Err(error) => Err(error),
    }
}

async fn create_key(
    asked: &RegionalKey,
    spec: &KeySpec,
    usage: KeyUsageType,
    key_spec: Spec,
) -> Result<RegionalKey, ProviderError> {
    let tag =
        |(name, value): (&String, &String)| Tag::builder().tag_key(name).tag_value(value).build();
    let tags: Result<Vec<_>, _> = spec.labels.iter().map(tag).collect();
    let tags = tags.map_err(|_| {
        misconfigured(
            &asked.uri,
            "a label lacks its name or its value",
            "write NAME=VALUE",
        )
    })?;
    let answer = asked
        .kms
        .create_key()
        .key_usage(usage)
        .key_spec(key_spec)
        .multi_region(spec.multi_region)
        .description("Made by temporal-kms-codec")
        .set_tags((!tags.is_empty()).then_some(tags))
        .set_origin(spec.key_store.as_ref().map(|_| OriginType::AwsCloudhsm))
        .set_custom_key_store_id(spec.key_store.clone())
        .send()
        .await
        .map_err(asked.failed("kms:CreateKey"))?;
    let arn = answer.key_metadata.as_ref().and_then(|made| made.arn());
    let arn = arn
        .and_then(Arn::parse)
        .filter(|arn| arn.region() == asked.region);
    Ok(RegionalKey {
        name: KeyName::Arn(arn.ok_or_else(|| unreadable(asked))?),
        ..asked.clone()
    })
}

async fn discard(made: &RegionalKey) {
    let call = made.kms.schedule_key_deletion().key_id(made.id());
    let discarded = call.pending_window_in_days(DISCARD_DAYS).send().await;
    if discarded.is_ok() {
        tracing::warn!(key = %made.name, "the new key got no alias and was scheduled for deletion");
    } else {
        tracing::error!(key = %made.name, "the new key got no alias; schedule it for deletion");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_key_that_aws_kms_does_not_have_is_told_with_what_to_do() {
        let key = "aws-kms://alias/a".parse().unwrap();
        let stored = || KeySpec::default().with_key_store("cks-1".to_owned());
        let period = Duration::from_hours(24 * 90);
        for spec in [
            KeySpec::default().with_protection(Protection::Software),
            KeySpec::default().with_destroy_delay(period),
            stored().with_purpose(KeyPurpose::SignP256),
            stored().with_multi_region(true),
            stored().with_rotation_period(period),
            KeySpec::new(KeyPurpose::SignP256).with_rotation_period(period),
            KeySpec::new(KeyPurpose::SignEd25519),
        ] {
            let text = kind(&key, &spec).unwrap_err().to_string();
            assert_eq!(text.matches("; ").count(), 1, "{text}");
        }
    }
}

//! Key management at AWS KMS.

mod create;
mod details;
mod grant;
mod listing;
mod revoke;

pub(super) use self::{
    create::{kind, not_an_alias},
    grant::{Operation, grant_of, no_grant},
};

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_sdk_kms::types::{KeyMetadata, KeyState as State};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::{
    AwsKms,
    client::RegionalKey,
    metadata::{self, time, unreadable},
    name::{Arn, KeyName},
};
use temporal_kms::{
    EncryptionContext, KeyAdmin, KeyDetails, KeyGrants, KeyRole, KeySetup as _, KeySpec, KeyUri,
    KeyVersion, Protection, ProviderError, Scheme,
};

const DAY: Duration = Duration::from_hours(24);

/// AWS KMS's default wait before it deletes a key, in days.
const DELETION_WINDOW_DAYS: u8 = 30;

/// The most pages of a list that are read. No account has more.
const MAX_PAGES: usize = 100;

/// The number of keys that are described at the same time during a listing. AWS KMS throttles more.
const CONCURRENT_CALLS: usize = 4;

/// Manages the keys of one account. Its answers name keys by their ARN, also when the request named an alias.
#[derive(Debug)]
pub(super) struct AwsAdmin {
    kms: AwsKms,
}

impl AwsAdmin {
    pub(super) fn new(kms: AwsKms) -> Self {
        Self { kms }
    }

    /// The key by its ARN, because most management operations do not accept an alias.
    async fn key(&self, uri: &KeyUri) -> Result<RegionalKey, ProviderError> {
        let key = self.kms.regional(uri).await?;
        match &key.name {
            KeyName::Arn(arn) if !arn.is_alias() => Ok(key),
            _ => by_arn(key).await.map(|(key, _)| key),
        }
    }

    /// The same, with its metadata. The request uses the name that the caller gave, because a policy may permit only
    /// that name (`kms:RequestAlias`).
    async fn described(&self, uri: &KeyUri) -> Result<(RegionalKey, KeyMetadata), ProviderError> {
        by_arn(self.kms.regional(uri).await?).await
    }
}

async fn by_arn(key: RegionalKey) -> Result<(RegionalKey, KeyMetadata), ProviderError> {
    let metadata = metadata::describe(&key).await?;
    let arn = metadata.arn().and_then(Arn::parse);
    let name = KeyName::Arn(arn.ok_or_else(|| unreadable(&key))?);
    Ok((RegionalKey { name, ..key }, metadata))
}

#[async_trait]
impl KeyAdmin for AwsAdmin {
    /// AWS KMS chooses the ids of keys, so a new key gets the requested name as its alias.
    async fn create(&self, key: &KeyUri, spec: &KeySpec) -> Result<KeyDetails, ProviderError> {
        let alias = self.kms.regional(key).await?;
        let spec = self.kms.complete(spec.clone());
        let made = create::create(alias, &spec).await?;
        let shown = async {
            let metadata = metadata::describe(&made).await?;
            details::details(&made, &metadata).await
        };
        // The key exists. An error would say that it does not.
        Ok(shown.await.unwrap_or_else(|error: ProviderError| {
            tracing::warn!(key = %made.name, %error, "the key was created, and cannot be shown");
            KeyDetails::new(key.clone(), spec.purpose, Protection::Hsm)
                .with_rotation_period(spec.rotation_period)
        }))
    }

    /// The list omits keys of AWS's own services, keys for other purposes, and keys that the caller may not see.
    async fn list(&self, key: &KeyUri) -> Result<Vec<KeyDetails>, ProviderError> {
        let beside = self.kms.regional(key).await?;
        let keys = details::all(&beside).await?;
        let found: Vec<_> = stream::iter(&keys)
            .map(details::details_if_ours)
            .buffered(CONCURRENT_CALLS)
            .try_collect()
            .await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn details(&self, key: &KeyUri) -> Result<KeyDetails, ProviderError> {
        let (key, metadata) = self.described(key).await?;
        details::details(&key, &metadata).await
    }

    async fn versions(&self, key: &KeyUri) -> Result<Vec<KeyVersion>, ProviderError> {
        let (key, metadata) = self.described(key).await?;
        details::versions(&key, &metadata).await
    }

    async fn rotate(&self, key: &KeyUri) -> Result<(), ProviderError> {
        let key = self.key(key).await?;
        let call = key.kms.rotate_key_on_demand().key_id(key.id()).send();
        call.await
            .map(drop)
            .map_err(key.failed("kms:RotateKeyOnDemand"))
    }

    async fn set_rotation(
        &self,
        key: &KeyUri,
        period: Option<Duration>,
    ) -> Result<(), ProviderError> {
        let days = period
            .map(|period| rotation_days(key, period))
            .transpose()?;
        let key = self.key(key).await?;
        if let Some(days) = days {
            return enable_rotation(&key, days).await;
        }
        let call = key.kms.disable_key_rotation().key_id(key.id()).send();
        call.await
            .map(drop)
            .map_err(key.failed("kms:DisableKeyRotation"))
    }

    async fn disable(&self, key: &KeyUri, version: Option<&str>) -> Result<(), ProviderError> {
        whole_key(key, version)?;
        let key = self.key(key).await?;
        let call = key.kms.disable_key().key_id(key.id()).send();
        call.await.map(drop).map_err(key.failed("kms:DisableKey"))
    }

    /// Cancels a scheduled deletion first.
    async fn enable(&self, key: &KeyUri, version: Option<&str>) -> Result<(), ProviderError> {
        whole_key(key, version)?;
        let (key, metadata) = self.described(key).await?;
        if metadata.key_state() == Some(&State::PendingDeletion) {
            let call = key.kms.cancel_key_deletion().key_id(key.id()).send();
            call.await.map_err(key.failed("kms:CancelKeyDeletion"))?;
        }
        let call = key.kms.enable_key().key_id(key.id()).send();
        call.await.map(drop).map_err(key.failed("kms:EnableKey"))
    }

    async fn destroy(
        &self,
        key: &KeyUri,
        version: Option<&str>,
    ) -> Result<Option<SystemTime>, ProviderError> {
        whole_key(key, version)?;
        let options = &self.kms.options;
        let days = options.deletion_window_days.unwrap_or(DELETION_WINDOW_DAYS);
        if !(7..=30).contains(&days) {
            return Err(super::misconfigured(
                key,
                "AWS KMS deletes a key 7 to 30 days after it was scheduled",
                "use --window 7d to 30d",
            ));
        }
        let key = self.key(key).await?;
        let answer = key
            .kms
            .schedule_key_deletion()
            .key_id(key.id())
            .pending_window_in_days(i32::from(days))
            .send()
            .await
            .map_err(key.failed("kms:ScheduleKeyDeletion"))?;
        // The waiting time of a multi-region key begins when its last replica is deleted, so AWS gives no date.
        let earliest = SystemTime::now() + DAY * u32::from(days);
        Ok(Some(
            time(answer.deletion_date.as_ref()).unwrap_or(earliest),
        ))
    }

    /// The replica gets AWS KMS's default key policy. It gets no alias and no tags.
    async fn replicate(&self, key: &KeyUri, region: &str) -> Result<KeyUri, ProviderError> {
        super::check_region(key, region)?;
        let key = self.key(key).await?;
        let replica = key.name.multi_region().map(|arn| arn.in_region(region));
        let replica = replica.ok_or_else(|| {
            super::unsupported(
                &key.uri,
                "it is not a multi-region key, so it cannot have replicas",
                "create a key with --multi-region",
            )
        })?;
        let call = key.kms.replicate_key().key_id(key.id());
        let answer = call
            .replica_region(region)
            .send()
            .await
            .map_err(key.failed("kms:ReplicateKey"))?;
        let made = answer
            .replica_key_metadata
            .as_ref()
            .and_then(|made| made.arn());
        if made != Some(replica.to_string().as_str()) {
            return Err(unreadable(&key));
        }
        arn_uri(&key, &replica)
    }

    async fn grant(
        &self,
        key: &KeyUri,
        member: &str,
        role: KeyRole,
    ) -> Result<bool, ProviderError> {
        self.grant_for_context(key, member, role, &EncryptionContext::empty())
            .await
    }

    async fn grant_for_context(
        &self,
        key: &KeyUri,
        member: &str,
        role: KeyRole,
        context: &EncryptionContext,
    ) -> Result<bool, ProviderError> {
        let (key, metadata) = self.described(key).await?;
        let wanted = grant::Wanted {
            member,
            role,
            context,
        };
        grant::grant(&key, &metadata, &wanted).await
    }

    async fn revoke(
        &self,
        key: &KeyUri,
        member: &str,
        role: KeyRole,
    ) -> Result<bool, ProviderError> {
        revoke::revoke(&self.key(key).await?, member, role, None).await
    }

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
        revoke::revoke(&self.key(key).await?, member, role, Some(context)).await
    }

    async fn grants(&self, key: &KeyUri) -> Result<KeyGrants, ProviderError> {
        listing::grants(&self.key(key).await?).await
    }
}

async fn enable_rotation(key: &RegionalKey, days: i32) -> Result<(), ProviderError> {
    let call = key.kms.enable_key_rotation().key_id(key.id());
    call.rotation_period_in_days(days)
        .send()
        .await
        .map(drop)
        .map_err(key.failed("kms:EnableKeyRotation"))
}

/// `RotationPeriodInDays` of `EnableKeyRotation`, from 90 to 2,560.
pub(super) fn rotation_days(key: &KeyUri, period: Duration) -> Result<i32, ProviderError> {
    let days = period.as_secs() / DAY.as_secs();
    let whole = DAY.as_secs().checked_mul(days).map(Duration::from_secs) == Some(period);
    match i32::try_from(days) {
        Ok(days @ 90..=2560) if whole => Ok(days),
        _ => Err(super::misconfigured(
            key,
            "AWS KMS rotates keys every 90 to 2,560 whole days",
            "use --rotation-period 90d to 2560d",
        )),
    }
}

fn whole_key(key: &KeyUri, version: Option<&str>) -> Result<(), ProviderError> {
    match version {
        None => Ok(()),
        Some(_) => Err(super::unsupported(
            key,
            "AWS KMS disables, enables and deletes whole keys, not versions",
            "leave --version out",
        )),
    }
}

fn arn_uri(key: &RegionalKey, arn: &Arn) -> Result<KeyUri, ProviderError> {
    KeyUri::new(Scheme::AWS_KMS, &arn.to_string()).map_err(|_| unreadable(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotates_in_whole_days_that_aws_allows() {
        let key = "aws-kms://alias/a".parse().unwrap();
        assert_eq!(rotation_days(&key, DAY * 90).unwrap(), 90);
        assert_eq!(rotation_days(&key, DAY * 2560).unwrap(), 2560);
        for period in [
            Duration::ZERO,
            DAY * 89,
            DAY * 2561,
            DAY * 90 + Duration::from_nanos(1),
            Duration::MAX,
        ] {
            assert!(rotation_days(&key, period).is_err(), "{period:?}");
        }
    }
}

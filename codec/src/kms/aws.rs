//! Keys at AWS KMS, named by an ARN or an alias: `aws-kms://arn:aws:kms:REGION:ACCOUNT:key/ID`,
//! `aws-kms://arn:aws:kms:REGION:ACCOUNT:alias/NAME`, or `aws-kms://alias/NAME` of the caller's own account and the
//! region of [`AwsOptions::region`].
//!
//! Data keys come from `GenerateDataKey` and are bound to the pairs of their encryption context. Decrypting names the key,
//! so that AWS KMS refuses what any other key encrypted. An alias that is pointed at another key therefore no longer
//! opens what was written before: rotate the key itself, or name keys by their ARN.
//!
//! # Multi-region keys
//!
//! A key whose id begins with `mrk-` has the same material in each of its regions. Where it is named by its ARN and
//! [`AwsOptions::replicas`] lists regions, these serve while its own region cannot be reached, does not answer in time
//! or throttles; for half a minute after that they are called first. What is written names the key by its own ARN in
//! any case. What names it by its ARN in one of the listed regions opens as well; other regions' stay refused, since
//! which of them are trusted is the operator's to say.
//!
//! # Permissions
//!
//! | for | it takes |
//! |---|---|
//! | encrypting | `kms:GenerateDataKey`, in direct mode and as a further recipient `kms:Encrypt` |
//! | decrypting | `kms:Decrypt` |
//! | readiness | `kms:DescribeKey` |
//! | signing, verifying | `kms:Sign`, `kms:GetPublicKey` |

mod admin;
mod client;
mod credentials;
mod env;
mod error;
mod metadata;
mod name;
mod options;
mod provider;
mod regions;
mod signer;

use std::{fmt, sync::Arc};

use tokio::sync::OnceCell;

pub use self::options::{AwsCredentials, AwsOptions, AwsReplica, AwsRole, WebIdentityToken};
use self::{
    admin::AwsAdmin,
    client::{Caller, RegionalKey},
    name::KeyName,
    provider::AwsKey,
    regions::Regions,
    signer::AwsSigner,
};
use super::{KeyAdmin, KeyProvider, ProviderError, ProviderErrorKind as Kind, Signer};
use crate::{KeyUri, clock::SystemClock};

/// AWS KMS as one caller sees it. Keys that are opened by the same value share its sessions.
#[derive(Clone)]
pub struct AwsKms {
    options: Arc<AwsOptions>,
    caller: Arc<OnceCell<Caller>>,
}

impl AwsKms {
    /// AWS KMS with these options. Nothing is read or called yet.
    #[must_use]
    pub fn new(options: AwsOptions) -> Self {
        Self {
            options: Arc::new(options),
            caller: Arc::default(),
        }
    }

    /// A key to wrap data keys with.
    ///
    /// # Errors
    /// When its name is none of AWS KMS, or the options are wrong for it.
    pub async fn key(&self, uri: &KeyUri) -> Result<Arc<dyn KeyProvider>, ProviderError> {
        Ok(Arc::new(AwsKey(self.regions(uri).await?)))
    }

    /// A key to sign with.
    ///
    /// # Errors
    /// As [`key`](Self::key).
    pub async fn signer(&self, uri: &KeyUri) -> Result<Arc<dyn Signer>, ProviderError> {
        Ok(Arc::new(AwsSigner(self.regions(uri).await?)))
    }

    /// Looking after keys.
    #[must_use]
    pub fn admin(&self) -> Arc<dyn KeyAdmin> {
        Arc::new(AwsAdmin::new(self.clone()))
    }

    async fn regions(&self, uri: &KeyUri) -> Result<Regions, ProviderError> {
        let home = self.regional(uri).await?;
        let mut replicas = Vec::new();
        if let Some(arn) = home.name.multi_region() {
            let caller = self.caller(arn.region()).await;
            for replica in &self.options.replicas {
                check_region(uri, &replica.region)?;
                // One list may serve keys of several regions.
                if replica.region == arn.region() {
                    continue;
                }
                let url = replica.endpoint.as_deref();
                replicas.push(RegionalKey {
                    uri: uri.clone(),
                    name: KeyName::Arn(arn.in_region(&replica.region)),
                    region: replica.region.clone(),
                    kms: caller.connect(&replica.region, url),
                });
            }
        }
        Ok(Regions::new(home, replicas, Arc::new(SystemClock)))
    }

    /// The key in its own region.
    async fn regional(&self, uri: &KeyUri) -> Result<RegionalKey, ProviderError> {
        client::check_endpoints(&self.options, uri)?;
        let name = KeyName::of(uri)?;
        let region = match (name.region(), &self.options.region) {
            (Some(region), _) => region.to_owned(),
            (None, Some(region)) => region.clone(),
            (None, None) => {
                return Err(misconfigured(
                    uri,
                    "its name tells no region: set AWS_REGION, or use its ARN",
                ));
            }
        };
        check_region(uri, &region)?;
        let caller = self.caller(&region).await;
        let url = self.options.endpoint.as_deref();
        Ok(RegionalKey {
            uri: uri.clone(),
            name,
            kms: caller.connect(&region, url),
            region,
        })
    }

    async fn caller(&self, region: &str) -> &Caller {
        self.caller
            .get_or_init(|| async {
                let credentials = credentials::provider(&self.options, region).await;
                Caller::new(&self.options, credentials)
            })
            .await
    }
}

impl fmt::Debug for AwsKms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsKms")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

fn check_region(uri: &KeyUri, region: &str) -> Result<(), ProviderError> {
    if name::is_region(region) {
        return Ok(());
    }
    Err(misconfigured(uri, "a region is named like eu-west-1"))
}

fn misconfigured(uri: &KeyUri, detail: &'static str) -> ProviderError {
    ProviderError::new(Kind::Misconfigured, uri).with_detail(detail)
}

//! Keys at AWS KMS, named by an ARN, an alias or a key id: `aws-kms://arn:aws:kms:REGION:ACCOUNT:key/ID`,
//! `aws-kms://arn:aws:kms:REGION:ACCOUNT:alias/NAME`, or `aws-kms://alias/NAME` in the caller's own account and the
//! region of [`AwsOptions::region`]. `aws-kms://alias/NAME?region=REGION` names the region, as Go CDK's URIs do.
//!
//! Data keys come from `GenerateDataKey` and are bound to the pairs of their encryption context. Requests to decrypt
//! name the key, so that AWS KMS refuses ciphertexts of other keys. If an alias is pointed at another key, older
//! payloads therefore no longer open. Rotate the key itself, or name keys by their ARN.
//!
//! A payload that names the key by its ARN also opens if the key is configured by its alias, once an answer of AWS KMS
//! has told which key the alias names. The call [`check_usable`](KeyProvider::check_usable), which `Codec::ready` makes,
//! is enough. The reverse is refused: only a call to AWS KMS could tell which key an alias in a payload names, and payloads
//! must not cause such calls.
//!
//! # Multi-region keys
//!
//! A key whose id begins with `mrk-` is the same key in each of its regions. A payload with its ARN in one region opens
//! where its ARN in another region is configured. Calls go to configured regions only. The regions of
//! [`AwsOptions::replicas`] serve while the key's own region is unreachable, does not answer in time, or throttles. For
//! half a minute after that they are called first. Payloads always name the key as it is configured. A key that is
//! named by an alias has replicas once an answer has told its ARN. If a process must be able to start during an outage,
//! configure the ARN.
//!
//! # Permissions
//!
//! | operation | permissions |
//! |---|---|
//! | encrypting | `kms:GenerateDataKey`, in direct mode and as a further recipient `kms:Encrypt` |
//! | decrypting | `kms:Decrypt` |
//! | readiness | `kms:DescribeKey` |
//! | signing, verifying | `kms:Sign`, `kms:GetPublicKey` |
//! | [`create`](KeyAdmin::create) | `kms:CreateKey`, `kms:CreateAlias`, `kms:DescribeKey`; `kms:TagResource` with labels, `kms:EnableKeyRotation` with a rotation period |
//! | [`details`](KeyAdmin::details) | `kms:DescribeKey`. Without `kms:GetKeyRotationStatus`, `kms:ListKeyRotations` or `kms:ListResourceTags`, that part is unknown |
//! | [`list`](KeyAdmin::list), [`versions`](KeyAdmin::versions) | `kms:ListKeys` and the above; `kms:DescribeKey` and `kms:ListKeyRotations` |
//! | [`rotate`](KeyAdmin::rotate), [`set_rotation`](KeyAdmin::set_rotation) | `kms:RotateKeyOnDemand`, `kms:EnableKeyRotation`, `kms:DisableKeyRotation` |
//! | [`grant`](KeyAdmin::grant) | `kms:DescribeKey`, `kms:ListGrants`, `kms:CreateGrant` |
//!
//! A key that is configured by its alias is described by its alias, as a policy with the condition `kms:RequestAlias`
//! permits. Operations that change keys accept no alias at AWS KMS, so such a policy cannot permit them.

#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

mod admin;
mod client;
mod commands;
mod credentials;
mod diagnose;
mod env;
mod error;
mod member;
mod metadata;
mod name;
mod provider;
mod regions;
mod sendable_credentials;
mod service;
mod settings;
mod setup;
mod signer;
mod variables;

use std::{fmt, sync::Arc};

use tokio::sync::OnceCell;

pub use self::settings::{AwsCredentials, AwsOptions, AwsReplica, AwsRole, WebIdentityToken};
use self::{
    admin::AwsAdmin,
    client::{Caller, RegionalKey, Resolved},
    name::KeyName,
    provider::AwsKey,
    regions::{Regions, ReplicaRegion},
    signer::AwsSigner,
};
use temporal_kms::{KeyAdmin, KeyProvider, ProviderError, ProviderErrorKind as Kind, Signer};
use temporal_kms::{
    KeyUri,
    support::{clock::SystemClock, is_region},
};

/// AWS KMS with the settings of one caller. Keys that the same value opens share its sessions.
#[derive(Clone, Default)]
pub struct AwsKms {
    options: Arc<AwsOptions>,
    caller: Arc<OnceCell<Caller>>,
}

impl AwsKms {
    /// AWS KMS with these options. This reads no file and makes no call yet.
    #[must_use]
    pub fn new(options: AwsOptions) -> Self {
        Self {
            options: Arc::new(options),
            caller: Arc::default(),
        }
    }

    /// The options.
    #[must_use]
    pub fn options(&self) -> &AwsOptions {
        &self.options
    }

    /// A key to wrap data keys with.
    ///
    /// # Errors
    /// When the key's name does not have AWS KMS's form, or the options do not fit the key.
    pub async fn key(&self, uri: &KeyUri) -> Result<Arc<dyn KeyProvider>, ProviderError> {
        Ok(Arc::new(AwsKey(self.regions(uri).await?)))
    }

    /// A key to sign with.
    ///
    /// # Errors
    /// As [`key`](Self::key).
    pub async fn signer(&self, uri: &KeyUri) -> Result<Arc<dyn Signer>, ProviderError> {
        Ok(Arc::new(AwsSigner::new(self.regions(uri).await?)))
    }

    /// Opens key management.
    #[must_use]
    pub fn admin(&self) -> Arc<dyn KeyAdmin> {
        Arc::new(AwsAdmin::new(self.clone()))
    }

    async fn regions(&self, uri: &KeyUri) -> Result<Regions, ProviderError> {
        let home = self.regional(uri).await?;
        let may_have_replicas = match &home.name {
            KeyName::Arn(arn) if !arn.is_alias() => arn.is_multi_region(),
            _ => true,
        };
        let mut replica_regions = Vec::new();
        let caller = self.caller(&home.region).await;
        for replica in &self.options.replicas {
            check_region(uri, &replica.region)?;
            // One list of replicas may serve keys of several regions.
            if replica.region != home.region && may_have_replicas {
                replica_regions.push(ReplicaRegion {
                    region: replica.region.clone(),
                    kms: caller.connect(&replica.region, replica.endpoint.as_deref()),
                });
            }
        }
        if !may_have_replicas && !self.options.replicas.is_empty() {
            tracing::warn!(key = %uri, "replica regions are configured, but this is not a multi-region key");
        }
        let default_region = self.options.region.clone();
        Ok(Regions::new(
            home,
            default_region,
            replica_regions,
            Arc::new(SystemClock),
        ))
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
                    "its name tells no region",
                    "set AWS_REGION, add ?region=REGION to the name, or use its ARN",
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
            resolved: Resolved::default(),
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
    if is_region(region) {
        return Ok(());
    }
    Err(misconfigured(
        uri,
        "the name of the region is not valid",
        "write one such as eu-west-1",
    ))
}

fn misconfigured(uri: &KeyUri, detail: &'static str, remedy: &'static str) -> ProviderError {
    ProviderError::new(Kind::Misconfigured, uri)
        .with_detail(detail)
        .with_remedy(remedy)
}

fn unsupported(uri: &KeyUri, detail: &'static str, remedy: &'static str) -> ProviderError {
    ProviderError::new(Kind::Unsupported, uri)
        .with_detail(detail)
        .with_remedy(remedy)
}

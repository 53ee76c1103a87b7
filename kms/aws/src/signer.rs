//! Signing at AWS KMS, and verifying in this process.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_kms::{
    primitives::Blob,
    types::{MessageType, SigningAlgorithmSpec},
};
use futures::FutureExt as _;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::{client::RegionalKey, metadata::unreadable, regions::Regions};
use temporal_kms::{
    KeyUri, ProviderError, ProviderErrorKind as Kind, PublicKey, Signature, SignatureAlgorithm,
    Signer,
};

/// How long an alias is assumed to name the same key. Otherwise each verification would cost a call.
const ALIAS_FOR: Duration = Duration::from_mins(5);

/// A key of spec `ECC_NIST_P256` at AWS KMS.
#[derive(Debug)]
pub(super) struct AwsSigner {
    regions: Regions,
    /// A key's public half never changes, but an alias may later name another key.
    public_key: Mutex<Option<(PublicKey, Instant)>>,
}

impl AwsSigner {
    pub(super) fn new(regions: Regions) -> Self {
        Self {
            regions,
            public_key: Mutex::new(None),
        }
    }

    fn known(&self) -> Option<PublicKey> {
        let known = self.public_key.lock().clone();
        known
            .filter(|(_, since)| !self.regions.is_named_by_alias() || since.elapsed() < ALIAS_FOR)
            .map(|(key, _)| key)
    }
}

#[async_trait]
impl Signer for AwsSigner {
    fn uri(&self) -> &KeyUri {
        self.regions.uri()
    }

    async fn sign(&self, data: &[u8]) -> Result<Signature, ProviderError> {
        let digest = Sha256::digest(data);
        let digest = digest.as_slice();
        let bytes = self
            .regions
            .call(|key| async move { sign(&key, digest).await }.boxed())
            .await?;
        Ok(Signature::new(
            self.regions.uri().clone(),
            SignatureAlgorithm::EcdsaP256Sha256,
            bytes,
        ))
    }

    async fn public_key(&self, version: Option<&str>) -> Result<PublicKey, ProviderError> {
        if version.is_some() {
            return Err(ProviderError::new(Kind::KeyNotFound, self.regions.uri())
                .with_missing_version()
                .with_detail("signing keys of AWS KMS have no versions")
                .with_remedy("name the key alone"));
        }
        if let Some(known) = self.known() {
            return Ok(known);
        }
        let key = self
            .regions
            .call(|key| async move { public_key(&key).await }.boxed())
            .await?;
        *self.public_key.lock() = Some((key.clone(), Instant::now()));
        Ok(key)
    }
}

/// Only the digest is sent, because the service hashes at most 4,096 bytes itself.
async fn sign(key: &RegionalKey, digest: &[u8]) -> Result<Vec<u8>, ProviderError> {
    let call = key.kms.sign().key_id(key.id());
    let answer = call
        .message(Blob::new(digest))
        .message_type(MessageType::Digest)
        .signing_algorithm(SigningAlgorithmSpec::EcdsaSha256)
        .send()
        .await
        .map_err(key.failed("kms:Sign"))?;
    key.check_answer(answer.key_id.as_deref())?;
    answer
        .signature
        .map(Blob::into_inner)
        .filter(|signature| p256::ecdsa::DerSignature::from_bytes(signature).is_ok())
        .ok_or_else(|| unreadable(key))
}

async fn public_key(key: &RegionalKey) -> Result<PublicKey, ProviderError> {
    let call = key.kms.get_public_key().key_id(key.id()).send();
    let answer = call.await.map_err(key.failed("kms:GetPublicKey"))?;
    key.check_answer(answer.key_id.as_deref())?;
    let der = answer.public_key.ok_or_else(|| unreadable(key))?;
    PublicKey::from_der(der.as_ref())
        .ok()
        .filter(|public| public.algorithm() == SignatureAlgorithm::EcdsaP256Sha256)
        .ok_or_else(|| {
            key.error(Kind::Misconfigured)
                .with_detail("the key does not sign with ECDSA on P-256")
                .with_remedy("make one of spec ECC_NIST_P256")
        })
}

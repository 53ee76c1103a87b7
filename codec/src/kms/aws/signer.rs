use async_trait::async_trait;
use aws_sdk_kms::{
    primitives::Blob,
    types::{MessageType, SigningAlgorithmSpec},
};
use futures::FutureExt as _;
use sha2::{Digest as _, Sha256};

use super::{client::RegionalKey, metadata::unreadable, regions::Regions};
use crate::{
    KeyUri,
    kms::{
        ProviderError, ProviderErrorKind as Kind, PublicKey, Signature, SignatureAlgorithm, Signer,
    },
};

/// A key of spec `ECC_NIST_P256` at AWS KMS.
#[derive(Debug)]
pub(super) struct AwsSigner(pub(super) Regions);

#[async_trait]
impl Signer for AwsSigner {
    fn uri(&self) -> &KeyUri {
        self.0.uri()
    }

    async fn sign(&self, data: &[u8]) -> Result<Signature, ProviderError> {
        let digest = Sha256::digest(data);
        let bytes = self.0.call(|key| sign(key, &digest).boxed()).await?;
        Ok(Signature {
            key: self.0.uri().clone(),
            version: None,
            algorithm: SignatureAlgorithm::EcdsaP256Sha256,
            bytes,
        })
    }

    async fn public_key(&self, version: Option<&str>) -> Result<PublicKey, ProviderError> {
        if version.is_some() {
            return Err(ProviderError::new(Kind::KeyNotFound, self.0.uri())
                .with_detail("signing keys of AWS KMS have no versions"));
        }
        self.0.call(|key| public_key(key).boxed()).await
    }
}

/// Only the digest is sent. It leaves out hashing at the service, which takes at most 4,096 bytes.
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
    let public = PublicKey::from_der(der.as_ref()).map_err(|error| {
        key.error(Kind::Misconfigured)
            .with_detail(
                "the key does not sign with ECDSA on P-256; make one of spec ECC_NIST_P256",
            )
            .with_source(error)
    })?;
    if public.algorithm() != SignatureAlgorithm::EcdsaP256Sha256 {
        return Err(key.error(Kind::Misconfigured).with_detail(
            "the key does not sign with ECDSA on P-256; make one of spec ECC_NIST_P256",
        ));
    }
    Ok(public)
}

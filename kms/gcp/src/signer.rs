//! Signing at Cloud KMS, and verifying here.

use std::{fmt, num::NonZeroUsize, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use google_cloud_kms_v1::model::{
    AsymmetricSignRequest, Digest, crypto_key_version::CryptoKeyVersionAlgorithm,
};
use lru::LruCache;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::{
    checksum::{crc32c, matches},
    client::Service,
    details::version_state,
    error::{CallKind, SIGNING_KEY, integrity},
    versions::{self, version_name},
};
use temporal_kms::{
    KeyState, KeyUri, ProviderError, ProviderErrorKind as Kind, PublicKey, Signature,
    SignatureAlgorithm, Signer,
};

/// How long the newest version is cached. Otherwise each signature would cost a call that lists versions.
const NEWEST_FOR: Duration = Duration::from_mins(5);
/// The number of cached public keys. A version's public key never changes.
const MAX_PUBLIC_KEYS: NonZeroUsize = NonZeroUsize::new(64).unwrap();

/// One signing key, `EC_SIGN_P256_SHA256`.
pub(super) struct GcpSigner {
    uri: KeyUri,
    service: Arc<Service>,
    newest: Mutex<Option<(u64, Instant)>>,
    public_keys: Mutex<LruCache<u64, PublicKey>>,
}

impl GcpSigner {
    pub(super) fn new(uri: KeyUri, service: Arc<Service>) -> Self {
        Self {
            uri,
            service,
            newest: Mutex::new(None),
            public_keys: Mutex::new(LruCache::new(MAX_PUBLIC_KEYS)),
        }
    }

    /// The newest version that is enabled.
    async fn newest(&self, call: CallKind) -> Result<u64, ProviderError> {
        let known = *self.newest.lock();
        if let Some((id, found)) = known
            && found.elapsed() < NEWEST_FOR
        {
            return Ok(id);
        }
        let versions = versions::all(&self.service, &self.uri, call).await?;
        let enabled = versions
            .iter()
            .find(|(_, version)| version_state(&version.state) == KeyState::Enabled);
        let Some((id, version)) = enabled else {
            return Err(self
                .error(Kind::KeyDisabled)
                .with_detail("it has no enabled version")
                .with_remedy("enable one, or rotate the key"));
        };
        self.check_algorithm(&version.algorithm)?;
        *self.newest.lock() = Some((*id, Instant::now()));
        Ok(*id)
    }

    async fn sign_with(&self, id: u64, digest: Bytes) -> Result<Signature, ProviderError> {
        let name = version_name(&self.uri, id);
        let request = AsymmetricSignRequest::new()
            .set_name(&name)
            .set_digest_crc32c(crc32c(&digest))
            .set_digest(Digest::new().set_sha256(digest));
        let answer = self
            .service
            .call(&self.uri, CallKind::Sign, |client| {
                client.asymmetric_sign().with_request(request).send()
            })
            .await?;
        let damaged = |detail| Err(integrity(&self.uri, detail));
        if answer.name != name {
            return damaged("another key signed");
        }
        if !answer.verified_digest_crc32c {
            return damaged("the service did not see the checksum of the digest");
        }
        if !matches(&answer.signature, answer.signature_crc32c) {
            return damaged("the signature has another checksum");
        }
        Ok(Signature::new(
            self.uri.clone(),
            SignatureAlgorithm::EcdsaP256Sha256,
            answer.signature.to_vec(),
        )
        .with_version(Some(id.to_string())))
    }

    async fn fetch(&self, id: u64) -> Result<PublicKey, ProviderError> {
        let name = version_name(&self.uri, id);
        let answer = self
            .service
            .call(&self.uri, CallKind::PublicKey, |client| {
                client.get_public_key().set_name(&name).send()
            })
            .await?;
        if answer.name != name {
            return Err(integrity(&self.uri, "the answer is another key's"));
        }
        if !matches(answer.pem.as_bytes(), answer.pem_crc32c) {
            return Err(integrity(&self.uri, "the public key has another checksum"));
        }
        self.check_algorithm(&answer.algorithm)?;
        PublicKey::from_pem(&answer.pem)
            .ok()
            .filter(|key| key.algorithm() == SignatureAlgorithm::EcdsaP256Sha256)
            .ok_or_else(|| integrity(&self.uri, "the public key is not for P-256"))
    }

    /// The error of a call that names a version. Cloud KMS answers a missing version and a missing key alike. The newest
    /// version is cached, so many unknown versions cost few calls.
    async fn of_version(&self, error: ProviderError) -> ProviderError {
        let exists = match self.newest(CallKind::PublicKey).await {
            Ok(_) => true,
            Err(other) => other.kind() == Kind::KeyDisabled,
        };
        if exists {
            error.with_missing_version()
        } else {
            error
        }
    }

    fn check_algorithm(&self, algorithm: &CryptoKeyVersionAlgorithm) -> Result<(), ProviderError> {
        if *algorithm == CryptoKeyVersionAlgorithm::EcSignP256Sha256 {
            return Ok(());
        }
        Err(self
            .error(Kind::Misconfigured)
            .with_detail("it does not sign with EC_SIGN_P256_SHA256")
            .with_remedy(SIGNING_KEY))
    }

    fn error(&self, kind: Kind) -> ProviderError {
        ProviderError::new(kind, &self.uri)
    }
}

#[async_trait]
impl Signer for GcpSigner {
    fn uri(&self) -> &KeyUri {
        &self.uri
    }

    async fn sign(&self, data: &[u8]) -> Result<Signature, ProviderError> {
        let digest = Bytes::copy_from_slice(&Sha256::digest(data));
        let id = self.newest(CallKind::Sign).await?;
        match self.sign_with(id, digest.clone()).await {
            Err(error) if error.kind() == Kind::KeyDisabled => {
                // The version was disabled since it was looked up.
                *self.newest.lock() = None;
                let id = self.newest(CallKind::Sign).await?;
                self.sign_with(id, digest).await
            }
            signed => signed,
        }
    }

    async fn public_key(&self, version: Option<&str>) -> Result<PublicKey, ProviderError> {
        let id = match version {
            None => self.newest(CallKind::PublicKey).await?,
            Some(version) => version.parse().map_err(|_| {
                self.error(Kind::KeyNotFound)
                    .with_missing_version()
                    .with_detail(format!("{version:?} is not a number"))
            })?,
        };
        let known = self.public_keys.lock().get(&id).cloned();
        if let Some(key) = known {
            return Ok(key);
        }
        let key = match self.fetch(id).await {
            Err(error) if version.is_some() && error.kind() == Kind::KeyNotFound => {
                return Err(self.of_version(error).await);
            }
            fetched => fetched?,
        };
        self.public_keys.lock().put(id, key.clone());
        Ok(key)
    }
}

impl fmt::Debug for GcpSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GcpSigner")
            .field("uri", &self.uri)
            .finish_non_exhaustive()
    }
}

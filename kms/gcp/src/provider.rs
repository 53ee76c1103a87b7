//! Wrapping and unwrapping data keys at Cloud KMS.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use google_cloud_kms_v1::model::{
    DecryptRequest, EncryptRequest, EncryptResponse, ProtectionLevel,
};
use zeroize::{Zeroize as _, Zeroizing};

use super::{
    checksum::{crc32c, matches},
    client::Service,
    details::{protection, version_state},
    error::{CallKind, integrity},
    versions::version_id,
};
use temporal_kms::{
    EncryptionContext, KeyLimits, KeyProvider, KeyState, KeyUri, ProviderError,
    ProviderErrorKind as Kind, UsableKey, support::used_version,
};

/// The service's limit of plaintext (`EncryptRequest.plaintext`), for keys in software.
const MAX_PLAINTEXT: usize = 64 * 1024;
/// The limit of plaintext and additional data together, for keys in an HSM.
const MAX_HSM_PLAINTEXT: usize = 8 * 1024;
/// A ciphertext is about a hundred bytes longer than its plaintext. Longer input cannot be a ciphertext.
const MAX_CIPHERTEXT: usize = MAX_PLAINTEXT + 4 * 1024;

/// One symmetric key.
pub(super) struct GcpKey {
    uri: KeyUri,
    service: Arc<Service>,
    /// Whether an answer has shown that the key is in an HSM, which accepts less.
    hsm: AtomicBool,
}

impl GcpKey {
    pub(super) fn new(uri: KeyUri, service: Arc<Service>) -> Self {
        Self {
            uri,
            service,
            hsm: AtomicBool::new(false),
        }
    }

    async fn encrypt_with(&self, plaintext: &[u8], aad: &[u8]) -> Result<Vec<u8>, ProviderError> {
        let mut request = EncryptRequest::new()
            .set_name(self.uri.resource())
            .set_plaintext(Bytes::from_owner(Zeroizing::new(plaintext.to_vec())))
            .set_plaintext_crc32c(crc32c(plaintext));
        if !aad.is_empty() {
            request = request
                .set_additional_authenticated_data(aad.to_vec())
                .set_additional_authenticated_data_crc32c(crc32c(aad));
        }
        let answer = self
            .service
            .call(&self.uri, CallKind::Encrypt, |client| {
                client.encrypt().with_request(request).send()
            })
            .await?;
        self.verify(&answer, !aad.is_empty())?;
        if let Some(version) = version_id(&self.uri, &answer.name) {
            used_version(Some(&version), Some(true));
        }
        self.learn(&answer.protection_level);
        Ok(answer.ciphertext.to_vec())
    }

    /// The checks of Google's data-integrity guide.
    fn verify(&self, answer: &EncryptResponse, with_aad: bool) -> Result<(), ProviderError> {
        let damaged = |detail| Err(integrity(&self.uri, detail));
        if version_id(&self.uri, &answer.name).is_none() {
            return damaged("another key encrypted");
        }
        if !answer.verified_plaintext_crc32c {
            return damaged("the service did not see the checksum of the plaintext");
        }
        if with_aad && !answer.verified_additional_authenticated_data_crc32c {
            return damaged("the service did not see the checksum of the context");
        }
        if !matches(&answer.ciphertext, answer.ciphertext_crc32c) {
            return damaged("the ciphertext has another checksum");
        }
        if answer.ciphertext.is_empty() || answer.ciphertext.len() > MAX_CIPHERTEXT {
            return damaged("the ciphertext has an impossible length");
        }
        Ok(())
    }

    fn learn(&self, level: &ProtectionLevel) {
        let hsm = matches!(
            level,
            ProtectionLevel::Hsm | ProtectionLevel::HsmSingleTenant
        );
        self.hsm.store(hsm, Ordering::Relaxed);
    }

    fn error(&self, kind: Kind) -> ProviderError {
        ProviderError::new(kind, &self.uri)
    }
}

#[async_trait]
impl KeyProvider for GcpKey {
    fn uri(&self) -> &KeyUri {
        &self.uri
    }

    async fn seal(
        &self,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Vec<u8>, ProviderError> {
        let sealed = self.encrypt_with(plaintext, context.as_bytes()).await;
        if let Err(error) = &sealed
            && error.kind() == Kind::Misconfigured
            && plaintext.len() > MAX_HSM_PLAINTEXT
        {
            // The key may be in an HSM. Then the next payload of this size is sealed in an envelope.
            drop(self.check_usable().await);
        }
        sealed
    }

    async fn open(
        &self,
        sealed: &[u8],
        context: &EncryptionContext,
    ) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        let aad = context.as_bytes();
        let mut request = DecryptRequest::new()
            .set_name(self.uri.resource())
            .set_ciphertext(sealed.to_vec())
            .set_ciphertext_crc32c(crc32c(sealed));
        if !aad.is_empty() {
            request = request
                .set_additional_authenticated_data(aad.to_vec())
                .set_additional_authenticated_data_crc32c(crc32c(aad));
        }
        let answer = self
            .service
            .call(&self.uri, CallKind::Decrypt, |client| {
                client.decrypt().with_request(request).send()
            })
            .await?;
        let plaintext = take(answer.plaintext);
        if !matches(&plaintext, answer.plaintext_crc32c) {
            return Err(integrity(&self.uri, "the plaintext has another checksum"));
        }
        // The service does not say which older version it was.
        used_version(None, Some(answer.used_primary));
        self.learn(&answer.protection_level);
        Ok(plaintext)
    }

    /// 64 KiB, or 8 KiB once an answer has shown that the key is in an HSM.
    fn limits(&self) -> KeyLimits {
        let max_plaintext = if self.hsm.load(Ordering::Relaxed) {
            MAX_HSM_PLAINTEXT
        } else {
            MAX_PLAINTEXT
        };
        KeyLimits::default()
            .with_max_plaintext(max_plaintext)
            .with_max_ciphertext(MAX_CIPHERTEXT)
    }

    async fn check_usable(&self) -> Result<UsableKey, ProviderError> {
        let key = self
            .service
            .call(&self.uri, CallKind::Describe, |client| {
                client.get_crypto_key().set_name(self.uri.resource()).send()
            })
            .await?;
        if key.name != self.uri.resource() {
            return Err(integrity(&self.uri, "the answer is another key's"));
        }
        let Some(primary) = key.primary else {
            return Err(self
                .error(Kind::Misconfigured)
                .with_detail("it has no primary version")
                .with_remedy(
                    "use a key for encryption, or make a version with `codec-server keys rotate`",
                ));
        };
        let Some(id) = version_id(&self.uri, &primary.name) else {
            return Err(integrity(&self.uri, "the primary version is another key's"));
        };
        if version_state(&primary.state) != KeyState::Enabled {
            return Err(self
                .error(Kind::KeyDisabled)
                .with_detail(format!("version {id}, the primary one"))
                .with_remedy("enable this version again, or rotate the key"));
        }
        self.learn(&primary.protection_level);
        Ok(UsableKey::new(
            self.uri.clone(),
            id.to_string(),
            protection(&primary.protection_level),
        ))
    }
}

impl fmt::Debug for GcpKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GcpKey")
            .field("uri", &self.uri)
            .finish_non_exhaustive()
    }
}

/// Moves plaintext out of the client's buffer. The buffer is erased unless another owner holds it.
fn take(buffer: Bytes) -> Zeroizing<Vec<u8>> {
    let plaintext = Zeroizing::new(buffer.to_vec());
    if let Ok(mut buffer) = buffer.try_into_mut() {
        buffer.zeroize();
    }
    plaintext
}

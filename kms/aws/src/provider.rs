//! Wrapping and unwrapping data keys at AWS KMS.

use async_trait::async_trait;
use aws_sdk_kms::{primitives::Blob, types::DataKeySpec};
use futures::FutureExt as _;
use zeroize::Zeroizing;

use super::{
    client::{RegionalKey, pairs},
    metadata::{self, unreadable},
    regions::Regions,
};
use temporal_kms::{
    Dek, EncryptionContext, KeyLimits, KeyProvider, KeyPurpose, KeyState, KeyUri, ProviderError,
    ProviderErrorKind as Kind, UsableKey, WrappedDek, support::used_version,
};

/// `Plaintext` of Encrypt: 1 to 4,096 bytes.
const MIN_PLAINTEXT: usize = 1;
const MAX_PLAINTEXT: usize = 4096;

/// `CiphertextBlob` of every operation: 1 to 6,144 bytes.
const MAX_CIPHERTEXT: usize = 6144;

/// A symmetric key at AWS KMS.
#[derive(Debug)]
pub(super) struct AwsKey(pub(super) Regions);

#[async_trait]
impl KeyProvider for AwsKey {
    fn uri(&self) -> &KeyUri {
        self.0.uri()
    }

    async fn seal(
        &self,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Vec<u8>, ProviderError> {
        self.0
            .call(|key| async move { encrypt(&key, plaintext, context).await }.boxed())
            .await
    }

    async fn open(
        &self,
        sealed: &[u8],
        context: &EncryptionContext,
    ) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        self.0
            .call(|key| async move { decrypt(&key, sealed, context).await }.boxed())
            .await
    }

    async fn check_usable(&self) -> Result<UsableKey, ProviderError> {
        self.0
            .call(|key| async move { describe(&key).await }.boxed())
            .await
    }

    fn limits(&self) -> KeyLimits {
        KeyLimits::default()
            .with_min_plaintext(MIN_PLAINTEXT)
            .with_max_plaintext(MAX_PLAINTEXT)
            .with_max_wrapped(MAX_CIPHERTEXT)
            .with_max_ciphertext(MAX_CIPHERTEXT)
    }

    fn is_alias_of(&self, key: &KeyUri) -> bool {
        self.0.have(key)
    }

    /// AWS KMS makes data keys itself, in one call.
    async fn generate_dek(
        &self,
        context: &EncryptionContext,
    ) -> Result<(Dek, WrappedDek), ProviderError> {
        self.0
            .call(|key| async move { generate(&key, context).await }.boxed())
            .await
    }
}

async fn generate(
    key: &RegionalKey,
    context: &EncryptionContext,
) -> Result<(Dek, WrappedDek), ProviderError> {
    let call = key.kms.generate_data_key().key_id(key.id());
    let answer = call
        .key_spec(DataKeySpec::Aes256)
        .set_encryption_context(pairs(context))
        .send()
        .await
        .map_err(key.failed("kms:GenerateDataKey"))?;
    let dek = answer
        .plaintext
        .map(|plaintext| Zeroizing::new(plaintext.into_inner()))
        .and_then(|plaintext| Dek::from_slice(&plaintext));
    key.check_answer(answer.key_id.as_deref())?;
    used_material(answer.key_material_id.as_deref());
    let dek = dek.ok_or_else(|| unreadable(key))?;
    let wrapped = ciphertext(key, answer.ciphertext_blob)?;
    Ok((dek, WrappedDek::new(wrapped)))
}

async fn encrypt(
    key: &RegionalKey,
    plaintext: &[u8],
    context: &EncryptionContext,
) -> Result<Vec<u8>, ProviderError> {
    let call = key.kms.encrypt().key_id(key.id());
    let answer = call
        .plaintext(Blob::new(plaintext))
        .set_encryption_context(pairs(context))
        .send()
        .await
        .map_err(key.failed("kms:Encrypt"))?;
    key.check_answer(answer.key_id.as_deref())?;
    ciphertext(key, answer.ciphertext_blob)
}

/// The request names the key, so that AWS KMS refuses ciphertexts of other keys.
async fn decrypt(
    key: &RegionalKey,
    ciphertext: &[u8],
    context: &EncryptionContext,
) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
    let call = key.kms.decrypt().key_id(key.id());
    let answer = call
        .ciphertext_blob(Blob::new(ciphertext))
        .set_encryption_context(pairs(context))
        .send()
        .await
        .map_err(key.failed("kms:Decrypt"))?;
    let plaintext = answer
        .plaintext
        .map(|plaintext| Zeroizing::new(plaintext.into_inner()));
    key.check_answer(answer.key_id.as_deref())?;
    used_material(answer.key_material_id.as_deref());
    plaintext
        .filter(|plaintext| plaintext.len() <= MAX_PLAINTEXT)
        .ok_or_else(|| unreadable(key))
}

async fn describe(key: &RegionalKey) -> Result<UsableKey, ProviderError> {
    let metadata = metadata::describe(key).await?;
    if metadata::purpose(&metadata) != Some(KeyPurpose::Encrypt) {
        return Err(key
            .error(Kind::Misconfigured)
            .with_detail("the key is not made for encryption")
            .with_remedy("use one of spec SYMMETRIC_DEFAULT"));
    }
    let (detail, remedy) = match metadata::state(&metadata) {
        KeyState::Enabled => {
            return Ok(UsableKey::new(
                key.uri.clone(),
                metadata::current_version(&metadata),
                metadata::protection(&metadata),
            ));
        }
        KeyState::Disabled => ("the key is disabled", "enable it again"),
        KeyState::DestroyScheduled => (
            "the key is scheduled for deletion",
            "cancel that with `codec-server keys enable`",
        ),
        _ => (
            "the key is still being made, or cut off from its key store",
            "wait for it, or connect its key store",
        ),
    };
    Err(key
        .error(Kind::KeyDisabled)
        .with_detail(detail)
        .with_remedy(remedy))
}

/// AWS KMS tells versions apart by the id of their key material. It does not say which one is the current one.
fn used_material(id: Option<&str>) {
    if let Some(id) = id.filter(|id| id.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        used_version(Some(&id), None);
    }
}

fn ciphertext(key: &RegionalKey, blob: Option<Blob>) -> Result<Vec<u8>, ProviderError> {
    blob.map(Blob::into_inner)
        .filter(|blob| (1..=MAX_CIPHERTEXT).contains(&blob.len()))
        .ok_or_else(|| unreadable(key))
}

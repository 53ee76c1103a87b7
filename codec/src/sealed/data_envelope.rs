//! Small values as a [`DataEnvelope`] in JSON.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::sealer::{Sealer, check_bound};
use crate::{
    EncryptionContext, Error, KeyUri, PayloadError,
    crypto::{
        aead::{NONCE_LEN, TAG_LEN},
        random,
    },
    dek::ExpandedDek,
    format::recipients::parse_wrapped,
    kms::{ProviderError, ProviderErrorKind},
    types::Recipient,
};

/// A sealed value. In JSON every field is text, the binary ones in base64, named `encrypted`, `encryptedDataKey`, `iv`,
/// `authTag` and `keyId`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DataEnvelope {
    /// AES-256-GCM ciphertext, as long as the plaintext.
    #[serde(with = "base64_text")]
    pub encrypted: Vec<u8>,
    /// The data key, wrapped by `key_id` under the context.
    #[serde(with = "base64_text")]
    pub encrypted_data_key: Vec<u8>,
    /// The nonce, 12 random bytes.
    #[serde(with = "base64_text")]
    pub iv: Vec<u8>,
    /// The tag, 16 bytes; the context's canonical bytes are authenticated too.
    #[serde(with = "base64_text")]
    pub auth_tag: Vec<u8>,
    /// The key-encryption key's URI.
    pub key_id: String,
}

impl Sealer {
    /// Seals a value. It is bound to `context`, which is needed to open it and is not stored. The context must hold a
    /// pair: without one, the value would have the form of an envelope of version 1, and could be passed off as a payload.
    ///
    /// With several encrypting keys the envelope names the first one only; seal a file for several recipients. The
    /// envelope does not commit to its data key.
    ///
    /// # Errors
    /// [`Error::Configuration`] when the context is empty. [`Error::Provider`] when the KMS refuses or fails, and no data
    /// key may be used in its place.
    pub async fn seal(
        &self,
        data: &[u8],
        context: &EncryptionContext,
    ) -> Result<DataEnvelope, Error> {
        check_bound(context)?;
        let key = self.active_key(context, data.len()).await?;
        let Some(recipient) = key.recipients.first() else {
            let key = self.first_key();
            return Err(ProviderError::new(ProviderErrorKind::Integrity, key).into());
        };
        let mut iv = [0; NONCE_LEN];
        random::fill(&mut iv).map_err(PayloadError::from)?;
        let mut encrypted = Vec::with_capacity(data.len() + TAG_LEN);
        encrypted.extend_from_slice(data);
        key.data_key
            .cipher()
            .seal(iv, context.as_bytes(), &mut encrypted, 0)
            .map_err(|_| PayloadError::TooLarge {
                what: "the value",
                limit: (1 << 36) - 32,
            })?;
        let auth_tag = encrypted.split_off(data.len());
        self.counters().sealed.add(1);
        Ok(DataEnvelope {
            encrypted,
            encrypted_data_key: recipient.wrapped.as_bytes().to_vec(),
            iv: iv.to_vec(),
            auth_tag,
            key_id: recipient.key.to_string(),
        })
    }

    /// Opens a value that was sealed under the same context.
    ///
    /// # Errors
    /// [`Error::Payload`] when the envelope is malformed or not authentic under this context, or its key is not one of
    /// this cipher's. [`Error::Configuration`] when the context is empty. [`Error::Provider`] when the KMS refuses or
    /// fails.
    pub async fn open(
        &self,
        envelope: &DataEnvelope,
        context: &EncryptionContext,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        check_bound(context)?;
        let malformed = PayloadError::Malformed;
        let key: KeyUri = envelope
            .key_id
            .parse()
            .map_err(|_| malformed("its keyId is not a key URI"))?;
        let iv = <[u8; NONCE_LEN]>::try_from(envelope.iv.as_slice())
            .map_err(|_| malformed("its iv has not 12 bytes"))?;
        if envelope.auth_tag.len() != TAG_LEN {
            return Err(malformed("its authTag has not 16 bytes").into());
        }
        let wrapped = parse_wrapped(envelope.encrypted_data_key.clone())?;
        let recipients = [Recipient { key, wrapped }];
        let open = |key: &ExpandedDek| {
            let mut sealed = Zeroizing::new(Vec::with_capacity(envelope.encrypted.len() + TAG_LEN));
            sealed.extend_from_slice(&envelope.encrypted);
            sealed.extend_from_slice(&envelope.auth_tag);
            let len = key
                .cipher()
                .open(iv, context.as_bytes(), &mut sealed)
                .map_err(|_| PayloadError::NotAuthentic)?
                .len();
            sealed.truncate(len);
            Ok(sealed)
        };
        let keys = self.decryption();
        let sealed = keys
            .open(&recipients, context, &keys.budget(), open)
            .await?;
        self.counters().opened.add(1);
        Ok(sealed)
    }
}

mod base64_text {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        // The decoder's own error would show a part of the input.
        STANDARD
            .decode(text)
            .map_err(|_| D::Error::custom("a field is not base64"))
    }
}

#[cfg(test)]
mod tests;

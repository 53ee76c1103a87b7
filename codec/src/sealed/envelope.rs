//! Envelope encryption for any bytes, outside of Temporal.

use std::{fmt, num::NonZeroUsize, sync::Arc};

use lru::LruCache;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    CacheLimits, ConfigurationError, DekLimits, EncryptionContext, Error, KeyUri, PayloadError,
    Stats,
    codec::stats::Counters,
    crypto::{
        aead::{NONCE_LEN, TAG_LEN},
        random,
    },
    dek::{DataKey, DekCache, DekMaker, EncryptingKeys, Keyholder, LiveDek, SealingKey},
    format::{
        envelope_v2::{self, Recipient},
        parse_wrapped,
    },
    kms::{KeyProvider, ProviderError, ProviderErrorKind},
};
use temporal_kms::support::clock::{Clock, SystemClock};

/// Contexts whose sealing keys are kept at the same time.
const MAX_CONTEXTS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(999);

/// Envelope encryption for any bytes, outside of Temporal: small values as an [`Envelope`] in JSON, files as a stream.
///
/// Every context has a data key of its own, which is renewed as [`DekLimits`] say: one KMS call in an hour and not one for
/// every value. What is sealed under a context opens under the same one only.
#[derive(Clone)]
pub struct EnvelopeCipher(Arc<Inner>);

struct Inner {
    encrypting: EncryptingKeys,
    keyholder: Keyholder,
    maker: Arc<DekMaker>,
    live: Mutex<LruCache<Vec<u8>, Arc<LiveDek>>>,
    cache: Arc<DekCache>,
    counters: Arc<Counters>,
}

/// A sealed value. In JSON every field is text, the binary ones in base64, named `encrypted`, `encryptedDataKey`, `iv`,
/// `authTag` and `keyId`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Envelope {
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

impl EnvelopeCipher {
    /// A cipher that seals with `encrypting`, all of which can open what it sealed, and opens with `decrypting` too.
    ///
    /// # Errors
    /// [`Error::Configuration`] when there is no encrypting key, there are more than ten or one is named twice, or a limit
    /// cannot work.
    pub fn new(
        encrypting: Vec<Arc<dyn KeyProvider>>,
        decrypting: Vec<Arc<dyn KeyProvider>>,
        dek_limits: DekLimits,
        cache_limits: &CacheLimits,
    ) -> Result<Self, Error> {
        dek_limits.check()?;
        cache_limits.check()?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let counters = Arc::new(Counters::default());
        let cache = DekCache::new(cache_limits, clock.clone(), counters.clone());
        let cache = Arc::new(cache);
        let mut opening = encrypting.clone();
        opening.extend(decrypting);
        let encrypting = EncryptingKeys::new(encrypting)?;
        let maker = DekMaker::new(
            &encrypting,
            dek_limits,
            cache.clone(),
            clock.clone(),
            counters.clone(),
        );
        Ok(Self(Arc::new(Inner {
            encrypting,
            keyholder: Keyholder::new(opening, cache.clone(), &clock, counters.clone()),
            maker: Arc::new(maker),
            live: Mutex::new(LruCache::new(MAX_CONTEXTS)),
            cache,
            counters,
        })))
    }

    /// Seals a value. It is bound to `context`, which is needed to open it and is not stored. The context must hold a
    /// pair: without one, the value would have the form of an envelope of version 1, and could be passed off as a payload.
    ///
    /// With several encrypting keys the envelope names the first one only; seal a stream for several recipients. The
    /// envelope does not commit to its data key.
    ///
    /// # Errors
    /// [`Error::Configuration`] when the context is empty. [`Error::Provider`] when the KMS refuses or fails, and no data
    /// key may be used in its place.
    pub async fn envelope_encrypt(
        &self,
        data: &[u8],
        context: &EncryptionContext,
    ) -> Result<Envelope, Error> {
        check_bound(context)?;
        let key = self.sealing_key(context, data.len()).await?;
        let Some(recipient) = key.recipients.first() else {
            let key = self.0.encrypting.first.uri();
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
        self.0.counters.sealed.add(1);
        Ok(Envelope {
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
    pub async fn envelope_decrypt(
        &self,
        envelope: &Envelope,
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
        let open = |key: &DataKey| {
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
        let sealed = self
            .0
            .keyholder
            .open(&recipients, context, &self.0.keyholder.budget(), open)
            .await?;
        self.0.counters.opened.add(1);
        Ok(sealed)
    }

    /// Forgets every data key: the next value of each context takes a new one, and the next opening asks the KMS.
    pub fn clear_cache(&self) {
        self.0.live.lock().clear();
        self.0.cache.clear();
    }

    /// What this cipher and its clones have done so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.counters.snapshot()
    }

    pub(crate) async fn sealing_key(
        &self,
        context: &EncryptionContext,
        bytes: usize,
    ) -> Result<Arc<SealingKey>, Error> {
        let live = self.live(context);
        live.acquire(1, bytes as u64).await
    }

    pub(crate) fn keyholder(&self) -> &Keyholder {
        &self.0.keyholder
    }

    fn live(&self, context: &EncryptionContext) -> Arc<LiveDek> {
        let inner = &self.0;
        inner
            .live
            .lock()
            .get_or_insert(context.as_bytes().to_vec(), || {
                Arc::new(LiveDek::new(
                    inner.maker.clone(),
                    context.clone(),
                    envelope_v2::metadata,
                ))
            })
            .clone()
    }
}

impl fmt::Debug for EnvelopeCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvelopeCipher")
            .field("encrypting", &self.0.encrypting)
            .finish_non_exhaustive()
    }
}

/// A data key that is wrapped under the empty context has no mark that tells it from what direct mode encrypts and
/// from a data key of envelope version 1.
pub(crate) fn check_bound(context: &EncryptionContext) -> Result<(), ConfigurationError> {
    if context.is_empty() {
        return Err(ConfigurationError::invalid(
            "encryption context",
            "it is empty; name at least one pair that tells what the value is for",
        ));
    }
    Ok(())
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

//! Opening: which key, from where, and then the message.

use std::sync::Arc;

use super::Codec;
use crate::{
    EncryptionContext, Error, Payload, PayloadError,
    dek::{CacheKey, DataKey},
    format::{
        Parsed,
        direct::Direct,
        envelope_v1::EnvelopeV1,
        envelope_v2::{EnvelopeV2, Recipient},
    },
    kms::{KeyProvider, ProviderError, ProviderErrorKind},
    message,
    policy::Candidate,
};

impl Codec {
    pub(super) async fn open(&self, sealed: Parsed) -> Result<Payload, Error> {
        match sealed {
            Parsed::Plain(payload) => Ok(payload),
            Parsed::Direct(direct) => self.decrypt_directly(direct).await,
            Parsed::EnvelopeV1(envelope) => self.open_v1(envelope).await,
            Parsed::EnvelopeV2(envelope) => self.open_v2(envelope).await,
        }
    }

    async fn open_v2(&self, envelope: EnvelopeV2) -> Result<Payload, Error> {
        let EnvelopeV2 {
            header,
            recipients,
            context,
            data,
        } = envelope;
        self.0.policy.check_context(&context)?;
        let candidates = self.0.policy.usable(recipients)?;
        let key = self.data_key(candidates, &context).await?;
        Ok(message::open_v2(
            &key,
            &header,
            &context,
            data,
            self.0.max_decompressed,
        )?)
    }

    async fn open_v1(&self, envelope: EnvelopeV1) -> Result<Payload, Error> {
        let EnvelopeV1 { key, wrapped, data } = envelope;
        let candidate = |provider: &Arc<dyn KeyProvider>| {
            let key = provider.uri().clone();
            (
                provider.clone(),
                Recipient {
                    key,
                    wrapped: wrapped.clone(),
                },
            )
        };
        let candidates = match key {
            Some(key) => vec![candidate(self.0.policy.provider(&key)?)],
            // Whoever wrote it left out which key it was: one of those that may be used.
            None => self.0.policy.decrypting.iter().map(candidate).collect(),
        };
        let key = self
            .data_key(candidates, &EncryptionContext::empty())
            .await?;
        Ok(message::open_v1(&key, data)?)
    }

    async fn decrypt_directly(&self, direct: Direct) -> Result<Payload, Error> {
        let provider = self.0.policy.provider(&direct.key)?;
        self.0.counters.direct_calls.add(1);
        let plaintext = provider
            .decrypt(&direct.ciphertext)
            .await
            .map_err(unwrap_error)?;
        Ok(message::decode(&plaintext)?)
    }

    /// The data key by whichever candidate gives it, preferably without a call.
    async fn data_key(
        &self,
        candidates: Vec<Candidate>,
        context: &EncryptionContext,
    ) -> Result<Arc<DataKey>, Error> {
        let candidates: Vec<_> = candidates
            .into_iter()
            .map(|(provider, recipient)| {
                let key = CacheKey::new(&recipient.key, &recipient.wrapped, context);
                (key, provider, recipient.wrapped)
            })
            .collect();
        if let Some(known) = candidates
            .iter()
            .find_map(|(key, ..)| self.0.cache.get(key))
        {
            self.0.counters.dek_cache_hits.add(1);
            return Ok(known);
        }

        self.0.counters.dek_cache_misses.add(1);
        let mut failure = Error::from(PayloadError::KeyNotAllowed);
        for (key, provider, wrapped) in candidates {
            let (counters, context) = (self.0.counters.clone(), context.clone());
            let unwrapped = self.0.cache.get_or_unwrap(key, || async move {
                counters.unwraps.add(1);
                let dek = provider
                    .unwrap(&wrapped, &context)
                    .await
                    .map_err(unwrap_error)?;
                Ok(DataKey::new(dek))
            });
            match unwrapped.await {
                Ok(key) => return Ok(key),
                // Where one key's service is away the payload may well be fine: that is what the caller should hear.
                Err(error) if failure.is_transient() && !error.is_transient() => {}
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

/// A KMS that finds a ciphertext altered, or under another context, says the same as a tag that does not match.
fn unwrap_error(error: ProviderError) -> Error {
    match error.kind() {
        ProviderErrorKind::InvalidCiphertext | ProviderErrorKind::ContextMismatch => {
            PayloadError::NotAuthentic.into()
        }
        _ => error.into(),
    }
}

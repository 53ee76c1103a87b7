//! Direct mode: the KMS decrypts a payload itself.

use std::sync::Arc;

use super::{DecryptionKeys, OpeningKey};
use crate::{
    Error, KeyUri, PayloadError,
    dek::{
        budget::{Attempt, Budget, Plaintext},
        cache_key::CacheKey,
        failure::{as_told, panicked, refusal},
        refusals::is_the_ciphertexts,
    },
    format::direct,
};

impl DecryptionKeys {
    /// Decrypts a payload of direct mode, and reads it with `open`.
    pub(crate) async fn decrypt<T>(
        &self,
        key: &KeyUri,
        ciphertext: &[u8],
        budget: &Budget,
        open: impl FnOnce(&[u8]) -> Result<T, PayloadError>,
    ) -> Result<T, Error> {
        let (_, opening) = self.find(key)?;
        let name = CacheKey::direct(opening.provider.uri(), ciphertext);
        if let Some(plaintext) = budget.plaintext(&name) {
            return Ok(open(&plaintext)?);
        }
        if let Some(refusal) = self.cache.refusals().get(&name) {
            if is_the_ciphertexts(&refusal) {
                budget.knew(&[name]);
            }
            self.counters.refusal_cache_hits.add(1);
            return Err(as_told(refusal));
        }
        let attempt = self.attempt(&[name], budget).await?;
        // The payloads that this one waited for may have been equal.
        let plaintext = match budget.plaintext(&name) {
            Some(plaintext) => plaintext,
            None => match self.call_decrypt(opening, name, ciphertext, &attempt).await {
                Ok(plaintext) => plaintext,
                Err(error) => {
                    if error.is_transient() {
                        attempt.harmless();
                    }
                    return Err(error);
                }
            },
        };
        let opened = open(&plaintext).map_err(Error::from);
        match &opened {
            Ok(_) => {
                budget.keep_plaintext(name, plaintext);
                attempt.harmless();
            }
            Err(error) => self.cache.refusals().learn(name, Some(error)),
        }
        opened
    }

    async fn call_decrypt(
        &self,
        opening: &OpeningKey,
        name: CacheKey,
        ciphertext: &[u8],
        attempt: &Attempt<'_>,
    ) -> Result<Plaintext, Error> {
        let OpeningKey {
            provider,
            decrypting,
            ..
        } = opening;
        decrypting.check()?;
        let call = || {
            let (provider, rest) = (provider.clone(), decrypting.clone());
            let (cache, counters) = (self.cache.clone(), self.counters.clone());
            let (ciphertext, made) = (ciphertext.to_vec(), attempt.made());
            async move {
                // It may have come since the caller looked.
                if let Some(refusal) = cache.refusals().get(&name) {
                    return Err(refusal);
                }
                made.one();
                counters.direct_calls.add(1);
                let decrypted = provider.decrypt(&ciphertext).await;
                rest.learn(&decrypted);
                let decrypted = decrypted.map_err(refusal).and_then(|plaintext| {
                    // It is the wrapped data key of an envelope: none of it may be read as a payload.
                    if direct::may_have_len(plaintext.len()) {
                        Ok(plaintext)
                    } else {
                        Err(PayloadError::NotAuthentic.into())
                    }
                });
                cache.refusals().learn(name, decrypted.as_ref().err());
                decrypted.map(Arc::new)
            }
        };
        let lost = panicked(&**provider);
        let decrypted = self.decryptions.run(name, lost, call).await;
        decrypted.map_err(as_told)
    }
}

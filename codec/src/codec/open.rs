//! Opening: which key, from where, and then the message.

use std::sync::Arc;

use super::Codec;
use crate::{
    EncryptionContext, Error, Payload, dek,
    format::{
        Parsed,
        direct::Direct,
        envelope_v1::EnvelopeV1,
        envelope_v2::{EnvelopeV2, Recipient},
    },
    kms::KeyProvider,
    message,
};

impl Codec {
    pub(super) async fn open(&self, sealed: Parsed) -> Result<Payload, Error> {
        if let Some(format) = sealed.format() {
            self.0.policy.formats.check(format)?;
        }
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
        let key = self.0.keyholder.unwrap_any(recipients, &context).await?;
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
            Some(key) => vec![candidate(self.0.keyholder.provider(&key)?)],
            // Whoever wrote it left out which key it was: one of those that may be used.
            None => self.0.keyholder.keys().iter().map(candidate).collect(),
        };
        let no_context = EncryptionContext::empty();
        let key = self.0.keyholder.unwrap(candidates, &no_context).await?;
        Ok(message::open_v1(&key, data)?)
    }

    async fn decrypt_directly(&self, direct: Direct) -> Result<Payload, Error> {
        let provider = self.0.keyholder.provider(&direct.key)?;
        self.0.counters.direct_calls.add(1);
        let plaintext = provider
            .decrypt(&direct.ciphertext)
            .await
            .map_err(dek::refusal)?;
        Ok(message::decode(&plaintext)?)
    }
}
